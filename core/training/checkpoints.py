"""Checkpoints that survive a kill at any moment, and from which a run goes on bit for bit."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer

from tunebook.errors import UserError
from tunebook.files import write_atomically
from tunebook.training.plain_state import check_plain
from tunebook.training.run_log import Row, rows_after_batch, run_log

_KEEP = 2  # the newest, and the one before in case the newest is on a disk that lies about having written it
LOG = "tunebook_log"
"""Where a checkpoint holds the rows of the run's log up to its step."""
CONFIG = "tunebook_config"
"""Where it holds the settings that shaped its steps."""


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
    """Read a checkpoint on the CPU, tensors and plain values only.

    Raises:
        ValueError: It is packed, which none of ours is, and would unpack to who knows what.
    """
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("it is compressed")
    checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return checkpoint


def step_checkpoint(folder: Path, step: int) -> Path:
    """The file of the checkpoint of a step."""
    return folder / f"step-{step:08d}.ckpt"


def step_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    found = [(int(m.group(1)), p) for p in folder.glob("step-*.ckpt") if (m := re.match(r"step-(\d+)", p.name))]
    return [path for _, path in sorted(found)]


def newest_valid(folder: Path, skipped: Callable[[Path], None] = lambda path: None) -> Path | None:
    """The newest checkpoint that can be read; ``skipped`` is called with each newer one."""
    for path in reversed(step_checkpoints(folder)):
        try:
            read_checkpoint(path)
        except Exception:  # a damaged file fails in many ways, and all mean: take the one before
            skipped(path)
            continue
        return path
    return None


class Checkpoints(Callback):
    """Saves the run, remembers the best validation, and stops early.

    A checkpoint names the step of the best validation so far and holds the run's log: it alone says how the run goes on
    from there. The files that the newest checkpoints name as best are kept with them.

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
        self.config: dict[str, str] = {}
        self._log: list[Row] = []
        self._saved: list[tuple[int, int]] = []  # steps of the newest checkpoints, and the best that each names

    def state_dict(self) -> dict[str, Any]:
        """What early stopping and the choice of the best depend on."""
        return {"best": self.best, "best_step": self.best_step, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.best, self.best_step, self.waited = state["best"], state["best_step"], state["waited"]

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """A run that had stopped early before it was killed stays stopped."""
        self.saved_step = trainer.global_step
        if self.saved_step:
            self._saved = [(self.saved_step, self.best_step)]
        if trainer.is_global_zero:  # newer ones could not be read
            for path in step_checkpoints(self.folder):
                if path > step_checkpoint(self.folder, self.saved_step):
                    path.unlink()
        trainer.should_stop = self._out_of_patience()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save every so many optimizer steps."""
        due = trainer.global_step - self.saved_step >= self.every
        if due and at_step_boundary(trainer, batch_idx) and not validation_due(trainer, batch_idx):
            self.save(trainer, rows_after_batch(trainer))

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
        self.save(trainer, run_log(trainer).rows)

    def _out_of_patience(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    def save(self, trainer: Trainer, log: Sequence[Row]) -> None:
        """Write a checkpoint of this step; keep the newest two, and those that they name as best.

        Args:
            trainer: The trainer.
            log: The rows of the run's log up to this step.
        """
        step = trainer.global_step
        self._log = list(log)
        trainer.save_checkpoint(step_checkpoint(self.folder, step))
        self.saved_step = step
        self._saved = [*(s for s in self._saved if s[0] != step), (step, self.best_step)][-_KEEP:]
        if trainer.is_global_zero:
            kept = {step_checkpoint(self.folder, each) for pair in self._saved for each in pair}
            for path in step_checkpoints(self.folder):
                if path not in kept:
                    path.unlink()

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Have the log and the config saved with the weights."""
        checkpoint[LOG], checkpoint[CONFIG] = self._log, self.config

    def restore_best(self, module: LightningModule) -> None:
        """Load the weights of the best validation; those of the last step stay where there was none.

        Raises:
            UserError: Their file is damaged or gone.
        """
        if not self.best_step:
            return
        path = step_checkpoint(self.folder, self.best_step)
        try:
            state = read_checkpoint(path)["state_dict"]
        except Exception as error:  # a damaged file fails in many ways
            raise UserError(
                "The checkpoint with the best weights cannot be read.",
                code="run.damaged-checkpoint",
                where=str(path),
                fix="restore it from a backup, or start a new run",
            ) from error
        module.load_state_dict(state, strict=module.strict_loading)


def at_step_boundary(trainer: Trainer, batch_idx: int) -> bool:
    """Whether the optimizer stepped on this batch, so that no gradient is half accumulated."""
    last = batch_idx + 1 == trainer.num_training_batches
    return last or (batch_idx + 1) % trainer.accumulate_grad_batches == 0


def validation_due(trainer: Trainer, batch_idx: int) -> bool:
    """Whether Lightning validates right after this batch."""
    every = trainer.val_check_batch
    return isinstance(every, int) and (batch_idx + 1) % every == 0
