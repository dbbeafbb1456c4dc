"""Texts as tokens of what they say: a control token that stands in a text, such as ``</s>``, is text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def encode_texts(
    tokenizer: Any, texts: Sequence[str], pairs: Sequence[str] | None = None, *, target: bool = False, **options: Any
) -> dict[str, list[Any]]:
    """Encode texts, or pairs of them; special tokens are those that the tokenizer adds, and no others.

    Some tokenizers find a control token in a text even when told to split it, as it is a word of theirs (T5, XLM-R):
    such a text is encoded with a space in it, which no control token has.

    Args:
        tokenizer: A transformers tokenizer with a fast backend.
        texts: The texts, at least one.
        pairs: The second text of each.
        target: They are what a model with an encoder and a decoder writes, not what it reads.
        options: Given to the tokenizer, such as ``truncation``.

    Returns:
        ``input_ids`` and whatever else the tokenizer gives, a list a text.
    """

    def encode(first: Sequence[str], second: Sequence[str] | None) -> dict[str, list[Any]]:
        given = {"text_target": list(first)} if target else {"text": list(first)}
        if second is not None:
            given["text_pair"] = list(second)
        found = tokenizer(**given, split_special_tokens=True, verbose=False, **options)
        return {name: list(found[name]) for name in found}

    encoded = encode(texts, pairs)
    special = _special_ids(tokenizer)
    added = _count(encode(["a"], None if pairs is None else ["a"])["input_ids"], special)[0]
    for row in np.flatnonzero(_count(encoded["input_ids"], special) != added):
        for change in (_parted, _normalized_and_parted):
            second = None if pairs is None else [change(pairs[int(row)], tokenizer)]
            again = encode([change(texts[int(row)], tokenizer)], second)
            if _count(again["input_ids"], special)[0] == added:
                break
        for name, values in again.items():
            encoded[name][row] = values[0]
    return encoded


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Save a tokenizer that reads whole texts, so that it splits their control tokens in plain transformers too."""
    before = tokenizer.split_special_tokens
    tokenizer.split_special_tokens = tokenizer.init_kwargs["split_special_tokens"] = True
    tokenizer.save_pretrained(folder)
    tokenizer.split_special_tokens = before


def special_tokens(tokenizer: Any) -> dict[str, int]:
    """The control tokens of a tokenizer and their ids; not the one for what is unknown, which texts may well give."""
    known = {token.content: id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
    return {name: id_ for name, id_ in known.items() if id_ != tokenizer.unk_token_id}


def _special_ids(tokenizer: Any) -> np.ndarray:
    return np.array(sorted(special_tokens(tokenizer).values()), dtype=np.int64)


def _count(rows: Sequence[Sequence[int]], special: np.ndarray) -> np.ndarray:
    """Special tokens of each row, ``[rows]``."""
    ends = np.cumsum([0, *map(len, rows)])
    flat = np.fromiter(_chained(rows), dtype=np.int64, count=int(ends[-1]))
    before = np.concatenate([[0], np.cumsum(np.isin(flat, special))])
    counts: np.ndarray = before[ends[1:]] - before[ends[:-1]]
    return counts


def _chained(rows: Iterable[Iterable[int]]) -> Iterable[int]:
    return (id_ for row in rows for id_ in row)


def _parted(text: str, tokenizer: Any) -> str:
    """A text with a space behind the first character of each control token."""
    for token in sorted(special_tokens(tokenizer), key=len, reverse=True):
        if len(token) > 1:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def _normalized_and_parted(text: str, tokenizer: Any) -> str:
    """The same of what the tokenizer makes of a text first: full-width letters may become those of a control token."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    return _parted(normalizer.normalize_str(text) if normalizer is not None else text, tokenizer)
