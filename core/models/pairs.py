"""Two texts as one sequence of tokens: in the tokenizer's own pair format, or on two lines where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunebook.data.pairs import BETWEEN, joined
from tunebook.models.literal import encode_texts


def has_pair_format(tokenizer: Any) -> bool:
    """Whether a tokenizer puts a token between two texts, other than the one that any text begins with."""
    encoded = tokenizer("a", "b")
    of = encoded.sequence_ids(0)
    between = encoded["input_ids"][of.index(0) + 1 : of.index(1)]
    return any(token != tokenizer.bos_token_id for token in between)


def encode_pair(text: str, pair: str, tokenizer: Any, max_length: int) -> tuple[list[int], list[int]]:
    """Token ids and token types of two texts, cut to ``max_length``: the longer one loses its end first."""
    if has_pair_format(tokenizer):
        encoded = encode_texts(tokenizer, [text], [pair], truncation="longest_first", max_length=max_length)
        return encoded["input_ids"][0], encoded.get("token_type_ids", [[]])[0]
    return _joined_ids(text, pair, tokenizer, max_length), []


def encode_pairs(texts: Sequence[str], pairs: Sequence[str], tokenizer: Any) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids and token types of many pairs, none of them cut."""
    if has_pair_format(tokenizer):
        encoded = encode_texts(tokenizer, texts, pairs, truncation=False)
        return encoded["input_ids"], encoded.get("token_type_ids", [])
    return encode_texts(tokenizer, joined(texts, pairs), truncation=False)["input_ids"], []


def _joined_ids(text: str, pair: str, tokenizer: Any, max_length: int) -> list[int]:
    """Both texts as one, cut so that the second is not lost for being last."""
    first, second = (
        encode_texts(tokenizer, [each], add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"][0]
        for each in (text, pair)
    )
    left, right = len(first), len(second)
    while True:
        short = text[: first[left - 1][1] if left else 0]
        both = f"{short}{BETWEEN}{pair[: second[right - 1][1] if right else 0]}"
        ids: list[int] = encode_texts(tokenizer, [both])["input_ids"][0]
        over = len(ids) - max_length
        if over <= 0 or not left + right:
            return ids[:max_length]
        for _ in range(over):
            left, right = (left - 1, right) if left >= right else (left, right - 1)
