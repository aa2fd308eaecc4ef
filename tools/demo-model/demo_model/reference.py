"""What Python computes, for evaluate.mjs to compare with the real engine.

Token ids of a few hundred odd strings, greedy continuations and sentence vectors of the unquantised
network: `python -m demo_model.reference`.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer

from . import corpus, tokenizer
from .dialogue import IM_END, text_of
from .model import DemoModel, ModelConfig
from .train import sentence_vectors

ODD = [
    "", " ", "  ", "\n", "\n\n", " \n ", "\t", "a\tb", "  two  spaces  ", "trailing ", "trailing\n", "\r\n", "é", "naïve café",
    "Zürich", "Ærøskøbing", "İstanbul", "東京", "東京 の 天気", "Привет, мир", "שלום", "مرحبا", "नमस्ते", "🙂", "👩‍💻 🚀", "ﬁ", "e\u0301",
    "\u00a0", "a\u00a0b", "\u200b", "¿qué?", "I'm you're we've they'll he'd it's", "DON'T CAN'T", "1", "12", "123456", "3.14", "-7",
    "1,000,000", "0x1F", "½ ² ³", "१२३", "{}", "[]", '{"a": 1}', '{"name": "get_weather", "arguments": {"city": "Oslo"}}',
    '[{"a":[1,2,{"b":null}]}]', "<tool_call>", "</tool_call>", "<tool_call>\n{}\n</tool_call>", "<|im_start|>user\nhi<|im_end|>\n",
    "<|endoftext|>", "<|im_end|><|im_end|>", "<|im_start", "a<|im_end|>b", "...", "!!!", "?!?", "---", "```js\nx = 1;\n```", "a_b_c",
    "__init__", "camelCaseWord", "snake_case_word", "UPPER lower", "x" * 40, "ab" * 30, "http://beast.internal:13131/v1/models?x=1&y=2",
    "user@host.example", "C:\\path\\file", "/usr/bin/env", "a/b/c.d-e", "100%", "$5", "#tag", "@me", "~", "^", "*bold*", "“quoted”", "—",
]  # fmt: skip
RANGES = [
    (32, 126),
    (32, 126),
    (32, 126),
    (160, 591),
    (880, 1279),
    (0x3040, 0x30FF),
    (0x4E00, 0x4FFF),
    (0x1F600, 0x1F64F),
]


def strings() -> list[str]:
    """Odd ones, random ones of several scripts, and real conversations."""
    rng = random.Random(3)
    made = []
    for _ in range(200):
        low, high = rng.choice(RANGES)
        letters = [
            chr(rng.randint(low, high)) if rng.random() < 0.8 else rng.choice(" \n 0123456789")
            for _ in range(rng.randint(1, 40))
        ]
        made.append("".join(letters))
    return [*ODD, *made, *(text_of(sample) for sample in corpus.samples(5, "test", 150))]


@torch.no_grad()
def continuation(model: DemoModel, encoder: Tokenizer, prompt: str, guess: str, limit: int) -> list[int]:
    """Greedy. The right answer is a guess that saves time: as far as it is what the network says, one pass will do."""
    ids = encoder.encode(prompt, add_special_tokens=False).ids
    begin, end = len(ids), encoder.token_to_id(IM_END)
    guessed = [*encoder.encode(guess, add_special_tokens=False).ids[: limit - 1], end]
    said = model.logits(model.hidden(torch.tensor([ids + guessed]))[:, begin - 1 : -1])[0].argmax(-1).tolist()
    for token, expected in zip(said, guessed, strict=True):
        if token == end:
            return ids[begin:]
        ids.append(token)
        if token != expected:
            break
    while len(ids) < begin + limit:
        following = int(model.logits(model.hidden(torch.tensor([ids]))[:, -1])[0].argmax())
        if following == end:
            break
        ids.append(following)
    return ids[begin:]


def load_model(checkpoint: Path) -> DemoModel:
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model = DemoModel(ModelConfig(**state["config"]))
    model.load_state_dict(state["model"])
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--heldout", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(2)
    encoder, model = tokenizer.load(args.tokenizer), load_model(args.checkpoint)
    heldout = json.loads(args.heldout.read_text())
    items = random.Random(4).sample(heldout["items"], 100)
    texts = [pair["first"] for pair in heldout["pairs"][0]]
    with torch.no_grad():
        vectors = sentence_vectors(model, encoder, texts)
    reference = {
        "strings": [{"text": t, "ids": encoder.encode(t, add_special_tokens=False).ids} for t in strings()],
        "continuations": [
            {"prompt": item["prompt"], "ids": continuation(model, encoder, item["prompt"], item["body"], 48)}
            for item in items
        ],
        "vectors": [{"text": t, "vector": v.tolist()} for t, v in zip(texts, vectors, strict=True)],
    }
    args.out.write_text(json.dumps(reference, ensure_ascii=False))


if __name__ == "__main__":
    main()
