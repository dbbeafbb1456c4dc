from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from tunebook.statistics import confusion


def _random_rows(seed: int, truths: list[int], answers: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    target, predicted = random.choice(truths, 60), random.choice(answers, 60)
    matrix = np.zeros((5, 5), dtype=np.int64)
    np.add.at(matrix, (target, predicted), 1)
    return target, predicted, matrix


CASES = [
    ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
    ([0, 2, 3], [0, 1, 2, 3]),  # one label is answered but never true
    ([0, 1, 2, 4], [0, 4]),  # two labels are true but never answered
    ([1, 2], [1, 2]),  # three labels do not occur
]


@pytest.mark.parametrize("truths,answers", CASES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_statistics_equal_scikit_learn(seed: int, truths: list[int], answers: list[int]) -> None:
    target, predicted, matrix = _random_rows(seed, truths, answers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns about labels that do not occur
        expected = {
            "accuracy": sklearn_metrics.accuracy_score(target, predicted),
            "macro_f1": sklearn_metrics.f1_score(target, predicted, average="macro"),
            "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(target, predicted),
            "mean_absolute_error": sklearn_metrics.mean_absolute_error(target, predicted),
            "quadratic_kappa": sklearn_metrics.cohen_kappa_score(
                target, predicted, weights="quadratic", labels=range(5)
            ),
        }
    for name, value in expected.items():
        assert confusion.STATISTICS[name](matrix) == pytest.approx(value, abs=1e-9), name


@pytest.mark.parametrize("truths,answers", CASES)
def test_values_of_each_label_equal_scikit_learn(truths: list[int], answers: list[int]) -> None:
    target, predicted, matrix = _random_rows(3, truths, answers)
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
        target, predicted, labels=range(5), zero_division=np.nan
    )
    np.testing.assert_allclose(confusion.precision(matrix), precision, atol=1e-9)
    np.testing.assert_allclose(confusion.recall(matrix), recall, atol=1e-9)
    np.testing.assert_allclose(confusion.f1(matrix), f1, atol=1e-9)


def test_a_stack_of_matrices_gives_each_matrix_its_own_value() -> None:
    stack = np.stack([_random_rows(seed, *CASES[0])[2] for seed in range(4)]).reshape(2, 2, 5, 5)
    for statistic in (*confusion.STATISTICS.values(), confusion.f1, confusion.macro_accuracy):
        values = statistic(stack)
        for place in np.ndindex(2, 2):
            np.testing.assert_allclose(values[place], statistic(stack[place]), atol=1e-12)


def test_macro_accuracy_counts_a_label_never_true_as_nothing_found() -> None:
    matrix = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert confusion.macro_accuracy(matrix) == pytest.approx((0.75 + 1) / 2)
    matrix[0, 2] = 1
    assert confusion.macro_accuracy(matrix) == pytest.approx((3 / 5 + 1 + 0) / 3)
    assert confusion.balanced_accuracy(matrix) == pytest.approx((3 / 5 + 1) / 2)


def test_what_is_undefined_is_nan() -> None:
    empty = np.zeros((3, 3), dtype=np.int64)
    for statistic in confusion.STATISTICS.values():
        assert np.isnan(statistic(empty))
    one_label = np.diag([5, 0, 0])
    assert np.isnan(confusion.quadratic_kappa(one_label))
    assert confusion.macro_f1(one_label) == 1.0
