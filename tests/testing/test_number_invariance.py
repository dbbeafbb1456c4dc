from __future__ import annotations

from typing import Any

import pytest
import torch
from torchmetrics import Metric, MetricCollection
from torchmetrics.regression import MeanAbsoluteError

from tunebook import RegressionHead, TextRegression, TextRegressionConfig
from tunebook.testing.number_invariance import numbers_invariant
from tunebook.testing.outcome import Failed


class LastError(Metric):
    """The error of the last row: whatever the others are."""

    higher_is_better = False
    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.add_state("last", default=torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        self.last = (preds[-1] - target[-1]).abs().detach()

    def compute(self) -> torch.Tensor:
        return self.last


class Hours(TextRegression[TextRegressionConfig]):
    """As the family has it, but for the metrics."""

    made: Any = MeanAbsoluteError

    def metrics(self, labels: Any) -> MetricCollection:
        return MetricCollection({"rmse": self.made()})


class Shifted(RegressionHead):
    """Counts other answers in validation than it gives."""

    def measure(self, metrics: Any, logits: Any, losses: Any, batch: Any) -> None:
        super().measure(metrics, logits + 1, losses, batch)


def test_metrics_of_numbers_are_the_same_in_any_order() -> None:
    recipe = Hours(TextRegressionConfig(name="hours"))
    assert "rmse: the same for rows in any order" in numbers_invariant(recipe, recipe.head(()), "")


def test_a_metric_that_looks_at_the_last_row_fails() -> None:
    recipe = Hours(TextRegressionConfig(name="hours"))
    recipe.made = LastError
    with pytest.raises(Failed, match=r"'rmse' is .* of the same in"):
        numbers_invariant(recipe, recipe.head(()), "")


def test_a_head_that_counts_other_answers_in_validation_fails() -> None:
    with pytest.raises(Failed, match="in validation and"):
        numbers_invariant(Hours(TextRegressionConfig(name="hours")), Shifted(), "")
