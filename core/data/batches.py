"""Which rows come in which batch, as a pure function of seed and epoch; and a loader that can stop and go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from tunebook.data.batch import Batch

_POOL = 50  # batches sorted together; larger pools pad less and shuffle less
_JITTER = 0.02  # noise on the lengths before sorting: neighbours change places, so batches differ between epochs


@dataclass(frozen=True)
class BatchPlan:
    """The order of rows.

    All ranks draw the same global batches and each takes every ``world_size``-th row of them, so that any
    number of processes trains on the same batches as one process would, and each row is seen once an epoch.

    Attributes:
        lengths: Cost of each row, such as its tokens, ``[rows]``.
        batch_size: Rows in a batch, over all ranks together.
        shuffle: False keeps rows near their order: sorted by length where grouped, else as they come.
        group_by_length: Put rows of like length into one batch.
        seed: Seed of the order.
        rank: This process.
        world_size: Number of processes.
        accumulate: Batches to an optimizer step.
        units: What the loss is averaged over, per row: 1, or the number of supervised tokens, ``[rows]``.
        least: Fewest rows that a process can train on; a smaller rest joins the batch before. Batch
            normalisation needs two.
        order: Draws the order of an epoch's rows, where it is not any; then lengths are not looked at.
    """

    lengths: np.ndarray
    batch_size: int
    shuffle: bool = True
    group_by_length: bool = True
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    accumulate: int = 1
    units: np.ndarray | None = None
    least: int = 1
    order: Callable[[np.random.Generator], np.ndarray] | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.lengths)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        full, rest = divmod(self.rows, self.batch_size)
        # A rest too small to give every rank a row joins the batch before it.
        return full + (1 if rest >= self.world_size * self.least or (rest and not full) else 0)

    def global_batches(self, epoch: int) -> list[np.ndarray]:
        """All batches of an epoch, before they are shared among the ranks."""
        order = self._order(epoch)
        count = len(self)
        batches = [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(count - 1)]
        batches.append(order[(count - 1) * self.batch_size :])
        if not self.shuffle:
            return batches
        return [batches[i] for i in self._generator(epoch, 1).permutation(count)]

    def batches(self, epoch: int) -> list[tuple[np.ndarray, float]]:
        """This rank's rows of each batch, and what the sum of their losses is divided by."""
        everyone = self.global_batches(epoch)
        weight = np.array([float(self._units(b).sum()) for b in everyone])
        shared = []
        for i, batch in enumerate(everyone):
            first = i - i % self.accumulate
            step = weight[first : first + self.accumulate].sum()
            # Lightning divides by `accumulate`, and DDP by the number of ranks: put both back.
            shared.append((batch[self.rank :: self.world_size], step / (self.accumulate * self.world_size)))
        return shared

    def _units(self, batch: np.ndarray) -> np.ndarray:
        return np.ones(len(batch)) if self.units is None else self.units[batch]

    def _generator(self, epoch: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, epoch, purpose])

    def _order(self, epoch: int) -> np.ndarray:
        generator = self._generator(epoch, 0)
        if self.order is not None and self.shuffle:
            return self.order(generator)
        order = generator.permutation(self.rows) if self.shuffle else np.arange(self.rows)
        if not self.group_by_length:
            return order
        if not self.shuffle:
            return order[np.argsort(self.lengths, kind="stable")]
        noisy = self.lengths * generator.uniform(1 - _JITTER, 1 + _JITTER, size=self.rows)
        pool = _POOL * self.batch_size
        pools = [order[i : i + pool] for i in range(0, self.rows, pool)]
        return np.concatenate([p[np.argsort(noisy[p], kind="stable")] for p in pools])


class RowDataset(Dataset[Any]):
    """Examples by row number, for torch's DataLoader; a batch is asked for as a list of rows."""

    def __init__(self, examples: Sequence[Any], collate: Callable[[Sequence[Any]], Batch]) -> None:
        self.examples = examples
        self.collate = collate

    def __getitem__(self, batch: tuple[np.ndarray, float, int]) -> Batch:
        rows, normalizer, epoch = batch
        made = self.collate([self.examples[int(i)] for i in rows])
        made["normalizer"], made["epoch"] = normalizer, epoch
        return made


class ResumableLoader:
    """Iterates over the batches of one epoch after the other, and can go on in the middle of one.

    Lightning saves and restores ``state_dict`` with its checkpoints, and calls ``sampler.set_epoch`` (this
    object is its own sampler) before each epoch. The position counts batches handed out, not prepared, so it
    is right with worker processes too.
    """

    def __init__(
        self,
        examples: Sequence[Any],
        plan: BatchPlan,
        collate: Callable[[Sequence[Any]], Batch],
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.dataset = RowDataset(examples, collate)
        self.plan = plan
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.batch_sampler = None  # Lightning looks for it wherever there is a sampler
        self.epoch = 0
        self.position = 0
        self._resume_at: tuple[int, int] | None = None

    @property
    def sampler(self) -> ResumableLoader:
        """Where Lightning looks for ``set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[Batch]:
        # A generator: nothing below runs before the first batch is asked for, when the epoch is known.
        start = 0
        if self._resume_at is not None:
            epoch, start = self._resume_at
            start = start if epoch == self.epoch else 0
            self._resume_at = None
        self.position = start
        batches = [(*batch, self.epoch) for batch in self.plan.batches(self.epoch)[start:]]
        loader = DataLoader(
            self.dataset,
            sampler=batches,  # one "index" is a whole batch
            batch_size=None,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
            # Workers are forked before torch's threads matter; spawn would pickle the examples.
            multiprocessing_context="fork" if self.num_workers else None,
        )
        for batch in loader:
            self.position += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Epoch and number of batches handed out in it."""
        return {"epoch": self.epoch, "position": self.position, "world_size": self.plan.world_size}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after the batch that the state was saved behind."""
        if state["world_size"] != self.plan.world_size:
            raise ValueError(f"saved with {state['world_size']} processes, resumed with {self.plan.world_size}")
        self._resume_at = (state["epoch"], state["position"])
