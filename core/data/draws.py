"""Random numbers that follow from the seed, the epoch and the row alone.

There is no generator whose state a resumed run would have to restore, and neither the batch nor the process that a row
is in changes anything.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunebook.data.grams import mix

_GOLDEN = 0x9E3779B97F4A7C15  # the step of SplitMix64: consecutive multiples of it mix well
_WORD = (1 << 64) - 1
_BELOW_ONE = 1 - 2.0**-24  # the largest float32 under 1


def draws(seed: int, epoch: int, rows: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Draw uniform numbers, 0 to under 1, ``[batch, count]``, that follow from the arguments alone.

    The seed, the epoch, the row and the column are counters of nested SplitMix64 (Steele et al., OOPSLA 2014).

    Args:
        seed: Of the run.
        epoch: Counted from 0.
        rows: Row number of each image ``[batch]``.
        count: Numbers for each image.
    """
    state = np.zeros((1, 1), np.uint64)
    for counter in (np.array([[seed & _WORD]], np.uint64), np.array([[epoch & _WORD]], np.uint64)):
        state = _next(state, counter)
    state = _next(state, np.asarray(rows).astype(np.uint64)[:, None])
    state = _next(state, np.arange(count, dtype=np.uint64)[None])
    uniform: NDArray[np.float64] = (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def _next(state: NDArray[np.uint64], counter: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return mix(state + (counter + np.uint64(1)) * np.uint64(_GOLDEN))


def named_seed(seed: int, name: str) -> int:
    """A seed of its own for each name, so that two that draw beside each other draw other numbers."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "little")


class Draws:
    """The random numbers of a batch: each row's follow from the seed, the epoch and the row.

    Each call gives new ones. A row's numbers do not depend on the batch as long as every row makes the same calls; of
    a call for more numbers than another, the first are those of the other.

    Args:
        seed: Of whoever draws.
        epoch: Counted from 0.
        rows: Row number of each example ``[batch]``.
        device: Where the numbers go.
    """

    def __init__(self, seed: int, epoch: int, rows: NDArray[np.int64], device: torch.device | str = "cpu") -> None:
        self.rows = rows
        self.epoch = epoch
        self._seed = seed
        self._device = device
        self._calls = 0

    def uniform(self, count: int = 1) -> Tensor:
        """Numbers from 0 to under 1, ``[batch, count]``, float32."""
        return self._drawn(count).float().clamp_(max=_BELOW_ONE).to(self._device)

    def normal(self, count: int = 1) -> Tensor:
        """Numbers with mean 0 and standard deviation 1, ``[batch, count]``, float32."""
        drawn: Tensor = torch.special.ndtri(self._drawn(count).clamp_(min=2.0**-54))
        return drawn.float().to(self._device)

    def _drawn(self, count: int) -> Tensor:
        seed = named_seed(self._seed, f"call {self._calls}")
        self._calls += 1
        return torch.from_numpy(draws(seed, self.epoch, self.rows, count))
