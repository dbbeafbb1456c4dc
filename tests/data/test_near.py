"""The search for near duplicates against the plain definition, on texts that hypothesis makes up."""

from __future__ import annotations

import re
import unicodedata
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunebook.data.near import find_near

# Few words, so that texts share many 3-grams; with what Unicode folds together and what no word is made of.
WORDS = st.sampled_from(["a", "b", "c", "D", "d", "ﬁne", "fine", "ß", "ss", "é", "e\u0301", "日本", "...", "-", "x_1"])
TEXTS = st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=1, max_size=14)


def grams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", " ".join(unicodedata.normalize("NFKC", text).casefold().split()))
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


def alike(texts: list[str], threshold: float) -> dict[tuple[int, int], float]:
    """Every pair compared with every other."""
    sets = [grams(text) for text in texts]
    pairs = {
        (i, j): len(sets[i] & sets[j]) / len(sets[i] | sets[j])
        for i, j in combinations(range(len(texts)), 2)
        if sets[i] and sets[j]
    }
    return {pair: similarity for pair, similarity in pairs.items() if similarity >= threshold}


@given(TEXTS, st.sampled_from([0.3, 0.5, 0.7, 0.8, 0.9, 0.99]), st.integers(1, 5))
@example(["a b c d", "a b c d"], 0.99, 1)
def test_every_pair_that_is_alike_is_found_and_no_other(texts: list[str], threshold: float, chunk: int) -> None:
    parts = [texts[i : i + chunk] for i in range(0, len(texts), chunk)]
    left, right, similarity, complete = find_near(
        pa.chunked_array(parts, pa.string()), np.arange(len(texts)), threshold
    )
    found = dict(zip(zip(left.tolist(), right.tolist(), strict=True), similarity.tolist(), strict=True))
    assert complete
    assert found == pytest.approx(alike(texts, threshold))
