"""Scores of a model of numbers, computed again from predictions.csv by scikit-learn and scipy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from tunebook.statistics.numbers import measure_numbers
from tunebook.testing.outcome import Failed

if TYPE_CHECKING:
    from tunebook.recipe import Recipe


def numbers_again(recipe: Recipe[Any], rows: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Scores by name: the usual ones by other code, all others by the recipe's own metrics, fed from the file.

    Args:
        recipe: Gives the metrics.
        rows: Lines of predictions.csv.

    Raises:
        Failed: An answer is not a number.
    """
    try:
        target, answers = (np.array([float(row[column]) for row in rows]) for column in ("truth", "prediction"))
    except ValueError as error:
        raise Failed(f"predictions.csv holds something that is not a number: {error}") from error
    if not np.isfinite(answers).all():
        raise Failed("predictions.csv holds an answer that is not finite")
    named = recipe.metrics(()).items(keep_base=True)
    again = {str(name): measure_numbers(metric, target, answers) for name, metric in named}
    again |= {name: value for name, value in _by_others(target, answers).items() if name in again}
    return {name: value for name, value in again.items() if not math.isnan(value)}


def _by_others(target: Any, answers: Any) -> dict[str, float]:
    """What these names promise, whatever the recipe computes under them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that are all alike; the score is then left out
        return {
            "mae": float(mean_absolute_error(target, answers)),
            "rmse": float(root_mean_squared_error(target, answers)),
            "r2": float(r2_score(target, answers)),
            "spearman": float(spearmanr(target, answers).statistic),
        }
