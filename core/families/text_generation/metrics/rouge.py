"""ROUGE of one text, by the rules of the package rouge-score without its stemmer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_TOKEN = re.compile(r"[a-z0-9]+")

Rouge = tuple[float, float, float]
"""F1 of ROUGE-1, ROUGE-2 and ROUGE-L."""


def rouge_tokens(text: str) -> list[str]:
    """Split a text into runs of a to z and 0 to 9, in lower case."""
    return _TOKEN.findall(text.lower())


def best_rouge(output: str, references: Sequence[str]) -> Rouge:
    """Compare an output with each reference, and take the highest F1 of each of the three."""
    tokens = rouge_tokens(output)
    found = [_rouge(tokens, rouge_tokens(reference)) for reference in references]
    one, two, longest = (max(column) for column in zip(*found, strict=True))
    return one, two, longest


def _rouge(output: Sequence[str], reference: Sequence[str]) -> Rouge:
    common = common_subsequence(output, reference)
    return _ngram_f1(output, reference, 1), _ngram_f1(output, reference, 2), _f1(common, len(output), len(reference))


def _ngram_f1(output: Sequence[str], reference: Sequence[str], order: int) -> float:
    one, other = (Counter(zip(*(tokens[i:] for i in range(order)), strict=False)) for tokens in (output, reference))
    return _f1((one & other).total(), one.total(), other.total())


def _f1(common: int, output: int, reference: int) -> float:
    return 2 * common / (output + reference) if common else 0.0


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence: the most tokens both have in the same order, gaps allowed.

    Each row of the usual table is one whole number, a bit for each place where the row does not rise (Hyyrö, 2004,
    "Bit-parallel LCS-length computation revisited"): the same result, a word of the machine at a time.
    """
    places: dict[str, int] = {}
    for place, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << place
    full = (1 << len(one)) - 1
    level = full
    for token in other:
        met = level & places.get(token, 0)
        level = ((level + met) | (level - met)) & full
    return len(one) - level.bit_count()
