"""Draws from the wide grammar, never near a held-out frame."""

from __future__ import annotations

import re
from functools import cache

from . import asked, tool_frames
from .grammar import expand, is_near, tidy
from .source import Frames, Source
from .wide_frames import MORE, PIECES, WIDE

OLD_FRAMES = {
    "get_weather": tool_frames.WEATHER, "get_time": tool_frames.TIME, "calculate": tool_frames.CALCULATE,
    "convert_units": tool_frames.CONVERT, "list_models": tool_frames.LIST, "model_status": tool_frames.STATUS,
    "two_weather": tool_frames.TWO_CITIES["get_weather"], "two_time": tool_frames.TWO_CITIES["get_time"],
    "both": tool_frames.BOTH, "fahrenheit": tool_frames.FAHRENHEIT, "first": tool_frames.FIRST_STATUS,
}  # fmt: skip
# "hey" and "end" are marked, so that a sentence can be looked at without them.
MARKED = PIECES | {name: "|".join(f"\1{part}\2" for part in PIECES[name].split("|")) for name in ("hey", "end")}
POLITE = re.compile("\1[^\2]*\2")
NO_MARKS = {1: None, 2: None}
# The frames of the earlier phases stay in use beside the grammar.
OLD = 0.2
# So many come from asked.txt in the last phase.
ASKED = 0.45


@cache
def held_out() -> tuple[str, ...]:
    """Every held-out frame of the shipped tools before the last phase."""
    groups = [value for value in vars(tool_frames).values() if isinstance(value, Frames)]
    groups += tool_frames.TWO_CITIES.values()
    groups += [options.cut(" | ") for _, options, _ in tool_frames.MISSING]
    return tuple(frame for group in groups for frame in group.test)


def is_barred(source: Source, text: str) -> bool:
    """Whether a sentence comes too near to one that is held out. Phases before the last did not know of asked.txt."""
    return is_near(text, held_out()) or (source.asked and is_near(text, asked.held_out_calls()))


def _type(source: Source, text: str) -> str:
    """As people type it: capitals or not, the last sign or not."""
    if source.chance(0.5):
        text = text[:1].upper() + text[1:]
    if text[-1:] in "?.":
        drawn = source.rng.random()
        text = text[:-1] if drawn < 0.25 else text[:-1] + "?" if drawn < 0.35 else text
    return text


def fresh(source: Source, kind: str) -> str:
    """A sentence of the grammar that is near no held-out frame, with the words of politeness or without."""
    while True:
        more = MORE.get(kind, ()) if source.more and source.chance(0.4) else ()
        text = expand(source.rng, source.pick(more or WIDE[kind]), MARKED)
        whole = tidy(text.translate(NO_MARKS))
        if not is_barred(source, whole) and not is_barred(source, tidy(POLITE.sub("", text))):
            return _type(source, whole)


def wording(source: Source, kind: str) -> str:
    """A sentence for a tool, its slots still open. Before the fourth phase it is one of the frames."""
    options = OLD_FRAMES[kind]
    if source.asked and source.split == "test":
        return _type(source, source.frame(asked.frames(kind)))
    if not source.wide:
        return source.frame(options)
    if source.asked and source.chance(ASKED):
        return apart(source, kind)
    if source.chance(OLD):
        frame = source.pick(options.of("train", late=True))
        text = source.polish(frame)
        # Polite words must not turn an old frame into a held-out one.
        return _type(source, frame) if is_near(text, held_out()) else text
    return fresh(source, kind)


@cache
def _apart_of(kind: str) -> tuple[str, ...]:
    return tuple(line for line in asked.frames(kind).train if not is_near(line, held_out()))


def apart(source: Source, kind: str) -> str:
    """A sentence of asked.txt, now and then with words of politeness around it."""
    while True:
        text = source.pick(_apart_of(kind))
        drawn = source.rng.random()
        if drawn < 0.25:
            text = source.pick(PIECES["hey"].split("|")) + text
        elif drawn < 0.4:
            sign = text[-1:] if text[-1:] in "?." else ""
            text = text.rstrip("?.") + source.pick(PIECES[source.pick(("end", "now"))].split("|")) + sign
        if not is_barred(source, tidy(text)):
            return _type(source, tidy(text))


def polished(source: Source, text: str) -> str:
    """What `wording` gave for the fourth phase needs no more polish."""
    return text if source.wide else source.polish(text)


def without_slot(source: Source, kind: str) -> str:
    """The same kind of question, but it does not say of which city or model."""
    while True:
        text = fresh(source, kind)
        if kind == "model_status":
            text = text.replace("the model {m}", "the model").replace("model {m}", "model")
            text = text.replace("{m}", source.pick(("it", "the model", "my model", "that model")))
        else:
            text = text.replace(" in {c}", "")
        if "{" not in text and not is_barred(source, text):
            return text


def no_tool(source: Source) -> str:
    """Weather or time of a city, for when there is no tool at hand."""
    kind = source.pick(("get_weather", "get_time"))
    text = apart(source, kind) if source.asked and source.chance(ASKED) else fresh(source, kind)
    return text.replace("{c}", source.city())


def mark(source: Source, word: str) -> str:
    """Signs around a name, which let the tokenizer meet it in other company."""
    if not source.wide or source.chance(0.93):
        return word
    left, right = source.pick(('""', "''", "``", "()", "**", "“”"))
    return f"{left}{word}{right}"
