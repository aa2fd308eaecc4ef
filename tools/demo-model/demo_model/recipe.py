"""Every number that decides the result, and the data that follows from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from . import corpus, tokenizer
from .dataset import Encoded, encode
from .dialogue import Sample, text_of


@dataclass(frozen=True)
class Phase:
    """A part of the training with its own data and its own course of the learning rate."""

    name: str
    samples: int
    steps: int
    peak: float
    end: float
    warmup: int
    layers: int = 6

    @property
    def work(self) -> int:
        """What it costs, in steps of one layer."""
        return self.steps * self.layers


# Lays the ground with the first wordings; adds more wordings; goes over it again with fresh words; widens the tools; settles;
# grows; hears how others say it. The steps are those that the shipped file has seen.
PHASES = (
    Phase("first", samples=160_000, steps=700, peak=1.0, end=0.95, warmup=40),
    Phase("late", samples=130_000, steps=1073, peak=0.98, end=0.01, warmup=1),
    Phase("last", samples=130_000, steps=729, peak=0.6, end=0.01, warmup=30),
    # Mostly calls of the shipped tools, in the sentences of a grammar.
    Phase("tools", samples=40_000, steps=501, peak=0.4, end=0.01, warmup=40),
    # Some more of it, and more of the honest fallback, which the phase before had loosened.
    Phase("settle", samples=12_000, steps=230, peak=0.22, end=0.005, warmup=8),
    # Two more layers, which begin by doing nothing, and time to make use of them.
    Phase("grow", samples=20_000, steps=167, peak=0.5, end=0.48, warmup=30, layers=8),
    # Sentences that were written apart from all frames join.
    Phase("broad", samples=50_000, steps=1063, peak=0.48, end=0.004, warmup=1, layers=8),
)


# Where `train --from-gguf` goes on: with the first phase that the exported file has not seen.
CONTINUE_AT = next(i for i, phase in enumerate(PHASES) if phase.name == "grow")


@dataclass(frozen=True)
class Recipe:
    seed: int = 31313
    phases: tuple[Phase, ...] = PHASES
    # Wall clock for all phases of a run together; each has its part of it, and ends with it.
    minutes: float = 120
    vocab: int = 2560
    spaced_words: int = 560
    micro_tokens: int = 2048
    micro_per_step: int = 3
    matrix_lr: float = 0.02
    other_lr: float = 0.004
    pair_every: int = 3
    pair_count: int = 64
    pair_weight: float = 0.3
    pair_temperature: float = 0.07


def streams(recipe: Recipe) -> dict[str, Iterator[Sample]]:
    """The training data of each phase."""
    return {
        phase.name: corpus.samples(recipe.seed + i, "train", phase.samples, phase.name)
        for i, phase in enumerate(recipe.phases)
    }  # fmt: skip


def prepare(recipe: Recipe, out: Path) -> tuple[Tokenizer, dict[str, Encoded]]:
    """Tokenizer and training tokens, made once and kept in the output folder."""
    tokenizer_file = out / "tokenizer.json"
    if not tokenizer_file.exists():
        texts = [text_of(s) for s in corpus.samples(recipe.seed, "train", 30_000)]
        tokenizer.save(tokenizer.train(texts, recipe.vocab, recipe.spaced_words), tokenizer_file)
    encoder = tokenizer.load(tokenizer_file)
    parts: dict[str, Encoded] = {}
    facts: dict[str, object] = {"seed": recipe.seed}
    known = json.loads((out / "data.json").read_text()) if (out / "data.json").exists() else {}
    for name, stream in streams(recipe).items():
        file = out / f"{name}.npz"
        if file.exists() and name in known:
            # A run that is resumed need not draw its data anew; the card checks the digest in any case.
            parts[name], facts[name] = Encoded.load(file), known[name]
            continue
        if not file.exists():
            encode(encoder, stream).save(file)
        parts[name] = Encoded.load(file)
        digest = corpus.digest(streams(recipe)[name])
        facts[name] = {"samples": len(parts[name]), "tokens": int(parts[name].offsets[-1]), "sha256": digest}
    (out / "data.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts), flush=True)
    return encoder, parts
