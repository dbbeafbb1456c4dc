from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from tunebook.statistics.spearman import weighted_midranks, weighted_spearman


def test_ranks_of_repeated_rows_are_those_of_scipy() -> None:
    values, counts = np.array([2.0, 1.0, 2.0, 5.0]), np.array([[1, 2, 0, 1], [0, 1, 3, 0]])
    for draw, ranks in zip(counts, weighted_midranks(values, counts), strict=True):
        rows = np.repeat(np.arange(4), draw)
        assert ranks[rows] == pytest.approx(rankdata(values[rows]))


def test_a_reversed_order_is_minus_one() -> None:
    values = np.arange(5.0)
    assert weighted_spearman(values, -values, np.ones((1, 5), dtype=np.int64))[0] == pytest.approx(-1)
