"""What a model answered on rows whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Predictions:
    """One answer a row, each with the identity of the row it belongs to."""

    labels: tuple[str, ...]
    """Label names; every index below counts into them."""
    target: NDArray[np.int64]
    """The truth, label numbers `[rows]`; flags `[rows, labels]` where a row may have several labels."""
    probabilities: NDArray[np.float64]
    """What the model believes, `[rows, labels]`."""
    predicted: NDArray[np.int64]
    """The answer, in the form of the truth: the head's own rule, which need not be the most probable label."""
    files: list[str]
    """Source file of each row."""
    lines: list[int]
    """Line (or index) in that file of each row."""
    texts: list[str]
    """The row as a person reads it."""
    groups: NDArray[Any] | None = None
    """Rows of one group (customer, patient ...) are not independent of each other, `[rows]`."""

    def __post_init__(self) -> None:
        rows = len(self.target)
        if self.probabilities.shape != (rows, len(self.labels)):
            raise ValueError(f"probabilities have shape {self.probabilities.shape}, not {(rows, len(self.labels))}")
        others: list[Sized] = [self.predicted, self.files, self.lines, self.texts]
        if self.groups is not None:
            others.append(self.groups)
        if any(len(column) != rows for column in others):
            raise ValueError(f"every column must have {rows} rows, one for each target")
        for column in (self.target, self.predicted):
            if column.ndim == 2 and column.shape != self.probabilities.shape:
                raise ValueError(f"flags have shape {column.shape}, not {self.probabilities.shape}")
            if column.ndim == 1 and rows and not (column.min() >= 0 and column.max() < len(self.labels)):
                raise ValueError(f"target and predicted must be indices below {len(self.labels)}")

    def __len__(self) -> int:
        return len(self.target)

    @property
    def multilabel(self) -> bool:
        """Whether a row may have several labels, or none."""
        return self.target.ndim == 2

    def confusion(self) -> NDArray[np.int64]:
        """Count the rows of each truth (first axis) and answer (second axis), `[labels, labels]`."""
        size = len(self.labels)
        cells = self.target * size + self.predicted
        return np.bincount(cells, minlength=size * size).astype(np.int64).reshape(size, size)

    def confidence(self) -> NDArray[np.float64]:
        """Give the probability of the answer that was given, `[rows]`."""
        return self.probabilities[np.arange(len(self)), self.predicted]


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The rows of several predictions of the same labels, one after the other."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("target", "probabilities", "predicted")
    }
    for name in ("files", "lines", "texts"):
        columns[name] = [value for part in parts for value in getattr(part, name)]
    grouped = all(part.groups is not None for part in parts)
    groups = np.concatenate([np.asarray(part.groups) for part in parts]) if grouped else None
    return Predictions(labels=parts[0].labels, groups=groups, **columns)
