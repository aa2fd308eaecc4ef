"""The way back from an exported GGUF to the network, for training on where no checkpoint was kept.

Q8_0 keeps eight bits of every weight of the matrices, so what comes back is what the engine runs, not
what was trained. `check_restore` in check_data.py holds this to the export.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import gguf
import numpy as np
import torch

from .export import FIXED_NAMES, LAYER_NAMES
from .model import ModelConfig

# Which runs made the file that the project ships; written beside its card.
RUNS = Path(__file__).parent.parent / "results" / "runs.json"


def unpermute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undoes `export.permute`: rows from "neighbouring pairs" back to "two halves"."""
    head_dim = weight.shape[0] // heads
    return weight.reshape(heads, head_dim // 2, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def tokens_of(file: Path) -> list[str]:
    """The vocabulary in the file, in order."""
    return gguf.GGUFReader(file).get_field("tokenizer.ggml.tokens").contents()


def runs_behind(file: Path, curve: Path, phases: list[str]) -> list[dict[str, object]]:
    """The runs that made a file, the last one last: as they were kept, or what the file and its curve say of one."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    known = json.loads(RUNS.read_text()) if RUNS.exists() else []
    for i, run in enumerate(known):
        if run["sha256"] == digest:
            return known[: i + 1]
    step, seen, _, _, seconds = curve.read_text().splitlines()[-1].split(",")
    counts = {"steps": int(step) + 1, "tokens_seen": int(seen), "seconds": float(seconds)}
    return [{"sha256": digest, "phases": phases, **counts}]


def state_of(file: Path, config: ModelConfig) -> dict[str, torch.Tensor]:
    """The weights in the file under the names of `DemoModel`."""
    stored = {
        tensor.name: np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        for tensor in gguf.GGUFReader(file).tensors
    }
    state = {ours: stored.pop(theirs) for ours, theirs in FIXED_NAMES.items()}
    for layer in range(config.layers):
        for ours, theirs in LAYER_NAMES.items():
            value = stored.pop(f"blk.{layer}.{theirs}.weight")
            if theirs in ("attn_q", "attn_k"):
                value = unpermute(value, config.heads if theirs == "attn_q" else config.kv_heads)
            state[f"blocks.{layer}.{ours}"] = value
    if stored:
        raise ValueError(f"{file.name} has tensors that this network lacks: {sorted(stored)}")
    return {name: torch.from_numpy(value) for name, value in state.items()}
