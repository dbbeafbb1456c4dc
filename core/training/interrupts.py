"""SIGTERM and Ctrl-C: finish the step, save, say how to resume."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tunebook.errors import UserError
from tunebook.interruption import signal_behind
from tunebook.training.checkpoints import Checkpoints, at_step_boundary, step_checkpoints, validation_due
from tunebook.training.run_log import rows_after_batch

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(UserError):
    """The run was stopped by a signal.

    Args:
        run_dir: Folder of the run.
        number: The signal.
        when: How far it was.
        saved: Whether there is a checkpoint to resume from.
    """

    kind = ""

    def __init__(self, run_dir: Path, number: int, when: str, saved: bool = True) -> None:
        super().__init__(
            f"Stopped by {signal.Signals(number).name} {when}; {'the run' if saved else 'nothing'} is saved.",
            code="run.interrupted",
            where=str(run_dir),
            fix=f"resume with: tunebook train resume={shlex.quote(str(run_dir))}" if saved else "start it again",
        )
        self.exit_code = 128 + number


@contextmanager
def interruption_named(run_dir: Path) -> Iterator[None]:
    """Turn a signal that comes before or after training into the message that one during training gets."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        number = signal_behind(error)
        if not number:
            raise
        saved = bool(step_checkpoints(run_dir / "checkpoints"))
        when = "after training" if saved else "before the first checkpoint"
        raise Interrupted(run_dir, number, when, saved) from error


class StopOnSignal(Callback):
    """Turns the first SIGTERM or SIGINT into a checkpoint and an orderly end; the second ends at once.

    Lightning alone would save nothing and exit with status 0.
    """

    def __init__(self, run_dir: Path, checkpoints: Checkpoints) -> None:
        self.run_dir = run_dir
        self.checkpoints = checkpoints
        self.received = 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        for each in _NUMBERS:
            signal.signal(each, signal.SIG_DFL)

    @contextmanager
    def around(self, trainer: Trainer) -> Iterator[None]:
        """Put the handlers from before back at the end, and stop if a signal came too late for any step.

        Lightning puts its own handler back before, which swallows what comes to it.
        """
        before = {number: signal.getsignal(number) for number in _NUMBERS}
        try:
            yield
        finally:
            with suppress(ValueError):  # not the main thread, which set none
                for number, handler in before.items():
                    signal.signal(number, handler)
        if self.received and trainer.is_global_zero:
            raise Interrupted(self.run_dir, self.received, "after training")

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Install the handlers, after Lightning has installed its own."""
        with suppress(ValueError):  # only the main thread may; a notebook's worker thread cannot be signalled
            for number in _NUMBERS:
                signal.signal(number, self._note)

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
        raise Interrupted(self.run_dir, number, f"after step {trainer.global_step}")
