"""Tokens on disk, and micro-batches of similar length."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from .dialogue import Sample, render

# The assistant's own words count fully; the rest a little, which teaches the language and copying.
CONTEXT_WEIGHT = 0.1
MAX_LENGTH = 512


@dataclass(frozen=True)
class Encoded:
    """All samples in one row: `offsets[i]` is where sample i begins."""

    ids: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray

    def save(self, path: Path) -> None:
        np.savez(path, ids=self.ids, weights=self.weights, offsets=self.offsets)

    @staticmethod
    def load(path: Path) -> Encoded:
        data = np.load(path)
        return Encoded(data["ids"], data["weights"], data["offsets"])

    def __len__(self) -> int:
        return len(self.offsets) - 1


def encode_sample(tokenizer: Tokenizer, sample: Sample) -> tuple[list[int], list[float]]:
    ids: list[int] = []
    weights: list[float] = []
    for text, learn in render(sample):
        piece = tokenizer.encode(text, add_special_tokens=False).ids
        ids += piece
        weights += [1.0 if learn else CONTEXT_WEIGHT] * len(piece)
    return ids, weights


def encode(tokenizer: Tokenizer, stream: Iterator[Sample]) -> Encoded:
    ids: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    offsets = [0]
    for sample in stream:
        tokens, weight = encode_sample(tokenizer, sample)
        if len(tokens) > MAX_LENGTH:
            continue
        ids.append(np.array(tokens, dtype=np.uint16))
        weights.append(np.array(weight, dtype=np.float16))
        offsets.append(offsets[-1] + len(tokens))
    return Encoded(np.concatenate(ids), np.concatenate(weights), np.array(offsets, dtype=np.int64))


def _pad(data: Encoded, chosen: list[int]) -> tuple[Tensor, Tensor]:
    longest = max(int(data.offsets[i + 1] - data.offsets[i]) for i in chosen)
    ids = np.zeros((len(chosen), longest), dtype=np.int64)
    weights = np.zeros((len(chosen), longest), dtype=np.float32)
    for row, i in enumerate(chosen):
        begin, end = data.offsets[i], data.offsets[i + 1]
        ids[row, : end - begin] = data.ids[begin:end]
        weights[row, : end - begin] = data.weights[begin:end]
    return torch.from_numpy(ids), torch.from_numpy(weights)


def micro_batches(data: Encoded, seed: int, tokens: int, pool: int = 4096) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless micro-batches of about `tokens` tokens, similar lengths together, in random order."""
    rng = random.Random(seed)
    while True:
        order = list(range(len(data)))
        rng.shuffle(order)
        for start in range(0, len(order), pool):
            part = sorted(order[start : start + pool], key=lambda i: int(data.offsets[i + 1] - data.offsets[i]))
            groups: list[list[int]] = [[]]
            for i in part:
                length = int(data.offsets[i + 1] - data.offsets[i])
                if length * (len(groups[-1]) + 1) > tokens and groups[-1]:
                    groups.append([])
                groups[-1].append(i)
            rng.shuffle(groups)
            for group in groups:
                yield _pad(data, group)
