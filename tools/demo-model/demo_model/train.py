"""Trains the model on the CPU: `python -m demo_model.train`. See the README for the recipe.

`--from-gguf FILE --curve CSV` trains only phase grow and what follows, on from an exported file of the phases before and
the loss curve of their run, for when their checkpoint is gone. The optimisers then begin anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TextIO

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from . import pairs, restore
from .dataset import micro_batches
from .model import DemoModel, ModelConfig, grown
from .optim import optimisers
from .recipe import CONTINUE_AT, Phase, Recipe, prepare

# Says of a run that went on from an exported file which runs had made that one.
ORIGIN = "origin.json"


@dataclass
class Progress:
    """Where a run is, and what it takes to go on."""

    first_phase: int = 0
    phase: int = 0
    phase_step: int = 0
    phase_seconds: float = 0.0
    step: int = 0
    seen: int = 0
    seconds: float = 0.0


def batch_loss(model: DemoModel, ids: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of weighted losses and sum of weights for the next-token task."""
    logits = model.logits(model.hidden(ids[:, :-1]))
    losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    target = weights[:, 1:].flatten()
    return (losses * target).sum(), target.sum()


def sentence_vectors(model: DemoModel, encoder: Tokenizer, texts: list[str]) -> Tensor:
    """Mean of the final states, as llama.cpp pools them."""
    rows = [encoder.encode(text, add_special_tokens=False).ids for text in texts]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1.0] * len(row) + [0.0] * (longest - len(row)) for row in rows])
    hidden = model.hidden(ids) * mask.unsqueeze(-1)
    return F.normalize(hidden.sum(1) / mask.sum(1, keepdim=True), dim=-1)


def pair_loss(model: DemoModel, encoder: Tokenizer, rng: random.Random, recipe: Recipe) -> Tensor:
    """InfoNCE: a sentence must be nearest to its own paraphrase among all of the batch."""
    drawn = pairs.draw(rng, "train", recipe.pair_count)
    vectors = sentence_vectors(model, encoder, [a for _, a, _ in drawn] + [b for _, _, b in drawn])
    first, second = vectors.chunk(2)
    scores = first @ second.T / recipe.pair_temperature
    target = torch.arange(len(drawn))
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


def limit_seconds(recipe: Recipe, at: Progress) -> float:
    """The part of the run's wall clock that a phase may take: by its share of the work."""
    phases = recipe.phases[at.first_phase :]
    return 60 * recipe.minutes * recipe.phases[at.phase].work / sum(phase.work for phase in phases)


def share(recipe: Recipe, at: Progress) -> float:
    """From 0 to 1 in a phase. The wall clock may cut it short; the rate then still ends at its lowest."""
    return max(at.phase_step / recipe.phases[at.phase].steps, at.phase_seconds / limit_seconds(recipe, at))


def rate(recipe: Recipe, at: Progress) -> float:
    """Warms up, then straight from the peak to the end."""
    phase = recipe.phases[at.phase]
    if at.phase_step < phase.warmup:
        return phase.peak * (at.phase_step + 1) / phase.warmup
    return phase.peak + (phase.end - phase.peak) * share(recipe, at)


class Trainer:
    """One run over all phases."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        self.recipe, self.out = recipe, out
        torch.manual_seed(recipe.seed)
        self.encoder, self.data = prepare(recipe, out)
        config = ModelConfig(vocab_size=self.encoder.get_vocab_size(), layers=recipe.phases[0].layers)
        self.adopt(DemoModel(config))
        self.at = Progress()

    def adopt(self, model: DemoModel) -> None:
        """The network to train, with optimisers that know nothing yet."""
        self.model = model
        self.opts = optimisers(model, self.recipe.matrix_lr, self.recipe.other_lr)
        self.base = [group["lr"] for opt in self.opts for group in opt.param_groups]

    def resume(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        self.adopt(DemoModel(ModelConfig(**state["config"])))
        self.model.load_state_dict(state["model"])
        for opt, saved in zip(self.opts, state.get("optimisers", []), strict=False):
            opt.load_state_dict(saved)
        self.at = Progress(**{field.name: state[field.name] for field in fields(Progress)})

    def continue_from(self, exported: Path, curve: Path) -> None:
        """Takes the weights of an exported file and the count of steps from its curve; phase grow comes next."""
        vocabulary = self.encoder.get_vocab()
        if restore.tokens_of(exported) != sorted(vocabulary, key=vocabulary.__getitem__):
            raise SystemExit(f"{exported.name} has another vocabulary than the tokenizer of this recipe")
        self.model.load_state_dict(restore.state_of(exported, self.model.config))
        shutil.copyfile(curve, self.out / "loss.csv")
        runs = restore.runs_behind(exported, curve, [phase.name for phase in self.recipe.phases[:CONTINUE_AT]])
        (self.out / ORIGIN).write_text(json.dumps(runs) + "\n")
        last = runs[-1]
        self.at = Progress(
            CONTINUE_AT, CONTINUE_AT, step=last["steps"], seen=last["tokens_seen"], seconds=last["seconds"]
        )

    def save(self, name: str) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimisers": [opt.state_dict() for opt in self.opts],
            "config": self.model.config.as_dict(),
            "recipe": asdict(self.recipe),
            **asdict(self.at),
        }
        temporary = self.out / f"{name}.tmp"
        torch.save(state, temporary)
        temporary.replace(self.out / f"{name}.pt")

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], rng: random.Random) -> tuple[float, float]:
        """One update; the two losses."""
        scale = rate(self.recipe, self.at)
        for lr, group in zip(self.base, (g for opt in self.opts for g in opt.param_groups), strict=True):
            group["lr"] = lr * scale
        parts = [next(batches) for _ in range(self.recipe.micro_per_step)]
        total = sum(float(weights[:, 1:].sum()) for _, weights in parts)
        value, pair_value = 0.0, float("nan")
        for ids, weights in parts:
            loss, _ = batch_loss(self.model, ids, weights)
            (loss / total).backward()
            value += loss.item() / total
            self.at.seen += ids.numel()
        if self.at.step % self.recipe.pair_every == 0:
            loss = pair_loss(self.model, self.encoder, rng, self.recipe)
            (loss * self.recipe.pair_weight).backward()
            pair_value = loss.item()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for opt in self.opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        return value, pair_value

    def run(self) -> None:
        with (self.out / "loss.csv").open("a" if self.at.step else "w", newline="") as file:
            if not self.at.step:
                (self.out / ORIGIN).unlink(missing_ok=True)
                csv.writer(file).writerow(["step", "tokens", "loss", "pair_loss", "seconds"])
            while self.at.phase < len(self.recipe.phases):
                self.run_phase(self.recipe.phases[self.at.phase], file)
                self.at.phase, self.at.phase_step, self.at.phase_seconds = self.at.phase + 1, 0, 0.0
                self.save("checkpoint")
        self.save("model")

    def run_phase(self, phase: Phase, file: TextIO) -> None:
        recipe, at, log = self.recipe, self.at, csv.writer(file)
        if phase.layers > self.model.config.layers:
            self.adopt(grown(self.model, phase.layers))
        print(f"{phase.name}: {self.model.parameter_count()} parameters, from step {at.step}", flush=True)
        rng = random.Random(recipe.seed + at.step)
        batches = micro_batches(self.data[phase.name], recipe.seed + at.phase, recipe.micro_tokens)
        for _ in range(at.phase_step * recipe.micro_per_step):
            next(batches)  # A resumed phase goes on with the data that it had not seen.
        before, phase_before, begin = at.seconds, at.phase_seconds, time.monotonic()
        while share(recipe, at) < 1:
            value, pair_value = self.step(batches, rng)
            elapsed = time.monotonic() - begin
            at.seconds, at.phase_seconds = before + elapsed, phase_before + elapsed
            log.writerow([at.step, at.seen, f"{value:.4f}", f"{pair_value:.4f}", f"{at.seconds:.1f}"])
            if at.step % 20 == 0:
                print(f"{phase.name} step {at.step} loss {value:.3f} tokens {at.seen} {at.seconds:.0f} s", flush=True)
                file.flush()
            at.step += 1
            at.phase_step += 1
            if at.step % 100 == 0:
                self.save("checkpoint")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--minutes", type=float, default=Recipe.minutes, help="wall clock for all phases; each has its part of it"
    )
    parser.add_argument("--resume", type=Path, help="a checkpoint to go on from")
    parser.add_argument(
        "--from-gguf", type=Path, help="an exported file of the phases before phase grow, to train on from"
    )
    parser.add_argument("--curve", type=Path, help="with --from-gguf: the loss curve of the run that made the file")
    args = parser.parse_args()
    if bool(args.from_gguf) != bool(args.curve) or (args.from_gguf and args.resume):
        parser.error("--from-gguf and --curve belong together, and exclude --resume")
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(Recipe(minutes=args.minutes), args.out)
    if args.resume:
        trainer.resume(args.resume)
    if args.from_gguf:
        trainer.continue_from(args.from_gguf, args.curve)
    trainer.run()


if __name__ == "__main__":
    main()
