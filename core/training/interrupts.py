"""SIGTERM and Ctrl-C: finish the step, save, say how to resume."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tunebook.errors import UserError
from tunebook.training.checkpoints import Checkpoints, at_step_boundary, validation_due
from tunebook.training.run_log import rows_after_batch


class Interrupted(UserError):
    """The run was stopped by a signal; everything up to the last step is saved.

    Args:
        run_dir: Folder of the run.
        step: Optimizer steps done.
        number: The signal.
    """

    kind = ""

    def __init__(self, run_dir: Path, step: int, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__(
            f"Stopped by {name} after step {step}; the run is saved.",
            code="run.interrupted",
            where=str(run_dir),
            fix=f"resume with: tunebook train resume={run_dir}",
        )
        self.exit_code = 128 + number


class StopOnSignal(Callback):
    """Turns the first SIGTERM or SIGINT into a checkpoint and an orderly end; the second ends at once.

    Lightning alone would save nothing and exit with status 0.
    """

    def __init__(self, run_dir: Path, checkpoints: Checkpoints) -> None:
        self.run_dir = run_dir
        self.checkpoints = checkpoints
        self.received = 0
        self._before: dict[int, Any] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Install the handlers, after Lightning has installed its own."""
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        except ValueError:  # only the main thread may; a notebook's worker thread cannot be signalled
            self._before = {}

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Put back the handlers from before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop here, unless a gradient is half accumulated or a validation comes first."""
        if not at_step_boundary(trainer, batch_idx):
            return
        number = self._anywhere(trainer)
        if number and not validation_due(trainer, batch_idx):
            self._stop(trainer, number)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop after a validation; it is counted and saved by then."""
        number = self._anywhere(trainer)
        if number and not trainer.sanity_checking:
            self._stop(trainer, number)

    def _anywhere(self, trainer: Trainer) -> int:
        """The signal that any of the processes received: they must all stop at one step."""
        if trainer.world_size == 1:
            return self.received
        flag = torch.tensor([self.received], device=trainer.strategy.root_device)
        torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
        return int(flag)

    def _stop(self, trainer: Trainer, number: int) -> None:
        if self.checkpoints.saved_step != trainer.global_step:
            self.checkpoints.save(trainer, rows_after_batch(trainer))
        if not trainer.is_global_zero:
            raise SystemExit(0)  # the main process reports; a failing one would have Lightning kill the others
        raise Interrupted(self.run_dir, trainer.global_step, number)
