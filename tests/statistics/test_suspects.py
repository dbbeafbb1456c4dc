"""Suspect labels: by hand, and the same rows in the same order as cleanlab."""

from __future__ import annotations

import numpy as np
import pytest

from tunebook.statistics.suspects import find_suspects


def test_rows_above_the_threshold_of_another_label_by_hand():
    probabilities = np.array(
        [
            [0.9, 0.1],  # thresholds: (0.9 + 0.8 + 0.2) / 3 = 0.633 and (0.7 + 0.9 + 0.1 + 0.45) / 4 = 0.5375
            [0.8, 0.2],
            [0.2, 0.8],  # above the second threshold alone: suspect, margin -0.6
            [0.3, 0.7],
            [0.1, 0.9],
            [0.9, 0.1],  # above the first threshold alone: suspect, margin -0.8
            [0.55, 0.45],  # above none: not confident enough
        ]
    )
    found = find_suspects(probabilities, np.array([0, 0, 0, 1, 1, 1, 1]))
    assert found.rows.tolist() == [5, 2]
    assert found.likely.tolist() == [0, 1]
    assert found.confidence.tolist() == [0.9, 0.8]
    assert found.margin == pytest.approx([-0.8, -0.6])


def made_up(seed: int, rows: int = 300, labels: int = 5, wrong: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a fair model, and labels of which some are wrong; the last label has no row."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, labels - 1, rows)
    logits = draw.normal(size=(rows, labels)) + 2.5 * np.eye(labels)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    given = np.where(draw.random(rows) < wrong, draw.integers(0, labels - 1, rows), truth)
    return probabilities, given


CLEANLAB = """
     126     225     119     10     242     30     7     124     288     129     106
251     194     276     112     234     204     265     254     201     0     130
244     24     50     290     157     186     183     14
"""
"""What cleanlab 2.9.0 says of the first of these."""


def test_the_rows_that_cleanlab_found():
    assert find_suspects(*made_up(0)).rows.tolist() == list(map(int, CLEANLAB.split()))


def test_nothing_is_suspect_where_the_model_agrees():
    probabilities, given = made_up(1)
    assert len(find_suspects(probabilities, probabilities.argmax(1))) == 0
    assert len(find_suspects(probabilities[:0], given[:0])) == 0


def test_a_tie_is_no_suspect():
    assert len(find_suspects(np.full((4, 2), 0.5), np.array([0, 0, 1, 1]))) == 0


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("rows", "labels"), [(40, 2), (300, 5), (2000, 40)])
def test_as_cleanlab(seed: int, rows: int, labels: int) -> None:
    found = pytest.importorskip("cleanlab.filter", reason="cleanlab is not installed")
    probabilities, given = made_up(seed, rows, labels + 1)
    issues = found.find_label_issues(
        given,
        probabilities,
        filter_by="confident_learning",
        return_indices_ranked_by="normalized_margin",
        n_jobs=1,
    )
    assert find_suspects(probabilities, given).rows.tolist() == issues.tolist()
