"""What numbers are measured by while a model trains and when it is tested."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError, R2Score, SpearmanCorrCoef


class R2(R2Score):
    """The share of the truth's variance that is explained; nan of fewer than two rows, where torchmetrics raises."""

    def compute(self) -> Tensor:
        """The value over all rows seen."""
        return super().compute() if self.total > 1 else torch.tensor(float("nan"), device=self.device)


def number_metrics() -> MetricCollection:
    """Root mean squared error, mean absolute error, R2, and Spearman's rank correlation."""
    with warnings.catch_warnings():
        # A rank correlation needs all rows; they are two numbers each.
        warnings.filterwarnings("ignore", "Metric `SpearmanCorrcoef` will save all")
        return MetricCollection(
            {
                "rmse": MeanSquaredError(squared=False),
                "mae": MeanAbsoluteError(),
                "r2": R2(),
                "spearman": SpearmanCorrCoef(),
            }
        )
