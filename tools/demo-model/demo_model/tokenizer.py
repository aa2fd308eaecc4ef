"""A byte-level BPE whose spaces do not hide words.

Ordinary byte-level BPE glues the space to the word, so that "Oslo" after a space and "Oslo" after a
quote are different tokens and a tiny model cannot copy one to the other. Here the merges are learnt
on words without their space; then a merge (space, word) is added at the end for the most frequent
lower-case words only. Names, ids and invented words are thus cut the same way wherever they stand.
Digits are never merged. The result is an ordinary GPT-2 style vocabulary for llama.cpp.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .dialogue import END_OF_TEXT, IM_END, IM_START

SPECIALS = [END_OF_TEXT, IM_START, IM_END]
SPACE = "Ġ"  # how byte-level BPE writes a space


def _learn(texts: list[str], size: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Vocabulary and merges learnt on words without spaces; digits apart."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[ \d]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return tokens, [(left, right) for left, right in model["merges"]]


def build(tokens: list[str], merges: list[tuple[str, str]]) -> Tokenizer:
    """A tokenizer with the specials in front."""
    vocab = {token: i for i, token in enumerate([*SPECIALS, *tokens])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def _spaced_words(texts: list[str], first: Tokenizer, count: int) -> list[str]:
    """The most frequent lower-case words and signs that are one token and follow a space."""
    counts: Counter[str] = Counter()
    for text in texts:
        for word, _ in first.pre_tokenizer.pre_tokenize_str(text):
            if word.startswith(SPACE) and len(word) > 1:
                counts[word[1:]] += 1
    known = first.get_vocab()
    fit = [
        w
        for w, n in counts.most_common()
        if w in known and w == w.lower() and not any(c.isdigit() for c in w) and SPACE not in w
    ]
    return fit[:count]


def train(texts: list[str], size: int, spaced: int) -> Tokenizer:
    """`size` tokens in all, `spaced` of them words with their space."""
    tokens, merges = _learn(texts, size - spaced)
    words = _spaced_words(texts, build(tokens, merges), spaced)
    return build([*tokens, *(SPACE + w for w in words)], [*merges, *((SPACE, w) for w in words)])


def save(tokenizer: Tokenizer, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))


def load(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))
