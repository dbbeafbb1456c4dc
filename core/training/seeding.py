"""Random numbers that do not depend on what came before: every step has a seed of its own."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


def seed_of(*parts: int) -> int:
    """A 63-bit seed from a few numbers."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def seed_torch(seed: int) -> None:
    """Seed the generators that layers draw from.

    ``torch.manual_seed`` does the same for every backend there is, at seventy times the cost.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


class SeedEveryStep(Callback):
    """Seeds dropout and its like before each batch, so that a resumed run draws the same numbers.

    Saving and restoring generators is not enough: Lightning calls no hook at the right moment both in the
    middle of an epoch and at its start.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed by run, epoch, batch and process."""
        seed_torch(seed_of(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank))
