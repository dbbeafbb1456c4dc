"""What a person sees while it trains: a bar on a terminal, a line for each validation anywhere."""

from __future__ import annotations

import sys

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar


class ValidationLines(Callback):
    """Prints one line after each validation, so that logs of unattended runs show progress too."""

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Epoch, step and all validation scores."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        epochs = trainer.global_step / max(1, trainer.num_training_batches / trainer.accumulate_grad_batches)
        scores = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("validation/")}
        scored = "  ".join(f"{k.removeprefix('validation/')} {v:.4f}" for k, v in sorted(scores.items()))
        print(f"epoch {epochs:.1f}  step {trainer.global_step}  validation: {scored}", file=sys.stderr)


class Bar(RichProgressBar):
    """Lightning's bar without the name of the log folder."""

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Loss and scores only."""
        metrics = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in metrics.items() if name != "v_num"}


def progress_callbacks(wanted: bool) -> list[Callback]:
    """The bar only where someone can watch it move."""
    bar: list[Callback] = [Bar(leave=False)] if wanted and sys.stderr.isatty() else []
    return [*bar, ValidationLines()]
