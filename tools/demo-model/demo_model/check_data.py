"""Checks of the generator: `python -m demo_model.check_data`. Fast; no model is needed."""

from __future__ import annotations

import random
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import jinja2
import torch

from . import asked, corpus, export, restore, tokenizer, wide
from .corpus import Leakage
from .dialogue import IM_START, Sample, dumps, render, text_of
from .grammar import is_near
from .heldout import KINDS, SEED, openai
from .model import DemoModel, ModelConfig, grown
from .recipe import CONTINUE_AT, Recipe
from .source import Source
from .talk_frames import TALK
from .topics import FACTS
from .train import Progress, limit_seconds, rate, share
from .unrelated_frames import UNRELATED
from .wide_frames import WIDE

# The open places in the sentences of each kind.
SLOTS = {"calculate": "e", "convert_units": "abv", "list_models": "", "model_status": "m", "first": "", "two_weather": "ab",
         "two_time": "ab", "both": "a", "fahrenheit": "a", "get_weather": "c", "get_time": "c"}  # fmt: skip
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


def check_wide() -> None:
    """The grammar fills its slots, says much, and keeps away from what is held out."""
    assert is_near("Could you tell me the weather near {c}", wide.held_out()), "one word is not enough of a difference"
    assert is_near("hello, is it sunny in {c} today", wide.held_out()), "nor is a held-out frame with words around it"
    assert not is_near("how is the weather in {c}?", wide.held_out())
    source = Source(random.Random(6), "train", late=True, wide=True, more=True)
    for kind in WIDE:
        drawn = [wide.wording(source, kind) for _ in range(400)]
        assert len(set(drawn)) > 250, kind
        for text in drawn:
            assert sorted(re.findall(r"{(\w)}", text)) == list(SLOTS[kind]), text
            assert not re.search(r"[\[\]<>|\x01\x02]", text.replace("->", "")), text
            known = text.rstrip("?.").lower() in {
                f.rstrip("?.").lower() for f in wide.OLD_FRAMES[kind].of("train", late=True)
            }
            assert known or not is_near(text, wide.held_out()), text


def check_asked() -> None:
    """The sentences written apart have their open places, and none of the last phase comes near a held-out one."""
    for file in (asked.FILE, asked.MORE_FILE):
        for kind, lines in asked.sections(file.read_text(encoding="utf-8")).items():
            assert len(set(lines)) == len(lines), kind
            for line in lines:
                found = sorted(re.findall(r"{(\w)}", line))
                assert len(found) == 1 if kind == "unrelated" else found == list(SLOTS.get(kind, "")), line
    source = Source(random.Random(7), "train", late=True, wide=True, more=True, asked=True)
    for kind in SLOTS:
        options = asked.frames(kind)
        assert len(options.train) > 2 * len(options.test) > 0, kind
        for text in [make(source, kind) for make in (wide.apart, wide.fresh) for _ in range(100)]:
            assert not is_near(text, asked.held_out_calls()) and not is_near(text, wide.held_out()), text


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
    for sample in [*corpus.samples(3, "train", 2000), *corpus.samples(3, "train", 500, "tools")]:
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


def check_restore() -> None:
    """What comes back from a GGUF is what went in, but for the eight bits; exported again, it is the same file."""
    encoder = tokenizer.train([text_of(sample) for sample in corpus.samples(4, "train", 500)], 640, 60)
    torch.manual_seed(1)
    model = DemoModel(ModelConfig(vocab_size=encoder.get_vocab_size(), layers=2))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.save(encoder, folder / "tokenizer.json")

        def written(state: dict[str, torch.Tensor], file: str) -> Path:
            saved = {"model": state, "config": model.config.as_dict(), "step": 0, "seconds": 0.0}
            torch.save(saved, folder / "model.pt")
            export.export(folder / "model.pt", folder / "tokenizer.json", folder / file)
            return folder / file

        first = written(model.state_dict(), "first.gguf")
        state = restore.state_of(first, model.config)
        for key, value in model.state_dict().items():
            assert (state[key] - value).abs().max() <= value.abs().max() / 127, key
        model.load_state_dict(state)
        assert written(model.state_dict(), "again.gguf").read_bytes() == first.read_bytes()
        assert restore.tokens_of(first) == [encoder.id_to_token(i) for i in range(encoder.get_vocab_size())]


def check_limits() -> None:
    """A run takes no longer than it may, whatever the machine, and the rate ends low in every phase."""
    recipe = Recipe()
    for first in (0, CONTINUE_AT):
        places = [Progress(first_phase=first, phase=i) for i in range(first, len(recipe.phases))]
        assert abs(sum(limit_seconds(recipe, at) for at in places) - 60 * recipe.minutes) < 1
        for at in places:
            phase = recipe.phases[at.phase]
            slow = replace(at, phase_step=phase.warmup, phase_seconds=limit_seconds(recipe, at))
            assert share(recipe, slow) >= 1 and abs(rate(recipe, slow) - phase.end) < 1e-6, phase.name


def check_grown() -> None:
    """New layers change nothing at first."""
    torch.manual_seed(2)
    model = DemoModel(ModelConfig(vocab_size=64, dim=64, layers=3, heads=4, kv_heads=2, ffn=96))
    ids = torch.randint(0, 64, (2, 20))
    deeper = grown(model, 5)
    assert deeper.parameter_count() > model.parameter_count()
    assert torch.allclose(model.hidden(ids), deeper.hidden(ids), atol=1e-6)


CHECKS = (
    check_deterministic, check_disjoint, check_wide, check_asked, check_facts, check_template, check_tokenizer, check_restore,
    check_limits, check_grown,
)  # fmt: skip


def main() -> None:
    for check in CHECKS:
        check()
        print(f"ok {check.__name__}")


if __name__ == "__main__":
    main()
