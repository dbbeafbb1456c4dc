"""The data module that every family fills with its own examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import Dataset

from tunebook.data.batch import Batch
from tunebook.data.batches import BatchPlan, ResumableLoader
from tunebook.errors import UserError


@runtime_checkable
class HasTargets(Protocol):
    """Items that hold the truth of each row, ``[rows]`` or ``[rows, labels]``."""

    targets: np.ndarray


@dataclass(frozen=True)
class Examples:
    """The encoded rows of one split.

    Attributes:
        items: What ``collate`` makes batches of, by row.
        lengths: Cost of each row, ``[rows]``.
        units: What the loss is averaged over, per row; None for one each.
    """

    items: Sequence[Any]
    lengths: np.ndarray
    units: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def targets(self) -> np.ndarray:
        """The truth of each row, of items that hold one."""
        assert isinstance(self.items, HasTargets), f"{type(self.items).__name__} has no targets"
        return self.items.targets

    @classmethod
    def alike(cls, items: Any) -> Examples:
        """Rows that all cost the same: anything with a length and items by row, such as a torch ``Dataset``."""
        return cls(items, np.ones(len(items), dtype=np.int64))


class FineTuneData(LightningDataModule):
    """Batches of the training and validation rows, in an order that a resumed run repeats.

    Args:
        splits: By split name, ``train`` and ``validation``, or ``train`` alone: examples, or a torch ``Dataset`` whose
            rows cost alike.
        collate: Makes a batch of a list of examples: a dict with ``inputs``, ``target`` ``[batch]`` and ``row``
            ``[batch]``; ``normalizer`` and ``epoch`` are added to it.
        batch_size: Rows in a batch, over all processes together.
        seed: Seed of the order.
        group_by_length: Put rows of like length into one batch.
        accumulate: Batches to an optimizer step.
        num_workers: Processes that prepare batches.
        least: Fewest rows in a training batch of one process.
        finish: Makes the model's inputs of a batch that is on its device already; given whether to train on it.
        summary: What is to be said of the batches, in a sentence.
        order: Draws the order of an epoch's training rows, where it is not any.
        head: The head to train by, where it is not the recipe's: a step before that one's.
    """

    def __init__(
        self,
        splits: Mapping[str, Examples | Dataset[Any]],
        collate: Callable[[Sequence[Any]], Batch],
        *,
        batch_size: int,
        seed: int = 0,
        group_by_length: bool = True,
        accumulate: int = 1,
        num_workers: int = 0,
        least: int = 1,
        finish: Callable[[Batch, bool], Batch] | None = None,
        summary: str = "",
        order: Callable[[np.random.Generator], np.ndarray] | None = None,
        head: Any = None,
    ) -> None:
        super().__init__()
        self.splits = {
            name: part if isinstance(part, Examples) else Examples.alike(part) for name, part in splits.items()
        }
        self.collate = collate
        self.batch_size = batch_size
        self.seed = seed
        self.group_by_length = group_by_length
        self.accumulate = accumulate
        self.num_workers = num_workers
        self.least = least
        self.finish = finish
        self.summary = summary
        self.order = order
        self.head = head

    def steps_per_epoch(self, world_size: int = 1) -> int:
        """Optimizer steps in an epoch; the last may cover fewer batches than the others."""
        plan = BatchPlan(self.splits["train"].lengths, self.batch_size, world_size=world_size, least=self.least)
        return -(-len(plan) // self.accumulate)

    def loader(self, split: str, *, shuffle: bool, rank: int = 0, world_size: int = 1) -> ResumableLoader:
        """Batches of one split for one rank."""
        examples = self.splits[split]
        plan = BatchPlan(
            examples.lengths,
            self.batch_size,
            shuffle=shuffle,
            group_by_length=self.group_by_length,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            accumulate=self.accumulate if shuffle else 1,
            units=examples.units,
            least=self.least if shuffle else 1,
            order=self.order,
        )
        return ResumableLoader(examples.items, plan, self.collate, self.num_workers)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """The batch as the model takes it, made on the model's device."""
        training = self.trainer is not None and self.trainer.training
        return batch if self.finish is None else self.finish(batch, training)

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled training batches.

        Raises:
            UserError: The Trainer takes another number of batches to an optimizer step than the loss is averaged over.
        """
        if self.trainer is not None and self.trainer.accumulate_grad_batches != self.accumulate:
            raise UserError(
                f"The loss is averaged over {self.accumulate} batches to an optimizer step, and the Trainer takes "
                f"{self.trainer.accumulate_grad_batches}.",
                code="config.conflict",
                where="Trainer(accumulate_grad_batches=...), FineTuneData(accumulate=...)",
                fix=f"FineTuneData(accumulate={self.trainer.accumulate_grad_batches})",
            )
        return self._for_trainer("train", shuffle=True)

    def val_dataloader(self) -> ResumableLoader:
        """Validation batches in a fixed order."""
        return self._for_trainer("validation", shuffle=False)

    def _for_trainer(self, split: str, shuffle: bool) -> ResumableLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return self.loader(split, shuffle=shuffle, rank=rank, world_size=world_size)
