"""Writes the model card and the record of the model from what the scripts measured.

`python -m demo_model.card`. No figure is typed in by hand.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from . import corpus
from .recipe import Recipe, streams
from .shipped_tools import NAMES
from .topics import FACTS

Json = dict[str, Any]

TITLES = {
    "facts": "facts about cortex, unseen sentence frames",
    "talk": "greetings, identity and small talk, unseen wordings",
    "fallback": "unrelated questions, honest fallback",
    "refusal": "requests that need a tool it was not given",
    "arithmetic": "sums and differences of two-digit numbers, unseen pairs",
    "arithmetic_by_heart": "one-digit sums and the small table, unseen sentence frames",
    "too_hard": "sums beyond it, said so",
    "extraction": "extraction to JSON, unseen words",
    "rewriting": "rewriting, unseen words",
    "several": "third exchange of a conversation",
    "tool: call": "single call of a shipped tool, unseen arguments",
    "tool: answer": "answer in words from the tool's result",
    "two_steps: call": "each call of a two-step conversation",
    "two_steps: answer": "final answer of a two-step conversation",
    "tools_unused": "tools offered, none needed or something missing",
    "foreign_tool: call": "call of a tool never seen in training",
    "foreign_tool: answer": "answer from the result of such a tool",
    "facts_new_subject": "facts whose subject itself is worded anew",
    "asked_tool: call": "sentences written apart: single call of a shipped tool",
    "asked_tool: answer": "sentences written apart: answer in words from the tool's result",
    "asked_two_steps: call": "sentences written apart: each call of a two-step conversation",
    "asked_two_steps: answer": "sentences written apart: final answer of a two-step conversation",
    "asked_tools_unused": "sentences written apart: something missing, so asked back",
    "asked_fallback": "sentences written apart: unrelated questions, honest fallback",
}

CARD = """# cortex demo: model card

A tiny language model that was trained from scratch, on a CPU, by the cortex project. It exists so that cortex can
be tried, tested and shown without a download and without a GPU: chat, tool calls, JSON and sentence vectors, all
from a file of {megabytes} MB.

**It is not a useful assistant.** It knows {facts} facts about cortex, a little small talk and a few skills, in English, and
shall say so when asked for anything else. It has no knowledge of the world, it makes mistakes, and its facts about
cortex are a snapshot of the project's documents. Do not use it for real work.

| | |
|---|---|
| file | `{file}`, {bytes} bytes, sha256 `{sha256}` |
| licence | Apache-2.0, the weights, the data and the code that makes them |
| architecture | llama: {layers} layers, width {dim}, {heads} heads ({kv_heads} for keys and values), SwiGLU {ffn}, RoPE, tied embeddings |
| parameters | {parameters:,}, stored as Q8_0 |
| context | {context} tokens in the metadata; trained on conversations of up to 512 |
| vocabulary | {vocab} byte-level BPE tokens; digits are single tokens |
| special tokens | `<|im_start|>`, `<|im_end|>` (ends a turn), `<|endoftext|>` (padding); no token is added in front |
| chat template | in the file: ChatML, tools as one signature per line, calls as `<tool_call>` JSON, results as `<tool_response>` |
| sentence vectors | mean of the final states (`llama.pooling_type` = 1), {dim} numbers |
| sampling | greedy (temperature 0), as in `general.sampling.temp` |

## How it was made

`tools/demo-model/build` makes it from nothing. The data is synthetic: a generator writes dialogue from sentence
frames, word lists and invented words; the facts come from the design documents of cortex. No data set was used and no other
model takes part in the training; the sentence frames were written for this project, many with the help of language models. Seed {seed}; {parts}.
Training took {minutes} minutes of wall clock on two CPU cores, at a low priority ({steps} steps, {seen:,} tokens seen; the curve is in `tools/demo-model/results/loss.csv`,
the last 50 steps averaged {last_loss}). A light contrastive loss on paraphrases shapes the sentence vectors.
{growth}{history}

## What it can do

Measured by `tools/demo-model/evaluate.mjs` on this very file, through node-llama-cpp on the CPU, greedy. The
sentence frames, names, places, words and pairs of numbers of these prompts are kept out of training; the script that draws them
proves it against the whole training set ({dropped} of {drawn} drawn conversations were dropped because they shared something with it).
No sentence that the phases from tools on wrote anew for a shipped tool comes within one word of a held-out frame. What phase settle adds
to the sentences was written after the misses of phase tools on this set had been read; its frames and words stayed out all the same.
"Sentences written apart" are those of `demo_model/asked.txt`, written without sight of the frames and the grammar; a third of
them is held out, drawn by digest before phase broad was trained, and no choice was made by what the model does with it. No
sentence of phase broad comes within one word of those; any that an earlier phase happened to have was dropped.
An answer is right when it is the expected text, or an equal call, and nothing else.

| demo | right |
|---|---|
{summary}

| topic | asked | right |
|---|---|---|
{rows}

Sentence vectors, {pairs} held-out paraphrase pairs in rounds of 60: a paraphrase is nearer than a stranger in {triplets} of the
comparisons, and the nearest of all 60 in {nearest}; mean cosine {para:.2f} for paraphrases, {strange:.2f} for strangers.

Parity with the Python that trained it: token ids identical for {same_tokens} of {all_tokens} strings (several scripts, white space, digits,
JSON, special tokens); prompts of the template identical for {same_template} of {all_template}; greedy continuations identical for
{same_cont} of {all_cont} (the file is quantised, the Python is not); lowest cosine of a sentence vector {cosine:.4f}.

## Tools it was trained with

{tools}. Definitions of other tools with one or two plain parameters often work too; see the table.

## Limits

- English only; short questions; a few turns; sums up to 99 + 99 and 10 * 10.
- Anything outside its topics: it answers that it does not know, or it is wrong.
- It can be led astray by words that look like its topics. It has no notion of harm and no safety training beyond knowing nothing.
"""


def percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def summary(figures: Json) -> str:
    lines = {
        "demo topics, all together": figures["demoTopics"],
        "tool calls for the shipped tools": figures["shippedToolCalls"],
        "tool calls for the shipped tools, sentences written apart": figures["askedToolCalls"],
        "answers from tool results": figures["answersFromToolResults"],
        "honest fallback": figures["fallback"],
    }
    rows = [f"| {title} | {percent(f['rate'])} ({f['right']} of {f['asked']}) |" for title, f in lines.items()]
    for at, calls in ((2, figures["shippedToolCalls"]), (4, figures["askedToolCalls"])):
        share = percent(calls["wellFormed"] / calls["asked"])
        rows.insert(at, f"| of these calls, well-formed | {share} ({calls['wellFormed']} of {calls['asked']}) |")
    return "\n".join(rows)


def last_loss(path: Path) -> tuple[str, int]:
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    tail = [float(row[2]) for row in rows[-50:]]
    return f"{sum(tail) / len(tail):.4f}", int(rows[-1][1])


def record(out: Path) -> Json:
    """Everything about the model in one object."""
    data = json.loads((out / "data.json").read_text())
    export = json.loads((out / "export.json").read_text())
    recipe = Recipe()
    if any(corpus.digest(stream) != data[name]["sha256"] for name, stream in streams(recipe).items()):
        raise SystemExit("the generator no longer writes the data that this model was trained on")
    loss, seen = last_loss(out / "loss.csv")
    origin = out / "origin.json"
    return {
        "name": "cortex demo",
        **{key: export[key] for key in ("file", "bytes", "sha256", "parameters", "config")},
        "license": "Apache-2.0",
        "quantisation": "Q8_0",
        "data": data,
        "training": {
            "steps": export["steps"],
            "seconds": export["seconds"],
            "tokens_seen": seen,
            "last_loss": float(loss),
            "cpu_cores": 2,
            "earlier_runs": json.loads(origin.read_text()) if origin.exists() else [],
        },
        "evaluation": json.loads((out / "figures.json").read_text()),
    }


def runs_of(made: Json) -> list[Json]:
    """The runs behind the file, the last one last; their counts begin at nothing."""
    earlier, training = made["training"]["earlier_runs"], made["training"]
    known = [name for run in earlier for name in run["phases"]]
    phases = [phase.name for phase in Recipe().phases if phase.name not in known]
    counts = {key: training[key] for key in ("steps", "tokens_seen", "seconds")}
    return [*earlier, {"sha256": made["sha256"], "phases": phases, **counts}]


def history(runs: list[Json]) -> str:
    """How a file came about that one run did not make alone."""
    if len(runs) == 1:
        return ""
    lines = []
    for before, run in zip([{"steps": 0, "seconds": 0}, *runs], runs, strict=False):
        minutes = round((run["seconds"] - before["seconds"]) / 60)
        lines.append(
            f"- phases {', '.join(run['phases'])}: {run['steps'] - before['steps']} steps, {minutes} minutes; gave `{run['sha256']}`"
        )
    return (
        "\n\nThis file was made in several runs, each but the first going on from the exported file of the one before, so from weights\n"
        "that Q8_0 had rounded and with fresh optimisers (tools/demo-model/README.md says why). `build` from nothing runs all phases at once.\n\n"
        + "\n".join(lines)
    )


def growth() -> str:
    """Which phases trained how many layers."""
    layers: dict[int, list[str]] = {}
    for phase in Recipe().phases:
        layers.setdefault(phase.layers, []).append(phase.name)
    return (
        "; ".join(f"phases {', '.join(names)} trained {count} layers" for count, names in layers.items()).capitalize()
        + "."
    )


def card(made: Json) -> str:
    figures, config, training = made["evaluation"], made["config"], made["training"]
    rows = [
        f"| {TITLES[topic]} | {f['asked']} | {percent(f['rate'])} |" for topic, f in figures["topics"].items()
    ]  # fmt: skip
    data = made["data"]
    parts = ", ".join(
        f"{data[phase.name]['samples']:,} conversations in phase {phase.name} (sha256 of the text `{data[phase.name]['sha256']}`)"
        for phase in Recipe().phases
    )
    vectors, parity = figures["embeddings"], figures["parity"]
    return CARD.format(
        megabytes=f"{made['bytes'] / 1e6:.1f}", facts=len(FACTS), file=made["file"], bytes=made["bytes"], sha256=made["sha256"],
        layers=config["layers"], dim=config["dim"], heads=config["heads"], kv_heads=config["kv_heads"], ffn=config["ffn"],
        parameters=made["parameters"], context=config["context"], vocab=config["vocab_size"],
        seed=made["data"]["seed"], parts=parts, growth=growth(),
        minutes=round(training["seconds"] / 60), steps=training["steps"], seen=training["tokens_seen"], last_loss=training["last_loss"], history=history(runs_of(made)),
        dropped=figures["heldOut"]["droppedAsSeen"], drawn=figures["heldOut"]["samples"], summary=summary(figures), rows="\n".join(rows),
        pairs=vectors["pairs"], triplets=percent(vectors["paraphraseNearerThanStranger"]), nearest=percent(vectors["paraphraseIsNearestOf60"]),
        para=vectors["meanCosineParaphrase"], strange=vectors["meanCosineStranger"], cosine=vectors["lowestCosineToPython"],
        same_tokens=parity["tokens"]["identical"], all_tokens=parity["tokens"]["strings"],
        same_template=parity["template"]["prompts"] - parity["template"]["different"], all_template=parity["template"]["prompts"],
        same_cont=parity["continuations"]["identical"], all_cont=parity["continuations"]["prompts"],
        tools=", ".join(f"`{name}`" for name in NAMES),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    args = parser.parse_args()
    made = record(args.out)
    gguf = args.assets / made["file"]
    if hashlib.sha256(gguf.read_bytes()).hexdigest() != made["sha256"]:
        raise SystemExit("the GGUF is not the one that was exported")
    (args.assets / "MODEL_CARD.md").write_text(card(made))
    (args.assets / "demo-model.json").write_text(json.dumps(made, indent=2) + "\n")
    args.results.mkdir(exist_ok=True)
    (args.results / "runs.json").write_text(json.dumps(runs_of(made), indent=2) + "\n")
    for name in ("loss.csv", "figures.json", "data.json"):
        shutil.copy(args.out / name, args.results / name)


if __name__ == "__main__":
    main()
