"""A sigmoid for each label, and a threshold from which it is given."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import ClassVar

import torch
from torch import Tensor

from tunebook.training.softmax_head import FindingsHead


class LabelsHead(FindingsHead):
    """One output a label, of which a text may have several: a sigmoid each, given from a threshold on.

    Attributes:
        thresholds: Of each label, ``[labels]``; None while they are not chosen: 0.5 each.
    """

    kind: ClassVar[str] = "labels"
    thresholds: Tensor | None = None

    def at(self, thresholds: Sequence[float]) -> LabelsHead:
        """The same head, which gives labels from these thresholds on."""
        made = copy(self)
        made.thresholds = torch.tensor(thresholds, dtype=torch.float64)
        return made

    def decide(self, probabilities: Tensor) -> Tensor:
        """Whether each label reaches its threshold, ``[batch, labels]``."""
        if self.thresholds is None:
            return super().decide(probabilities)
        return (probabilities.double() >= self.thresholds.to(probabilities.device)).long()
