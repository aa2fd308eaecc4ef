"""Pairs of sentences that mean the same, for the sentence vectors."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from . import talk_frames, tool_frames, topics, unrelated_frames
from .source import Frames, Source
from .words import Split


@dataclass(frozen=True)
class Meaning:
    """A label and a way to say it; two calls with one source give two wordings."""

    label: str
    say: Callable[[Source], tuple[str, str]]


def _two_frames(source: Source, options: Frames) -> tuple[str, str]:
    pool = options.test if source.split == "test" and len(options.test) > 1 else options.train
    first, second = source.rng.sample(pool, 2)
    return first, second


def _fact(index: int) -> Meaning:
    fact = topics.FACTS[index]

    def say(source: Source) -> tuple[str, str]:
        frames = _two_frames(source, topics.FRAMES[fact.kind])
        first, second = (topics.question(fact, frame, source.pick(fact.subjects)) for frame in frames)
        return first, second

    return Meaning(f"fact {index}", say)


def _talk(key: str) -> Meaning:
    return Meaning(f"talk {key}", lambda source: _two_frames(source, talk_frames.TALK[key][0]))


def _intent(name: str, options: Frames, slot: str, word: Callable[[Source], str]) -> Meaning:
    def say(source: Source) -> tuple[str, str]:
        first, second = _two_frames(source, options)
        drawn = word(source)
        return first.replace(slot, drawn), second.replace(slot, drawn)

    return Meaning(f"intent {name}", say)


def _noun(index: int) -> Meaning:
    """Unrelated questions about one thing belong together too."""
    plain = tuple(f for f in unrelated_frames.UNRELATED.train if "{n}" in f and f.count("{") == 1)

    def say(source: Source) -> tuple[str, str]:
        first, second = source.rng.sample(plain, 2)
        noun = source.noun()
        return first.replace("{n}", noun), second.replace("{n}", noun)

    return Meaning(f"noun {index}", say)


def meanings() -> list[Meaning]:
    return [
        *(_fact(i) for i in range(len(topics.FACTS))),
        *(_talk(key) for key in talk_frames.TALK),
        _intent("weather", tool_frames.WEATHER, "{c}", lambda s: s.city()),
        _intent("time", tool_frames.TIME, "{c}", lambda s: s.city()),
        _intent("list", tool_frames.LIST, "{-}", lambda s: ""),
        _intent("status", tool_frames.STATUS, "{m}", lambda s: s.model()),
        *(_noun(i) for i in range(12)),
    ]


def draw(rng: random.Random, split: Split, count: int) -> list[tuple[str, str, str]]:
    """`count` pairs of different meanings: (label, first wording, second wording)."""
    source = Source(rng, split)
    chosen = rng.sample(meanings(), count)
    drawn = []
    for meaning in chosen:
        first, second = meaning.say(source)
        drawn.append((meaning.label, source.polish(first), source.polish(second)))
    return drawn
