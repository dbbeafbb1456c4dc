"""A metric of torchmetrics that is a formula of sums over rows, as `RowSums` is in testing; the higher the better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

from tunebook.statistics.sums import Formula


class SumsMetric(Metric):
    """Adds up what each row gives, over batches and processes.

    Args:
        rows: Maps answers and truth of a batch to what each row adds, ``[rows, columns]``.
        columns: How many numbers a row adds.
        formula: Maps the sums ``[columns]`` to the value.
        kwargs: Those of every metric.
    """

    full_state_update = False
    higher_is_better = True
    sums: Tensor

    def __init__(
        self,
        rows: Callable[[Tensor, Tensor], NDArray[Any]],
        columns: int,
        formula: Formula,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rows, self.formula = rows, formula
        self.add_state("sums", default=torch.zeros(columns, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch."""
        self.sums += torch.from_numpy(self.rows(preds, target).sum(axis=0)).to(self.sums.device)

    def compute(self) -> Tensor:
        """The value over all rows seen; nan where it is undefined."""
        return torch.tensor(float(self.formula(self.sums.cpu().numpy())))
