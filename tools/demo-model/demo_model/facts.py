"""What the model knows about cortex, taken from the project's own documents.

One block per fact: `kind | subject | subject ...` and below it the answer. The kind chooses the
question frames. A subject that begins with "!" is a wording kept for the evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

from .source import Frames, frames

FRAMES: dict[str, Frames] = {
    "command": frames("""
        what does {s} do?
        what is {s}?
        what is {s} for?
        what is the use of {s}?
        explain {s}.
        explain {s} to me.
        tell me about {s}.
        tell me what {s} does.
        when do I use {s}?
        why would I run {s}?
        how does {s} work?
        what happens when I run {s}?
        I want to know what {s} does.
        can you explain {s}?
        {s}?
        describe {s}.
        what do I need {s} for?
        ! can you tell me what {s} is for?
        ! what is the purpose of {s}?
        ! please explain what {s} does.
        ! give me a short description of {s}.
    """),
    "field": frames("""
        what does {s} mean?
        what is {s}?
        what is {s} for?
        what does {s} do?
        explain {s}.
        tell me about {s}.
        what is the meaning of {s}?
        what does {s} mean in a fleet file?
        what should I write in {s}?
        I do not understand {s}.
        how do I use {s}?
        {s}?
        what does {s} control?
        describe {s}.
        ! can you explain {s} to me?
        ! what is the purpose of {s}?
        ! tell me what {s} means.
        ! what effect has {s}?
    """),
    "thing": frames("""
        what is {s}?
        what is {s} in cortex?
        explain {s}.
        explain what {s} is.
        tell me about {s}.
        tell me what {s} is.
        what do you know about {s}?
        can you explain {s}?
        how does {s} work?
        what does {s} mean?
        describe {s}.
        what do you mean by {s}?
        I want to learn about {s}.
        {s}?
        ! please describe {s} to me.
        ! could you tell me what {s} is?
        ! give me a short explanation of {s}.
        ! what exactly is {s}?
    """),
    "value": frames("""
        what is {s}?
        what's {s}?
        tell me {s}.
        which is {s}?
        do you know {s}?
        can you tell me {s}?
        please tell me {s}.
        I need {s}.
        I want to know {s}.
        {s}?
        what was {s} again?
        I forgot {s}.
        give me {s}.
        ! could you give me {s}?
        ! please say {s}.
        ! I would like to know {s}.
        ! do you remember {s}?
    """),
    "how": frames("""
        how do I {s}?
        how can I {s}?
        how to {s}?
        what is the way to {s}?
        I want to {s}.
        I want to {s}, how?
        what must I do to {s}?
        tell me how to {s}.
        can you tell me how to {s}?
        is there a way to {s}?
        which command do I need to {s}?
        how does one {s}?
        explain how to {s}.
        how would I {s}?
        ! please show me how to {s}.
        ! what should I do to {s}?
        ! I need to {s}, how do I do that?
        ! can I {s}?
    """),
    "why": frames("""
        why {q} {s}?
        tell me why {s}.
        explain why {s}.
        what is the reason that {s}?
        why is it that {s}?
        how come {s}?
        I wonder why {s}.
        do you know why {s}?
        can you explain why {s}?
        what is the point, why {q} {s}?
        ! please tell me why {s}.
        ! I would like to know why {s}.
        ! for what reason {q} {s}?
    """),
}


@dataclass(frozen=True)
class Fact:
    """One thing to know, the ways to name it and the one answer."""

    kind: str
    subjects: tuple[str, ...]
    held_subjects: tuple[str, ...]
    answer: str


def parse_facts(text: str) -> list[Fact]:
    """Reads blocks of two lines: the head with kind and subjects, then the answer."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    facts = []
    for head, answer in zip(lines[::2], lines[1::2], strict=True):
        kind, *subjects = [part.strip() for part in head.split("|")]
        facts.append(
            Fact(
                kind=kind,
                subjects=tuple(s for s in subjects if not s.startswith("!")),
                held_subjects=tuple(s[1:].strip() for s in subjects if s.startswith("!")),
                answer=answer,
            )
        )
    return facts


def question(fact: Fact, frame: str, subject: str) -> str:
    """Fills a frame. "why" facts are clauses such as "does|a model have ..."; see the fact file."""
    if fact.kind != "why":
        return frame.replace("{s}", subject)
    auxiliary, inverted, plain = [part.strip() for part in subject.split("~")]
    if "{q}" in frame:
        return frame.replace("{q}", auxiliary).replace("{s}", inverted)
    return frame.replace("{s}", plain)
