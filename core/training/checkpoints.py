"""Checkpoints that survive a kill at any moment, and from which a run goes on bit for bit."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer

from tunebook.files import write_atomically
from tunebook.training.plain_state import check_plain

_KEEP = 2  # the newest, and the one before in case the newest is on a disk that lies about having written it


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside and renames; reads without running code.

    Lightning's own goes through $TMPDIR: where that is another file system, a kill while writing leaves half
    a checkpoint.
    """

    def save_checkpoint(self, checkpoint: Mapping[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write the checkpoint, whole or not at all.

        Raises:
            UserError: Something in it could not be read back.
        """
        check_plain(checkpoint)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, lambda stream: torch.save(dict(checkpoint), stream))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:
        """Read tensors and plain values; anything else in the file is refused."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint on the CPU, tensors and plain values only."""
    checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return checkpoint


def step_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    found = [(int(m.group(1)), p) for p in folder.glob("step-*.ckpt") if (m := re.match(r"step-(\d+)", p.name))]
    return [path for _, path in sorted(found)]


def newest_valid(folder: Path) -> Path | None:
    """The newest checkpoint that can be read."""
    for path in reversed(step_checkpoints(folder)):
        try:
            read_checkpoint(path)
        except Exception:  # a damaged file fails in many ways, and all mean: take the one before
            continue
        return path
    return None


class Checkpoints(Callback):
    """Saves the run, remembers the best validation, and stops early.

    A checkpoint is only ever taken when no gradient is half accumulated and no validation is due, for those
    are lost with it: after an optimizer step, or after the validation that follows it.

    Args:
        folder: Where the checkpoints go.
        watch: Name of the watched metric.
        mode: "max" or "min".
        every: Optimizer steps between two checkpoints.
        patience: Validations without a better watched metric before the run stops; None: never.
    """

    def __init__(self, folder: Path, watch: str, mode: str, every: int, patience: int | None) -> None:
        self.folder = folder
        self.watch = watch
        self.sign = 1.0 if mode == "max" else -1.0
        self.every = max(1, every)
        self.patience = patience
        self.best: float | None = None
        self.best_step = 0
        self.waited = 0
        self.saved_step = 0

    def state_dict(self) -> dict[str, Any]:
        """What early stopping and the choice of the best depend on."""
        return {"best": self.best, "best_step": self.best_step, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.best, self.best_step, self.waited = state["best"], state["best_step"], state["waited"]

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """A run that had stopped early before it was killed stays stopped."""
        self.saved_step = trainer.global_step
        trainer.should_stop = self._out_of_patience()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save every so many optimizer steps."""
        due = trainer.global_step - self.saved_step >= self.every
        if due and at_step_boundary(trainer, batch_idx) and not validation_due(trainer, batch_idx):
            self.save(trainer)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Compare with the best so far, and save."""
        if trainer.sanity_checking:
            return
        value = float(trainer.callback_metrics[f"validation/{self.watch}"])
        # A metric that is undefined on these rows (nan) is never the best.
        if self.best is None or (math.isfinite(value) and self.sign * value > self.sign * self.best):
            self.best = value if math.isfinite(value) else None
            self.best_step, self.waited = trainer.global_step, 0
        else:
            self.waited += 1
        if self._out_of_patience():
            trainer.should_stop = True
        self.save(trainer)

    def _out_of_patience(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint of this step; keep the newest two and the best."""
        step = trainer.global_step
        path = self.folder / f"step-{step:08d}.ckpt"
        trainer.save_checkpoint(path)
        self.saved_step = step
        if trainer.is_global_zero:
            if self.best_step == step:
                self._mark_best(path)
            for old in step_checkpoints(self.folder)[:-_KEEP]:
                old.unlink()

    def _mark_best(self, path: Path) -> None:
        """Give the file a second name; file systems without links get a copy."""
        best, beside = self.folder / "best.ckpt", self.folder / ".best.ckpt.new"
        beside.unlink(missing_ok=True)
        try:
            os.link(path, beside)
        except OSError:
            write_atomically(best, lambda stream: stream.write(path.read_bytes()))
            return
        os.replace(beside, best)


def at_step_boundary(trainer: Trainer, batch_idx: int) -> bool:
    """Whether the optimizer stepped on this batch, so that no gradient is half accumulated."""
    last = batch_idx + 1 == trainer.num_training_batches
    return last or (batch_idx + 1) % trainer.accumulate_grad_batches == 0


def validation_due(trainer: Trainer, batch_idx: int) -> bool:
    """Whether Lightning validates right after this batch."""
    every = trainer.val_check_batch
    return isinstance(every, int) and (batch_idx + 1) % every == 0
