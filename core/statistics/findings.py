"""Probabilities of each finding, on rows whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FindingPredictions:
    """Probabilities of findings, each row with its identity.

    Of a model that gives a row one label, the findings are its labels (without the one that means no finding).
    """

    findings: tuple[str, ...]
    """Names; every column below is one of them."""
    target: NDArray[np.int64]
    """1 where the row has the finding, else 0, `[rows, findings]`."""
    probabilities: NDArray[np.float64]
    """What the model believes, `[rows, findings]`; of findings that do not exclude each other they need not add up."""
    files: list[str]
    """Source file of each row."""
    lines: list[int]
    """Line (or index) in that file of each row."""
    images: list[str]
    """Where the picture of each row is."""
    groups: NDArray[Any] | None = None
    """Patient of each row, `[rows]`: rows of one patient are no independent evidence."""
    subgroups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Column name (site, sex ...) -> its value in each row `[rows]`, "" where there is none."""

    def __post_init__(self) -> None:
        shape = (len(self.files), len(self.findings))
        if self.target.shape != shape or self.probabilities.shape != shape:
            raise ValueError(f"target {self.target.shape} and probabilities {self.probabilities.shape} must be {shape}")
        columns: list[Any] = [
            self.lines,
            self.images,
            *self.subgroups.values(),
            *([] if self.groups is None else [self.groups]),
        ]
        if any(len(column) != shape[0] for column in columns):
            raise ValueError(f"every column must have {shape[0]} rows")

    def __len__(self) -> int:
        return len(self.files)
