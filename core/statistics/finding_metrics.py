"""Metrics of findings as torchmetrics has none: averaged over the findings that some rows have and others have not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from tunebook.statistics.ranking import auroc, average_precision


class FindingAUROC(Metric):
    """Mean AUROC over the findings that some rows have and others have not; nan where there is no such finding.

    Truth is 0 or 1 for each finding `[rows, findings]`; or one label a row `[rows]`, of which those in `columns`
    are findings. Every row is kept until `compute`, which ranks them exactly.

    Args:
        columns: Columns of probabilities (and truth) that are findings; all by default.
        **kwargs: Of every torchmetrics metric.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    label_order: ClassVar[str] = "fixed"  # its columns say which labels are findings

    preds: list[Tensor]
    target: list[Tensor]

    def __init__(self, columns: Sequence[int] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.columns = None if columns is None else tuple(columns)
        self.add_state("preds", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add rows: probabilities `[batch, outputs]`, and truth `[batch, outputs]` or `[batch]`."""
        columns = list(range(preds.shape[1])) if self.columns is None else list(self.columns)
        if target.ndim == 1:
            present = target[:, None] == torch.tensor(columns, device=target.device)
        else:
            present = target[:, columns] == 1
        self.preds.append(preds[:, columns].detach().float())
        self.target.append(present)

    def compute(self) -> Tensor:
        """Mean over the findings of all rows seen."""
        if len(self.preds) == 0:  # a list, or one tensor once processes are synchronised
            return torch.tensor(float("nan"), device=self.device)
        scores, present = (dim_zero_cat(part).cpu().numpy() for part in (self.preds, self.target))
        values = np.array([self._value(present[:, i], scores[:, i]) for i in range(scores.shape[1])])
        known = values[~np.isnan(values)]
        return torch.tensor(known.mean() if len(known) else float("nan"), dtype=torch.float32, device=self.device)

    def _value(self, target: NDArray[np.bool_], scores: NDArray[np.float32]) -> float:
        """One finding's; nan as well where a probability is, as of a model that has diverged."""
        return float("nan") if np.isnan(scores).any() else float(self._statistic(target, scores))

    def _statistic(self, target: NDArray[np.bool_], scores: NDArray[np.float32]) -> NDArray[np.float64]:
        return auroc(target, scores)


class FindingAveragePrecision(FindingAUROC):
    """Mean average precision over the findings that some rows have and others have not; otherwise `FindingAUROC`."""

    def _statistic(self, target: NDArray[np.bool_], scores: NDArray[np.float32]) -> NDArray[np.float64]:
        return average_precision(target, scores)
