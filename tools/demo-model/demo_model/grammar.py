"""Sentences from a small grammar, for the phase in which lists of frames are too few.

`[a|b|c]` stands for one of its alternatives, `<name>` for a piece that is defined by name. Choices nest. A
handful of lines gives thousands of sentences, and so no single word can become the sign of a tool.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

CHOICE = re.compile(r"\[([^\[\]]*)\]")
PIECE = re.compile(r"<(\w+)>")
WORD = re.compile(r"\{\w+\}|\w+(?:'\w+)?")
# A sentence of this many words must differ from every other one in three words, a shorter one in two.
LONG = 8


def expand(rng: random.Random, text: str, pieces: Mapping[str, str]) -> str:
    """One sentence out of all that the text stands for; `tidy` sets its blanks right."""
    while True:
        text, named = PIECE.subn(lambda match: f"[{pieces[match[1]]}]", text)
        text, chosen = CHOICE.subn(lambda match: rng.choice(match[1].split("|")), text)
        if not named and not chosen:
            return text


def tidy(text: str) -> str:
    """Blanks where they belong."""
    return re.sub(r" ([,.?:]|'s\b)", r"\1", re.sub(r" +", " ", text)).strip()


@lru_cache(maxsize=200_000)
def words(text: str) -> tuple[str, ...]:
    """The words of a frame; a slot is a word, signs and capitals do not count."""
    return tuple(WORD.findall(text.lower()))


@lru_cache(maxsize=200_000)
def vocabulary(text: str) -> frozenset[str]:
    return frozenset(words(text))


def distance(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    """How many words must be put in, taken out or changed to make one of the other."""
    row = list(range(len(second) + 1))
    for i, word in enumerate(first, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def is_near(text: str, frames: Iterable[str]) -> bool:
    """Whether a sentence is almost one of the frames: training must not come so near to what is held out."""
    mine = words(text)
    has = frozenset(mine)
    for frame in frames:
        other, theirs = words(frame), vocabulary(frame)
        if theirs <= has and any(mine[i : i + len(other)] == other for i in range(len(mine) - len(other) + 1)):
            return True
        least = 3 if len(other) >= LONG else 2
        # So many words must at least be changed; counting them is cheap, and most sentences are far away.
        if abs(len(mine) - len(other)) >= least or len(has - theirs) >= least or len(theirs - has) >= least:
            continue
        if distance(mine, other) < least:
            return True
    return False
