"""Sentences written apart, without sight of the frames and the grammar: `asked.txt` and `asked_more.txt`.

A third of the first file, drawn by digest, is held out: what the model does with those says how it does with sentences
that were not made for it. All of the second is for training.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .grammar import is_near
from .source import Frames
from .words import held_out

FILE = Path(__file__).parent / "asked.txt"
MORE_FILE = Path(__file__).parent / "asked_more.txt"
HELD_OUT_PERCENT = 33


def sections(text: str) -> dict[str, list[str]]:
    """The lines of the file under their headings."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            current = found.setdefault(line.strip("[]"), [])
        elif line.strip():
            current.append(line)
    return found


@cache
def _all() -> dict[str, Frames]:
    result = {}
    more = sections(MORE_FILE.read_text(encoding="utf-8"))
    for kind, lines in sections(FILE.read_text(encoding="utf-8")).items():
        test = tuple(line for line in lines if held_out(line, HELD_OUT_PERCENT))
        train = tuple(line for line in lines + more[kind] if line not in test and not is_near(line, test))
        result[kind] = Frames(train, (), test)
    return result


def frames(kind: str) -> Frames:
    """What was asked for in this kind of request; the kinds are the headings of the file."""
    return _all()[kind]


@cache
def held_out_calls() -> tuple[str, ...]:
    """Every held-out sentence that wants a shipped tool."""
    return tuple(line for kind, options in _all().items() if not kind.startswith("unrelated") for line in options.test)
