"""Whether a recipe's metrics take what they are given, and are the same whatever the order of rows and labels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunebook.plugins.contract import BrokenContract, broken
from tunebook.plugins.measures import try_metrics
from tunebook.statistics.made_up import made_up_predictions
from tunebook.statistics.measure import measure
from tunebook.statistics.metrics import label_order, metric_input
from tunebook.statistics.predictions import Predictions
from tunebook.testing.number_invariance import numbers_invariant
from tunebook.testing.outcome import Failed, NotApplicable
from tunebook.testing.zygote import in_a_line

if TYPE_CHECKING:
    from torchmetrics import Metric

    from tunebook.recipe import Head, Recipe

CLOSE = 1e-4
"""Largest difference between values that are the same: torchmetrics adds up in float32."""
_ROWS = 60
_BATCHES = (7, 16)

_SUMS = "add up sums over rows in `update`, and divide them in `compute`"
_NAMES = (
    "look a label up by its name instead of its place; where the order matters, say so in the metric's class: "
    'label_order = "reversible" (stars) or "fixed"'
)
_MEASURE = "leave the head's `measure` out, or give each metric what Head.measure gives it"


def metrics_invariant(recipe: Recipe[Any], head: Head, labels: Sequence[str], home: str) -> str:
    """Compute every metric of the recipe on made-up predictions, and on the same in another order.

    Raises:
        Failed: One cannot be computed, or has another value there.
        NotApplicable: The rows have no labels.
    """
    if head.problem_type == "regression":
        return numbers_invariant(recipe, head, home)
    if not labels:
        raise NotApplicable(f"the recipe is of family {recipe.family.name}, whose rows have no labels")
    try:
        metrics = try_metrics(recipe, labels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchmetrics', of rows that are made up
            _check_orders(recipe, metrics, made_up_predictions(labels, _ROWS + 4 * len(labels), head.multilabel))
            _check_validation(recipe, head, metrics, labels)
    except BrokenContract as error:
        raise Failed(in_a_line(error, home)) from error
    return f"{', '.join(metrics)}: the same for rows and labels in any order, and for rows in batches"


def _check_orders(recipe: Recipe[Any], metrics: Mapping[str, Metric], rows: Predictions) -> None:
    for name, metric in metrics.items():
        value = measure(metric, rows)[0]
        for how, fix, other in _otherwise(recipe, name, metric, rows):
            if not _same(value, other):
                what = f"its metric '{name}' is {value:.4f} on made-up rows, but {other:.4f} of {how}"
                raise broken(recipe, "metrics", what, fix)


def _otherwise(recipe: Recipe[Any], name: str, metric: Metric, rows: Predictions) -> Iterator[tuple[str, str, float]]:
    """What must not change a metric, how to fix it if it does, and its value then."""
    shuffled = np.random.default_rng(1).permutation(len(rows))
    yield "the same in another order", _SUMS, measure(metric, rows, shuffled)[0]
    for size in _BATCHES:
        yield f"the same in batches of {size}", _SUMS, _in_batches(metric, rows, size)
    numbers, order = np.arange(len(rows.labels)), label_order(metric)
    if order == "reversible":
        yield "the same with the labels in reverse order", _NAMES, measure(metric, _renumbered(rows, numbers[::-1]))[0]
    elif order == "any":
        for turn in (numbers[::-1], np.roll(numbers, 1)):
            moved = _renumbered(rows, turn)
            again = _made_of(recipe, moved.labels).get(name)
            if again is not None:
                yield "the same with the labels in another order", _NAMES, measure(again, moved)[0]


def _check_validation(recipe: Recipe[Any], head: Head, metrics: Mapping[str, Metric], labels: Sequence[str]) -> None:
    """Validation, where the head counts batches, must give what scoring the test rows gives of the same outputs."""
    rows = made_up_predictions(labels, _ROWS + 4 * len(labels), head.multilabel)
    logits = torch.randn(len(rows), head.outputs, generator=torch.Generator().manual_seed(0))
    counted = recipe.metrics(labels)
    batch = {"inputs": {}, "target": torch.from_numpy(rows.target), "row": torch.arange(len(rows))}
    with torch.no_grad():
        head.measure(counted, logits, torch.zeros(len(rows)), batch)
        probabilities = head.probabilities(logits).double()
        answered = replace(
            rows, probabilities=probabilities.numpy(), predicted=head.decide(probabilities).long().numpy()
        )
    validated = {str(name): float(value) for name, value in counted.compute().items()}
    for name, metric in metrics.items():
        tested = measure(metric, answered)[0]
        if not math.isnan(tested) and not _same(validated[name], tested):
            what = (
                f"its metric '{name}' is {validated[name]:.4f} in validation and {tested:.4f} in testing, of one output"
            )
            raise broken(recipe, "head", what, _MEASURE)


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE) or (math.isnan(one) and math.isnan(other))


def _renumbered(rows: Predictions, order: NDArray[np.int64]) -> Predictions:
    """The same predictions with the labels in another order: new place -> old place, `[labels]`."""
    place = np.argsort(order)
    return replace(
        rows,
        labels=tuple(rows.labels[number] for number in order),
        target=rows.target[:, order] if rows.multilabel else place[rows.target],
        predicted=rows.predicted[:, order] if rows.multilabel else place[rows.predicted],
        probabilities=rows.probabilities[:, order],
    )


def _made_of(recipe: Recipe[Any], labels: Sequence[str]) -> dict[str, Metric]:
    """The recipe's metrics of labels in this order; none where it refuses an order that is no order of stars."""
    try:
        return dict(recipe.metrics(labels).items(keep_base=True))
    except Exception:  # a stranger's code may raise anything
        return {}


def _in_batches(metric: Metric, rows: Predictions, size: int) -> float:
    """A metric of rows that come in batches, as in validation."""
    fresh = metric.clone()
    fresh.reset()
    for start in range(0, len(rows), size):
        probabilities, predicted, target = (
            torch.from_numpy(column[start : start + size])
            for column in (rows.probabilities, rows.predicted, rows.target)
        )
        fresh.update(metric_input(fresh, probabilities, predicted), target)
    return float(fresh.compute())
