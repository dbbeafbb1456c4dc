"""The Lightning module that fine-tunes any model with any head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection

from tunebook.config.optim import OptimConfig
from tunebook.data.batch import Batch
from tunebook.errors import UserError
from tunebook.models.adapt import check_adapters
from tunebook.training.finite import check_finite
from tunebook.training.head import Head
from tunebook.training.optimizers import make_optimizer
from tunebook.training.schedules import group_factors, learning_rate_factor


class FineTuner(LightningModule):
    """One step for all stages: forward, loss, metrics.

    A training batch holds ``inputs`` (what `Head.forward` gives to the model), ``target`` ``[batch]``, ``row``
    ``[batch]`` (the number of each row) and ``normalizer`` (what the sum of the batch's losses is divided by); a
    validation batch needs the first two.

    Args:
        model: The network, a plain transformers or timm model.
        head: Loss and prediction.
        metrics: What validation measures; cloned.
        optim: The optimizer and its schedule; ``lr`` must be set.
        total_steps: Optimizer steps of the whole run. Counted by the caller: asking the trainer for
            ``estimated_stepping_batches`` before a resume loses the loader's position.
        gradient_clip: Largest norm of the gradient; None: what the Trainer's ``gradient_clip_val`` says.
        unfreeze_steps: Optimizer steps over which the backbone is unfrozen from the top; 0: all learns at once.
        where: Names a training row, for messages.
    """

    def __init__(
        self,
        model: nn.Module,
        head: Head,
        metrics: MetricCollection,
        optim: OptimConfig,
        total_steps: int,
        gradient_clip: float | None = None,
        unfreeze_steps: int = 0,
        where: Callable[[int], str] = str,
    ) -> None:
        super().__init__()
        self.model = model
        self.head = head
        self.validation_metrics = metrics.clone(prefix="validation/")
        self.validation_loss = MeanMetric()
        self.optim = optim
        self.total_steps = total_steps
        self.gradient_clip = gradient_clip
        self.unfreeze_steps = unfreeze_steps
        self.where = where
        self._step_losses: list[Tensor] = []
        self._step_rows: list[Tensor] = []
        # Frozen weights are not in the checkpoints; they come from the model's own files.
        self.strict_loading = all(p.requires_grad for p in model.parameters())

    def _step(self, batch: Batch, stage: str) -> Tensor:
        logits = self.head.forward(self.model, batch)
        losses = self.head.loss(logits, batch["target"])
        units = self.head.units(batch)
        units = torch.ones_like(losses) if units is None else units.to(losses.dtype)
        if stage == "train":
            self._step_losses.append(losses.detach())
            self._step_rows.append(batch["row"])
            several = self.trainer.world_size > 1
            mean = losses.detach().sum() / units.sum().clamp(min=1)
            self.log("train/loss", mean, prog_bar=True, on_step=True, sync_dist=several)
            scaled: Tensor = losses.sum() / batch["normalizer"]
            return scaled
        self.head.measure(self.validation_metrics, logits, losses, batch)
        self.validation_loss.update(losses / units.clamp(min=1), weight=units)
        return losses.sum() / units.sum().clamp(min=1)

    def on_fit_start(self) -> None:
        """Switches dropout on: from_pretrained hands models out in evaluation mode, and Lightning keeps it.

        Raises:
            UserError: This module and the Trainer both limit the gradient.
        """
        if self.gradient_clip is not None and self.trainer.gradient_clip_val is not None:
            raise UserError(
                "The gradient has two limits.",
                code="config.conflict",
                where=f"FineTuner(gradient_clip={self.gradient_clip:g}), "
                f"Trainer(gradient_clip_val={self.trainer.gradient_clip_val:g})",
                fix="give one of them",
            )
        self.model.train()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch, scaled so that an optimizer step averages over all of its rows."""
        missing = [key for key in ("target", "row", "normalizer") if key not in batch]
        if missing:
            raise UserError(
                f"A training batch has no '{missing[0]}'.",
                code="training.bad-batch",
                where=f"it has {', '.join(sorted(batch))}",
                fix="FineTuneData adds 'normalizer'; in batches of your own it is the number of rows",
            )
        return self._step(batch, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Counts a batch into the validation metrics."""
        return self._step(batch, "validation")

    def on_validation_epoch_end(self) -> None:
        """Computes the metrics over all validation rows of all processes."""
        scores = {**self.validation_metrics.compute(), "validation/loss": self.validation_loss.compute()}
        self.log_dict(scores, prog_bar=True)
        self.validation_metrics.reset()
        self.validation_loss.reset()

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Measures the gradient before each optimizer step, clips it, and stops where it is not finite.

        Args:
            optimizer: Lightning's.
            gradient_clip_val: The Trainer's limit, which holds where this module has none.
            gradient_clip_algorithm: Whether that is of the "norm" or of each "value".
        """
        if self.global_step == 0:
            check_adapters(self.model)
        losses, rows = torch.cat(self._step_losses), torch.cat(self._step_rows)
        self._step_losses, self._step_rows = [], []
        by_value = gradient_clip_val is not None and gradient_clip_algorithm == "value"
        limit = self.gradient_clip if gradient_clip_val is None or by_value else gradient_clip_val
        limit = float("inf") if limit is None else limit
        sharded = getattr(self.trainer.model, "clip_grad_norm_", None)  # FSDP knows the other ranks' shards
        parameters = [p for p in self.parameters() if p.grad is not None]
        norm = sharded(limit) if sharded else nn.utils.clip_grad_norm_(parameters, limit)
        scaled = self.trainer.precision_plugin.precision == "16-mixed"  # its scaler skips such steps itself
        check_finite(losses, rows, norm if not scaled else None, self.global_step, self.where)
        if by_value and gradient_clip_val is not None:
            nn.utils.clip_grad_value_(parameters, gradient_clip_val)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leaves frozen weights out of checkpoints."""
        # Tied weights have two names, and both are in the state.
        frozen = {n for n, p in self.named_parameters(remove_duplicate=False) if not p.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k not in frozen}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Loads weights with the versions of the model's layers, which checkpoints do not keep and some ask for."""
        versioned = self.state_dict()
        versioned.clear()
        versioned.update(state_dict)
        return super().load_state_dict(versioned, strict, assign)

    def configure_optimizers(self) -> Any:
        """The optimizer over the parameter groups, and a schedule by optimizer step."""
        optim = self.optim
        optimizer = make_optimizer(self.model, optim, self.unfreeze_steps)
        factor = learning_rate_factor(optim.schedule, optim.warmup, self.total_steps, optim.schedule_args)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, group_factors(optimizer.param_groups, factor))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
