"""Where every sample draws its randomness: words, numbers and sentence frames of one split."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from . import words
from .words import Split

T = TypeVar("T")

BEFORE_CITY = ("New", "San", "Port", "Saint", "Bad", "Los", "El")


@dataclass(frozen=True)
class Frames:
    """Sentence frames; late ones join in the second phase, held-out ones are for the evaluation only."""

    train: tuple[str, ...]
    late: tuple[str, ...]
    test: tuple[str, ...]

    def of(self, split: Split, late: bool) -> tuple[str, ...]:
        if split == "test" and self.test:
            return self.test
        return self.train + self.late if late else self.train

    def cut(self, mark: str) -> Frames:
        """For short frames that share a line."""
        parts = (
            tuple(p.strip() for line in lines for p in line.split(mark)) for lines in (self.train, self.late, self.test)
        )
        return Frames(*parts)


def frames(text: str) -> Frames:
    """One frame per line; "!" in front holds it out of training, "+" keeps it for the second phase."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return Frames(
        train=tuple(line for line in lines if line[0] not in "!+"),
        late=tuple(line[1:].strip() for line in lines if line.startswith("+")),
        test=tuple(line[1:].strip() for line in lines if line.startswith("!")),
    )


@dataclass
class Source:
    """A random source bound to a split. `slots` collects the open words that a sample used."""

    rng: random.Random
    split: Split
    late: bool = False
    # The fourth phase: sentences come from the wide grammar, and words are more mixed.
    wide: bool = False
    more: bool = False
    # The last phase: some sentences are those of asked.txt; held out, all of them are.
    asked: bool = False
    slots: list[str] = field(default_factory=list)

    def take_slots(self) -> list[str]:
        taken, self.slots = self.slots, []
        return taken

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def pick(self, options: Sequence[T]) -> T:
        return self.rng.choice(options)

    def frame(self, options: Frames) -> str:
        return self.rng.choice(options.of(self.split, self.late))

    def _until(self, make: Callable[[], str]) -> str:
        for _ in range(2000):
            word = make()
            if word and words.in_split(word, self.split):
                self.slots.append(word)
                return word
        raise RuntimeError("no word of this split found")

    def _invented(self, chain: words.LetterChain) -> str:
        def make() -> str:
            kind = self.rng.random()
            if kind < 0.45:
                word = chain.word(self.rng)
            elif kind < 0.85:
                word = words.syllables(self.rng)
            else:
                word = words.letters(self.rng)
            return word if len(word) >= 3 and word not in words.CLOSED else ""

        return make()

    def _mixed(self, known: list[str], chain: words.LetterChain, share: float) -> str:
        return self._until(lambda: self.rng.choice(known) if self.rng.random() < share else self._invented(chain))

    def name(self) -> str:
        return self._mixed(words.NAMES, words.NAME_CHAIN, 0.35).capitalize()

    def city(self) -> str:
        first = self._mixed(words.CITIES, words.PLACE_CHAIN, 0.35).capitalize()
        if self.rng.random() < 0.1:
            return self.rng.choice(BEFORE_CITY) + " " + first
        return self._odd_city(first) if self.wide else first

    def _odd_city(self, city: str) -> str:
        """Now and then in small letters, or with the first letters of "Port Said" in one word."""
        drawn = self.rng.random()
        if drawn < 0.04:
            return city.lower()
        if drawn < 0.12:
            before = self.rng.choice(BEFORE_CITY).lower()
            return self._until(
                lambda: before + self.rng.choice(("", "o", "i", "a")) + words.syllables(self.rng)
            ).capitalize()
        return city

    def noun(self) -> str:
        return self._mixed(words.NOUNS, words.WORD_CHAIN, 0.7)

    def item(self) -> str:
        return self._mixed(words.ITEMS, words.WORD_CHAIN, 0.6)

    def job(self) -> str:
        return self._mixed(words.JOBS, words.WORD_CHAIN, 0.6)

    def colour(self) -> str:
        return self._mixed(words.COLOURS, words.WORD_CHAIN, 0.6)

    def plain(self) -> str:
        return self._mixed(words.PLAIN, words.WORD_CHAIN, 0.5)

    def invented(self) -> str:
        return self._until(lambda: self._invented(words.WORD_CHAIN))

    def host(self) -> str:
        return self.invented() + self.rng.choice(("", "", "-1", "-2", "1", "2"))

    def model(self) -> str:
        """A model id such as qwen3-8b or acme/Zorp-2.5-13B."""
        stem = self.invented()
        if self.rng.random() < 0.4:
            stem = stem.capitalize()
        text = stem + self.rng.choice(("", "", "2", "3", "-2", "-3.1", "2.5", "-v2"))
        size = self.rng.choice(
            ("", "-1b", "-8b", "-13b", "-70b", "-0.5B", "-7B", "-27B", "-mini", "-instruct", "-demo", "-chat")
        )
        owner = self.invented() + "/" if self.rng.random() < 0.2 else ""
        return owner + text + size

    def number(self, low: int, high: int) -> int:
        """A number of this split (numbers under ten belong to both)."""
        for _ in range(2000):
            value = self.rng.randint(low, high)
            if value < 10 or words.in_split(f"n{value}", self.split):
                return value
        raise RuntimeError("no number of this split found")

    def even_number(self) -> int:
        """A number whose digits repeat, such as 5000 or 4455: the hardest to copy."""
        while True:
            digits = [self.rng.choice("0123456789") * self.rng.randint(1, 4) for _ in range(self.rng.randint(1, 2))]
            value = int("".join(digits)[:5])
            if 0 < value < 10 or (value and words.in_split(f"n{value}", self.split)):
                return value

    def polish(self, text: str) -> str:
        """Small differences in how people type the same sentence."""
        if self.rng.random() < 0.12:
            text = self.rng.choice(("please, ", "hey, ", "cortex, ", "hi, ", "ok, ", "so, ")) + text
        if self.rng.random() < 0.5:
            text = text[:1].upper() + text[1:]
        if text[-1:] in "?." and self.rng.random() < 0.25:
            text = text[:-1]
        return self._chatty(text) if self.late and self.rng.random() < 0.15 else text

    def _chatty(self, text: str) -> str:
        """Words that change nothing, before or after."""
        if self.rng.random() < 0.5:
            lead = (
                "well, ",
                "question: ",
                "quick question: ",
                "I have a question. ",
                "excuse me, ",
                "one more thing: ",
                "now ",
                "tell me, ",
            )
            return self.rng.choice(lead) + text
        mark = text[-1:] if text[-1:] in "?." else ""
        return (
            text.rstrip("?.")
            + self.rng.choice((" please", ", please", " thanks", ", thank you", " now", ", quickly"))
            + mark
        )
