"""Whether the metrics of a model of numbers are the same whatever the order of rows, in validation and in testing."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tunebook.plugins.contract import BrokenContract, broken
from tunebook.statistics.numbers import measure_numbers
from tunebook.testing.outcome import Failed
from tunebook.testing.zygote import in_a_line

if TYPE_CHECKING:
    from torchmetrics import Metric

    from tunebook.recipe import Head, Recipe

CLOSE = 1e-4
"""Largest difference between values that are the same: validation adds up in float32."""
_ROWS, _BATCHES = 60, (7, 16)
_SUMS = "add up sums over rows in `update`, and divide them in `compute`"
_MEASURE = "leave the head's `measure` out, or give each metric the answers and the truth"


def numbers_invariant(recipe: Recipe[Any], head: Head, home: str) -> str:
    """Compute every metric of the recipe on made-up numbers, on the same in another order, and as in validation.

    Raises:
        Failed: One cannot be computed, or has another value there.
    """
    random = np.random.default_rng(0)
    target = random.normal(size=_ROWS)
    answers = target + random.normal(size=_ROWS)
    metrics = {str(name): metric for name, metric in recipe.metrics(()).items(keep_base=True)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchmetrics', of rows that are made up
            for name, metric in metrics.items():
                _check_order(recipe, name, metric, target, answers)
            _check_validation(recipe, head, metrics, target, answers)
    except BrokenContract as error:
        raise Failed(in_a_line(error, home)) from error
    return f"{', '.join(metrics)}: the same for rows in any order, in batches, and in validation"


def _check_order(recipe: Recipe[Any], name: str, metric: Metric, target: Any, answers: Any) -> None:
    value = measure_numbers(metric, target, answers)
    order = np.random.default_rng(1).permutation(len(target))
    others = {"another order": measure_numbers(metric, target[order], answers[order])}
    for size in _BATCHES:
        fresh = metric.clone().set_dtype(torch.float64)
        for start in range(0, len(target), size):
            part = slice(start, start + size)
            fresh.update(torch.from_numpy(answers[part]), torch.from_numpy(target[part]))
        others[f"batches of {size}"] = float(fresh.compute())
    for how, other in others.items():
        if not math.isclose(value, other, rel_tol=CLOSE, abs_tol=CLOSE):
            what = f"its metric '{name}' is {value:.4f} on made-up rows, but {other:.4f} of the same in {how}"
            raise broken(recipe, "metrics", what, _SUMS)


def _check_validation(recipe: Recipe[Any], head: Head, metrics: dict[str, Metric], target: Any, answers: Any) -> None:
    """Validation, where the head counts batches, must give what scoring the test rows gives of the same outputs."""
    logits = torch.from_numpy(answers).float()[:, None].expand(-1, head.outputs).contiguous()
    counted = recipe.metrics(())
    batch = {"inputs": {}, "target": torch.from_numpy(target), "row": torch.arange(len(target))}
    head.measure(counted, logits, torch.zeros(len(target)), batch)
    decided = head.decide(head.probabilities(logits)).double().numpy()
    validated = {str(name): float(value) for name, value in counted.compute().items()}
    for name, metric in metrics.items():
        tested = measure_numbers(metric, target, decided)
        if not math.isclose(validated[name], tested, rel_tol=CLOSE, abs_tol=CLOSE):
            what = f"its metric '{name}' is {validated[name]:.4f} in validation and {tested:.4f} in testing of the same"
            raise broken(recipe, "head", what, _MEASURE)
