"""Lightning callbacks that a config names: a few of Lightning's own, and those of packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, LearningRateMonitor, ModelSummary, Timer

from tunebook.config.callbacks import CALLBACKS, KEY, check_callbacks
from tunebook.config.parts import check_part_options, load_part
from tunebook.errors import UserError


class AveragedWeights(EMAWeightAveraging):
    """Lightning's moving average of the weights, whose checkpoints too leave out frozen weights.

    Validation, the choice of the best checkpoint and the bundle see the average; the optimizer moves the weights.
    Buffers that no checkpoint holds (the frequencies of rotary positions) and whole numbers (counts, positions) are the
    model's own: their average would drift by rounding, and start again from the model's own where a run resumes.
    """

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *rest: Any) -> None:
        """Move the average, after an optimizer step that asks for it."""
        super().on_train_batch_end(trainer, pl_module, *rest)
        self._copy_constants(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move the average, after an epoch that asks for it."""
        super().on_train_epoch_end(trainer, pl_module)
        self._copy_constants(pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average in the model also where a run resumes at its last step, and no training ends."""
        self._copy_average_to_current(pl_module)

    def _copy_constants(self, pl_module: LightningModule) -> None:
        assert self._average_model is not None
        saved, own = pl_module.state_dict(), dict(pl_module.named_buffers())
        for name, averaged in self._average_model.module.named_buffers():
            if name not in saved or not averaged.is_floating_point():
                averaged.copy_(own[name])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """The average as the model's state, and the weights that the optimizer moves beside it."""
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        frozen = {n for n, p in pl_module.named_parameters(remove_duplicate=False) if not p.requires_grad}
        moved = checkpoint["current_model_state"]
        checkpoint["current_model_state"] = {k: v for k, v in moved.items() if k not in frozen}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take both back, with the frozen weights that the model has already."""
        own = pl_module.state_dict()
        whole = {key: {**own, **checkpoint[key]} for key in ("state_dict", "current_model_state")}
        super().on_load_checkpoint(trainer, pl_module, {**checkpoint, **whole})


_OURS: dict[str, Callable[..., Callback]] = {
    "ema_weight_averaging": AveragedWeights,
    "learning_rate_monitor": LearningRateMonitor,
    "model_summary": ModelSummary,
    "timer": Timer,
}


def make_callbacks(given: Sequence[Any]) -> list[Callback]:
    """The callbacks that a config names, in its order.

    Args:
        given: ``trainer.callbacks``: names, or ``{name: {option: value}}``.

    Raises:
        UserError: A name or an option is unknown, or one cannot be made with its options.
    """
    return [_made(name, options) for name, options in check_callbacks(given)]


def check_callback_options(given: Sequence[Any]) -> None:
    """Import the callbacks that a config names, and look at their options; only ours are made.

    Raises:
        UserError: As `make_callbacks`.
    """
    for name, options in check_callbacks(given):
        if name in CALLBACKS:
            _made(name, options)
        else:
            _offered(name, options)


def _offered(name: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """A package's callback, imported; it takes these options."""
    part = load_part("callback", name, KEY)
    check_part_options(part, options, f"{KEY}, of {name}")
    return part


def _made(name: str, options: Mapping[str, Any]) -> Callback:
    make = _OURS.get(name) or _offered(name, options)
    try:
        made = make(**options)
    except (TypeError, ValueError, MisconfigurationException) as error:
        raise UserError(
            f"The callback '{name}' cannot be created: {' '.join(str(error).split())}",
            code="config.bad-options",
            where=KEY,
            fix=f"correct its options: {', '.join(options) or 'none are given'}",
        ) from error
    if not isinstance(made, Callback):
        raise UserError(
            f"The callback '{name}' is a {type(made).__module__}.{type(made).__name__}, not a callback of Lightning's.",
            code="part.wrong-object",
            where=KEY,
            fix="derive it from lightning.pytorch.Callback",
        )
    return made
