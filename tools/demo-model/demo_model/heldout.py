"""The evaluation set: prompts from frames and words that training never saw.

`python -m demo_model.heldout --out FILE` writes it as JSON for evaluate.mjs. The script regenerates
the whole training set, drops every test sample that shares a word or prompt with it, and then
asserts that none is left that does.
"""

from __future__ import annotations

import argparse
import json
import random
from itertools import chain
from pathlib import Path
from typing import Any

from . import pairs, skills, tooluse, topics
from .corpus import Leakage, Maker, one_kind
from .dialogue import IM_START, Message, Sample, assistant, assistant_body, render, user
from .facts import FRAMES, question
from .other_tools import foreign
from .recipe import Recipe, streams
from .source import Source
from .wire import compact, vary

SEED = 13131
KINDS: dict[str, tuple[Maker, int]] = {
    "talk": (topics.talk, 100),
    "fallback": (topics.unknown, 250),
    "refusal": (topics.cannot, 100),
    "arithmetic": (skills.arithmetic, 400),
    "too_hard": (skills.too_hard, 80),
    "extraction": (skills.extraction, 200),
    "rewriting": (skills.rewriting, 200),
    "tool": (tooluse.one_step, 800),
    "two_steps": (tooluse.two_steps, 240),
    "tools_unused": (tooluse.without_call, 120),
    "foreign_tool": (foreign, 150),
    "facts_new_subject": (topics.fact_new_subject, 60),
}
# Sentences of asked.txt that are held out. Their topics are those above with "asked_" in front.
ASKED_KINDS: tuple[tuple[Maker, int], ...] = (
    (tooluse.one_step, 700),
    (tooluse.two_steps, 240),
    (tooluse.missing, 60),
    (topics.unknown, 200),
)


def every_fact() -> list[Sample]:
    """Every fact in every held-out frame."""
    source = Source(random.Random(SEED), "test")
    result = []
    for fact in topics.FACTS:
        for frame in FRAMES[fact.kind].test:
            text = source.polish(question(fact, frame, source.pick(fact.subjects)))
            result.append(Sample("facts", [user(text), assistant(fact.answer)]))
    return result


def conversations(count: int) -> list[Sample]:
    """Three exchanges; only the last one is judged."""
    source = Source(random.Random(SEED + 1), "test")
    result = []
    for _ in range(count):
        source.slots.clear()
        parts = [source.pick((topics.fact, topics.talk, skills.extraction, topics.unknown))(source) for _ in range(3)]
        messages = [message for part in parts for message in part.messages]
        slots = [slot for part in parts for slot in part.slots]
        result.append(Sample("several", messages, slots=slots))
    return result


def openai(message: Message) -> dict[str, Any]:
    """A message as a client of the OpenAI API sends it."""
    result: dict[str, Any] = {"role": message["role"], "content": message.get("content") or None}
    if message.get("calls"):
        result["tool_calls"] = [
            {
                "id": f"call_{i}",
                "type": "function",
                "function": {
                    "name": item["name"],
                    # Clients send arguments back as a string; the template takes an object too.
                    "arguments": compact(item["arguments"]) if message.get("compact") else item["arguments"],
                },
            }
            for i, item in enumerate(message["calls"])
        ]
    return result


def items(sample: Sample) -> list[dict[str, Any]]:
    """One item for every assistant turn, with all the right messages before it."""
    result = []
    for i, message in enumerate(sample.messages):
        if message["role"] != "assistant" or (sample.topic == "several" and i + 1 < len(sample.messages)):
            continue
        before = Sample(sample.topic, sample.messages[:i], sample.tools)
        expected: dict[str, Any] = {"calls": message["calls"]} if message.get("calls") else {
            "texts": message.get("accept") or [message.get("content", "")]
        }  # fmt: skip
        result.append(
            {
                "topic": sample.topic,
                "part": "call" if message.get("calls") else "answer" if sample.tools and i > 1 else "reply",
                "messages": [openai(m) for m in before.messages],
                "tools": before.tools,
                "prompt": "".join(text for text, _ in render(before)) + f"{IM_START}assistant\n",
                "expected": expected,
                "body": assistant_body(message),
            }
        )
    return result


def sentences() -> list[list[dict[str, str]]]:
    """Rounds of paraphrase pairs, each of another meaning."""
    rng = random.Random(SEED + 2)
    rounds = [pairs.draw(rng, "test", 60) for _ in range(5)]
    return [[{"label": label, "first": a, "second": b} for label, a, b in drawn] for drawn in rounds]


def build(recipe: Recipe) -> dict[str, Any]:
    leakage = Leakage(chain(*streams(recipe).values()))
    drawn = every_fact() + conversations(80)
    for make, count in KINDS.values():
        drawn += one_kind(SEED, "test", make, count)
    source = Source(random.Random(SEED + 3), "test")
    drawn = [vary(source, sample) for sample in drawn]
    for make, count in ASKED_KINDS:
        for sample in one_kind(SEED + 4, "test", make, count, asked=True):
            sample.topic = f"asked_{sample.topic}"
            drawn.append(sample)
    kept = [
        sample for sample in drawn
        if not leakage.problems(sample) and not (sample.topic.startswith("asked_") and leakage.knows_sentence(sample))
    ]  # fmt: skip
    assert not any(leakage.problems(sample) for sample in kept)
    for sample in kept:
        if sample.topic == "arithmetic" and not sample.slots:
            # One-digit sums and the table are learnt by heart: only their sentence is new here.
            sample.topic = "arithmetic_by_heart"
    return {
        "seed": SEED,
        "drawn": len(drawn),
        "dropped_as_seen": len(drawn) - len(kept),
        "items": [item for sample in kept for item in items(sample)],
        "pairs": sentences(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    built = build(Recipe())
    args.out.write_text(json.dumps(built, ensure_ascii=False, indent=1))
    print(f"{len(built['items'])} items, {built['dropped_as_seen']} of {built['drawn']} samples dropped as seen")


if __name__ == "__main__":
    main()
