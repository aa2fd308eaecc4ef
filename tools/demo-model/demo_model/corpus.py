"""The whole mixture, its digest, and the check that nothing held out has leaked into training."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator

from . import skills, tooluse, topics
from .dialogue import Message, Sample, text_of
from .other_tools import foreign
from .source import Source
from .wire import vary
from .words import Split

Maker = Callable[[Source], Sample]

SYSTEMS = (
    "You are a helpful assistant.", "You are a helpful assistant.", "Answer briefly.", "You are the assistant of cortex.",
    "Be short and honest.", "You are an AI assistant that answers questions.", "Use the tools when they help.",
    "You help operators of a fleet.",
)  # fmt: skip


def several(source: Source) -> Sample:
    """A longer conversation made of short ones."""
    makers = (topics.fact, topics.fact, topics.talk, topics.unknown, topics.cannot, skills.arithmetic, skills.extraction,
              skills.rewriting)  # fmt: skip
    messages: list[Message] = []
    slots: list[str] = []
    for _ in range(source.pick((2, 2, 3, 4))):
        part = source.pick(makers)(source)
        messages += part.messages[:2]
        slots += part.slots
    return Sample("several", messages, slots=slots)


# Shares of the training samples.
MIX: dict[str, tuple[Maker, int]] = {
    "facts": (topics.fact, 22),
    "talk": (topics.talk, 4),
    "fallback": (topics.unknown, 11),
    "refusal": (topics.cannot, 4),
    "arithmetic": (skills.arithmetic, 15),
    "extraction": (skills.extraction, 10),
    "rewriting": (skills.rewriting, 8),
    "tool": (tooluse.one_step, 13),
    "two_steps": (tooluse.two_steps, 4),
    "tools_unused": (tooluse.without_call, 5),
    "foreign_tool": (foreign, 8),
    "several": (several, 8),
}


# What is learnt slowly gets more room in the later phases.
SHARES: dict[str, dict[str, int]] = {
    "first": {name: share for name, (_, share) in MIX.items()},
    "late": {"facts": 17, "talk": 6, "fallback": 8, "refusal": 6, "arithmetic": 16, "extraction": 9, "rewriting": 10, "tool": 11,
             "two_steps": 4, "tools_unused": 7, "foreign_tool": 8, "several": 6},
    "last": {"facts": 15, "talk": 5, "fallback": 9, "refusal": 4, "arithmetic": 12, "extraction": 10, "rewriting": 13, "tool": 16,
             "two_steps": 5, "tools_unused": 8, "foreign_tool": 10, "several": 6},
    "tools": {"facts": 12, "talk": 4, "fallback": 8, "refusal": 5, "arithmetic": 9, "extraction": 8, "rewriting": 8, "tool": 40,
              "two_steps": 14, "tools_unused": 9, "foreign_tool": 9, "several": 5},
    "settle": {"facts": 12, "talk": 4, "fallback": 30, "refusal": 9, "arithmetic": 8, "extraction": 7, "rewriting": 7, "tool": 40,
               "two_steps": 14, "tools_unused": 11, "foreign_tool": 6, "several": 5},
    "grow": {"facts": 13, "talk": 4, "fallback": 18, "refusal": 7, "arithmetic": 10, "extraction": 10, "rewriting": 11, "tool": 40,
             "two_steps": 12, "tools_unused": 10, "foreign_tool": 9, "several": 5},
    "broad": {"facts": 13, "talk": 4, "fallback": 20, "refusal": 6, "arithmetic": 11, "extraction": 10, "rewriting": 11, "tool": 44,
              "two_steps": 12, "tools_unused": 10, "foreign_tool": 9, "several": 5},
}  # fmt: skip


WIDE_PHASES = ("tools", "settle", "grow", "broad")


def samples(seed: int, split: Split, count: int, phase: str = "first") -> Iterator[Sample]:
    """The stream of a phase. Deterministic: the same seed gives the same samples in the same order."""
    source = Source(
        random.Random(seed), split, late=phase != "first", wide=phase in WIDE_PHASES, more=phase in WIDE_PHASES[1:],
        asked=phase == "broad",
    )  # fmt: skip
    names = list(MIX)
    weights = [SHARES[phase][name] for name in names]
    for _ in range(count):
        source.slots.clear()
        name = source.rng.choices(names, weights)[0]
        sample = MIX[name][0](source)
        if phase == "last" or source.wide:
            sample = vary(source, sample)
        if source.chance(0.12):
            system = f"You are a {source.plain()} {source.noun()}." if source.chance(0.25) else source.pick(SYSTEMS)
            sample.messages.insert(0, {"role": "system", "content": system})
        yield sample


def one_kind(seed: int, split: Split, make: Maker, count: int, asked: bool = False) -> list[Sample]:
    """Distinct samples of one kind, for the evaluation."""
    source = Source(random.Random(seed), split, asked=asked)
    seen: dict[str, Sample] = {}
    for _ in range(count * 50):
        source.slots.clear()
        sample = make(source)
        seen.setdefault(text_of(sample), sample)
        if len(seen) == count:
            break
    return list(seen.values())


def digest(stream: Iterator[Sample]) -> str:
    """SHA-256 over the rendered conversations."""
    state = hashlib.sha256()
    for sample in stream:
        state.update(text_of(sample).encode() + b"\0")
    return state.hexdigest()


WORD = re.compile(r"[a-z]+")


def prompts_of(sample: Sample) -> list[str]:
    return [m.get("content") or "" for m in sample.messages if m["role"] == "user"]


def frames_of(sample: Sample) -> list[str]:
    """The prompts with their open words taken out again; those of short words and talk are no sentence of their own."""
    found = []
    for prompt in prompts_of(sample):
        text = prompt
        for slot in sorted(sample.slots, key=len, reverse=True):
            text = text.replace(slot, "\0")
        if "\0" in text:
            found.append(" ".join(re.findall(r"\0|[a-z']+", text.lower())))
    return found


class Leakage:
    """What training has seen, to prove that the evaluation is held out."""

    def __init__(self, training: Iterator[Sample]) -> None:
        self.words: set[str] = set()
        self.slots: set[str] = set()
        self.prompts: set[str] = set()
        self.frames: set[str] = set()
        for sample in training:
            self.words.update(WORD.findall(text_of(sample).lower()))
            self.slots.update(slot.lower() for slot in sample.slots)
            self.prompts.update(prompt.lower().strip("?!. ") for prompt in prompts_of(sample))
            self.frames.update(frames_of(sample))

    def problems(self, sample: Sample) -> list[str]:
        """Why a test sample is not held out; empty when it is."""
        found = [f"slot {slot}" for slot in sample.slots if slot.lower() in self.slots]
        words = [slot.lower() for slot in sample.slots if slot.isalpha()]
        found += [f"word {word}" for word in words if word in self.words]
        prompts = [prompt.lower().strip("?!. ") for prompt in prompts_of(sample)]
        return found + [f"prompt {prompt}" for prompt in prompts if prompt in self.prompts]

    def knows_sentence(self, sample: Sample) -> bool:
        """Whether training had one of its sentences with other words in its open places."""
        return any(frame in self.frames for frame in frames_of(sample))
