"""What a config names of installed packages, looked at before any row is read."""

from __future__ import annotations

from tunebook.config.callbacks import check_callbacks
from tunebook.config.optimizers import OPTIMIZERS, SCHEDULES
from tunebook.config.schema import AugmentedDataConfig, Method, TrainConfig
from tunebook.errors import UserError
from tunebook.training.schedules import find_shape


def check_offered(config: TrainConfig) -> None:
    """Import the packages' parts that the config names, and look at their options; imports nothing where it names none.

    Raises:
        UserError: One cannot be imported, does not take its options, or has no effect here.
    """
    # torch begins behind each of these, and is not loaded where none is named.
    if config.optim.name not in OPTIMIZERS:
        from tunebook.training.optimizers import check_offered_optimizer

        check_offered_optimizer(config.optim)
    if config.optim.schedule not in SCHEDULES:
        find_shape(config.optim.schedule, config.optim.schedule_args)
    if config.trainer.callbacks:
        _check_average(config)
        from tunebook.training.callbacks import check_callback_options

        check_callback_options(config.trainer.callbacks)
    named = config.data.augmentations if isinstance(config.data, AugmentedDataConfig) else []
    if named:
        from tunebook.data.augmentations import make_augmentations

        if config.adapt.method in (Method.head, Method.none):
            raise UserError(
                f"data.augmentations has no effect with adapt={config.adapt.method.name}, which sees each row once.",
                code="config.no-effect",
                where="data.augmentations",
                fix="leave it out, or adapt=full",
            )
        make_augmentations(named, None, config.seed)


def _check_average(config: TrainConfig) -> None:
    """Refuse an average of adapters: a resumed run would end in other weights than one that was never stopped."""
    named = {name for name, _ in check_callbacks(config.trainer.callbacks)}
    if config.adapt.method is Method.lora and "ema_weight_averaging" in named:
        raise UserError(
            "A run that averages adapters cannot be resumed exactly.",
            code="config.conflict",
            where="trainer.callbacks",
            fix="leave ema_weight_averaging out, or adapt=full",
        )
