"""Writes the trained model as one GGUF: `python -m demo_model.export`."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer

from . import tokenizer
from .dialogue import END_OF_TEXT, IM_END
from .model import ModelConfig
from .tokenizer import SPECIALS

TEMPLATE = Path(__file__).parent.parent / "chat_template.jinja"
NAME = "cortex demo"
MEAN_POOLING = gguf.PoolingType.MEAN
FIXED_NAMES = {"embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
LAYER_NAMES = {
    "attention_norm.weight": "attn_norm",
    "attention.q.weight": "attn_q",
    "attention.k.weight": "attn_k",
    "attention.v.weight": "attn_v",
    "attention.out.weight": "attn_output",
    "ffn_norm.weight": "ffn_norm",
    "ffn.gate.weight": "ffn_gate",
    "ffn.up.weight": "ffn_up",
    "ffn.down.weight": "ffn_down",
}


def permute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows from "two halves" order to "neighbouring pairs", which llama.cpp rotates for this architecture."""
    head_dim = weight.shape[0] // heads
    return weight.reshape(heads, 2, head_dim // 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def tensors(state: dict[str, torch.Tensor], config: ModelConfig) -> dict[str, np.ndarray]:
    """GGUF names and values; the embedding is tied, so there is no output matrix."""
    result = {theirs: state[ours].numpy() for ours, theirs in FIXED_NAMES.items()}
    for layer in range(config.layers):
        for ours, theirs in LAYER_NAMES.items():
            value = state[f"blocks.{layer}.{ours}"].numpy()
            if theirs in ("attn_q", "attn_k"):
                value = permute(value, config.heads if theirs == "attn_q" else config.kv_heads)
            result[f"blk.{layer}.{theirs}.weight"] = value
    return result


def add_general(writer: gguf.GGUFWriter, parameters: int) -> None:
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(NAME)
    writer.add_basename("cortex-demo")
    writer.add_finetune("chat")
    writer.add_size_label(f"{parameters / 1e6:.0f}M")
    writer.add_description("A tiny model trained from scratch on synthetic dialogue, to try cortex. Not for real work.")
    writer.add_author("The cortex project")
    writer.add_license("apache-2.0")
    writer.add_license_name("Apache License 2.0")
    writer.add_languages(["en"])
    writer.add_tags(["demo", "chat", "tool-calling", "embeddings"])
    # Greedy: every figure in the model card was measured so.
    writer.add_sampling_temp(0.0)


def add_shape(writer: gguf.GGUFWriter, config: ModelConfig) -> None:
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.dim)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ffn)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_pooling_type(MEAN_POOLING)


def add_vocabulary(writer: gguf.GGUFWriter, encoder: Tokenizer) -> None:
    model = json.loads(encoder.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    kinds = [gguf.TokenType.CONTROL if t in SPECIALS else gguf.TokenType.NORMAL for t in tokens]
    end, end_of_text = model["vocab"][IM_END], model["vocab"][END_OF_TEXT]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_eos_token_id(end)
    writer.add_eot_token_id(end)
    writer.add_bos_token_id(end_of_text)
    writer.add_pad_token_id(end_of_text)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE.read_text(encoding="utf-8"))


def export(checkpoint: Path, tokenizer_file: Path, target: Path) -> dict[str, object]:
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    config = ModelConfig(**state["config"])
    values = tensors(state["model"], config)
    parameters = sum(v.size for v in values.values())
    target.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(str(target), "llama")
    add_general(writer, parameters)
    add_shape(writer, config)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_vocabulary(writer, tokenizer.load(tokenizer_file))
    for name, value in values.items():
        if value.ndim == 1:
            writer.add_tensor(name, value.astype(np.float32))
            continue
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(value.astype(np.float32), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    content = target.read_bytes()
    return {
        "file": target.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "parameters": parameters,
        "config": config.as_dict(),
        "steps": state["step"],
        "seconds": round(state["seconds"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--gguf", type=Path, required=True)
    args = parser.parse_args()
    print(json.dumps(export(args.checkpoint, args.tokenizer, args.gguf)))


if __name__ == "__main__":
    main()
