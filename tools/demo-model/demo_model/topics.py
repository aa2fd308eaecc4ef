"""Small talk, facts about cortex, and honest answers where the model does not know or cannot do."""

from __future__ import annotations

from pathlib import Path

from . import asked, wide
from .dialogue import Message, Sample, assistant, user
from .facts import FRAMES, Fact, parse_facts, question
from .source import Source
from .talk_frames import CANNOT, TALK
from .unrelated_frames import DONT_KNOW, STRANGE_CORTEX, UNRELATED

FACTS: list[Fact] = parse_facts((Path(__file__).parent / "cortex_facts.txt").read_text(encoding="utf-8"))


def fill(source: Source, frame: str) -> str:
    """Puts drawn words into a frame of unrelated talk."""
    makers = {
        "{n}": source.noun, "{m}": source.noun, "{c}": source.city, "{p}": source.name,
        "{x}": source.plain, "{w}": source.invented,
    }  # fmt: skip
    for slot, make in makers.items():
        if slot in frame:
            frame = frame.replace(slot, make())
    return frame.replace("{a}", source.pick(("a", "an", "the", "")))


def fact_question(source: Source, fact: Fact) -> str:
    return question(fact, source.frame(FRAMES[fact.kind]), source.pick(fact.subjects))


def fact(source: Source) -> Sample:
    chosen = source.pick(FACTS)
    text = source.polish(fact_question(source, chosen))
    return Sample("facts", [user(text), assistant(chosen.answer)], slots=source.take_slots())


def fact_new_subject(source: Source) -> Sample:
    """Evaluation only: the wording of the subject itself was never trained."""
    chosen = source.pick([f for f in FACTS if f.held_subjects])
    frame = source.pick(FRAMES[chosen.kind].train)
    text = question(chosen, frame, source.pick(chosen.held_subjects))
    return Sample("facts_new_subject", [user(text), assistant(chosen.answer)], slots=source.take_slots())


def talk(source: Source) -> Sample:
    options, answers = TALK[source.pick(list(TALK))]
    text = source.frame(options)
    text = text if source.chance(0.5) else text[:1].upper() + text[1:]
    if source.chance(0.2):
        text = text.rstrip("?!.")
    return Sample("talk", [user(text), assistant(source.pick(answers), answers)])


def unknown(source: Source) -> Sample:
    if source.asked and (source.split == "test" or source.chance(0.5)):
        frame = source.frame(asked.frames(source.pick(("unrelated", "unrelated", "unrelated_plain"))))
    else:
        frame = source.frame(UNRELATED if source.chance(0.8) else STRANGE_CORTEX)
    text = source.polish(fill(source, frame).replace("  ", " "))
    return Sample("fallback", [user(text), assistant(source.pick(DONT_KNOW), DONT_KNOW)], slots=source.take_slots())


def cannot(source: Source) -> Sample:
    if source.wide and source.chance(0.35):
        _, answers = CANNOT[0]
        return Sample(
            "refusal", [user(wide.no_tool(source)), assistant(source.pick(answers), answers)], slots=source.take_slots()
        )
    options, answers = source.pick(CANNOT)
    text = source.polish(fill(source, source.frame(options)))
    return Sample("refusal", [user(text), assistant(source.pick(answers), answers)], slots=source.take_slots())


def chat_turns(source: Source) -> list[Message]:
    """One small-talk, fact or fallback exchange, for use inside longer conversations."""
    make = source.pick((fact, fact, talk, unknown))
    return make(source).messages
