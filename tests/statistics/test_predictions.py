from __future__ import annotations

import numpy as np
import pytest

from tunebook.statistics.predictions import Predictions


def _predictions(target: list[int], predicted: list[int], changes: dict[str, object] | None = None) -> Predictions:
    n = len(target)
    fields: dict[str, object] = {
        "labels": ("a", "b", "c"),
        "target": np.array(target, dtype=np.int64),
        "probabilities": np.tile([0.5, 0.3, 0.2], (n, 1)),
        "predicted": np.array(predicted, dtype=np.int64),
        "files": ["rows.csv"] * n,
        "lines": list(range(2, n + 2)),
        "texts": ["text"] * n,
    }
    return Predictions(**(fields | (changes or {})))  # type: ignore[arg-type]


def test_confusion_counts_truth_down_and_answers_across() -> None:
    matrix = _predictions([0, 0, 2, 2, 2], [0, 1, 2, 2, 0]).confusion()
    assert matrix.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 2]]
    assert matrix.dtype == np.int64


def test_confidence_is_the_probability_of_the_answer_given() -> None:
    assert _predictions([0, 0], [0, 2]).confidence().tolist() == [0.5, 0.2]


def test_no_rows_make_an_empty_matrix() -> None:
    assert _predictions([], []).confusion().sum() == 0


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"probabilities": np.zeros((2, 2))}, "probabilities have shape"),
        ({"files": ["rows.csv"]}, "every column must have 2 rows"),
        ({"groups": np.array(["x"])}, "every column must have 2 rows"),
        ({"predicted": np.array([0, 3])}, "indices below 3"),
        ({"target": np.array([-1, 0])}, "indices below 3"),
    ],
)
def test_columns_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _predictions([0, 1], [0, 1], changes)
