"""Checks of the generator: `python -m demo_model.check_data`. Fast; no model is needed."""

from __future__ import annotations

from pathlib import Path

import jinja2

from . import corpus, tokenizer
from .corpus import Leakage
from .dialogue import IM_START, Sample, dumps, render, text_of
from .heldout import KINDS, SEED, openai
from .talk_frames import TALK
from .topics import FACTS
from .unrelated_frames import UNRELATED

TEMPLATE = Path(__file__).parent.parent / "chat_template.jinja"


def check_deterministic() -> None:
    first = corpus.digest(corpus.samples(1, "train", 3000))
    assert first == corpus.digest(corpus.samples(1, "train", 3000)), "the same seed must give the same data"
    assert first != corpus.digest(corpus.samples(2, "train", 3000)), "another seed must give other data"


def check_disjoint() -> None:
    """No frame is on both sides, and what the leakage check lets through shares nothing with training."""
    for options in [UNRELATED, *(frames for frames, _ in TALK.values())]:
        assert not set(options.train) & set(options.test)
    leakage = Leakage(corpus.samples(1, "train", 20_000))
    for make, _ in KINDS.values():
        drawn = corpus.one_kind(SEED, "test", make, 40)
        clean = [sample for sample in drawn if not leakage.problems(sample)]
        assert len(clean) >= 0.8 * len(drawn), f"too much leaks in {drawn[0].topic}"


def check_facts() -> None:
    assert len({fact.answer for fact in FACTS}) >= 60
    names = [subject for fact in FACTS for subject in fact.subjects if fact.kind not in ("why", "how")]
    assert len(names) == len(set(names)), sorted(n for n in set(names) if names.count(n) > 1)


def jinja_text(sample: Sample) -> str:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": False}
    environment.filters["tojson"] = dumps
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        messages=[openai(m) for m in sample.messages], tools=sample.tools or None, add_generation_prompt=True
    )


def check_template() -> None:
    for sample in corpus.samples(3, "train", 2000):
        assert jinja_text(sample) == text_of(sample) + f"{IM_START}assistant\n", text_of(sample)


def check_tokenizer() -> None:
    """Pieces and whole conversations are cut alike, and every text comes back unharmed."""
    drawn = list(corpus.samples(4, "train", 1500))
    encoder = tokenizer.train([text_of(sample) for sample in drawn], 1200, 200)
    for sample in drawn[:500]:
        whole = encoder.encode(text_of(sample), add_special_tokens=False).ids
        pieces = [i for text, _ in render(sample) for i in encoder.encode(text, add_special_tokens=False).ids]
        assert pieces == whole, text_of(sample)
        assert encoder.decode(whole, skip_special_tokens=False) == text_of(sample)
    assert encoder.encode("Oslo").tokens == encoder.encode(" Oslo").tokens[1:], "a space must not hide a name"


def main() -> None:
    for check in (check_deterministic, check_disjoint, check_facts, check_template, check_tokenizer):
        check()
        print(f"ok {check.__name__}")


if __name__ == "__main__":
    main()
