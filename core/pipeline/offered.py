"""What a config names of installed packages, looked at before any row is read."""

from __future__ import annotations

from tunebook.config.optimizers import OPTIMIZERS, SCHEDULES
from tunebook.config.schema import AugmentedDataConfig, Method, TrainConfig
from tunebook.errors import UserError


def check_offered(config: TrainConfig) -> None:
    """Import the packages' parts that the config names, and look at their options; imports nothing where it names none.

    Raises:
        UserError: One cannot be imported, does not take its options, or has no effect here.
    """
    if config.optim.name not in OPTIMIZERS:
        from tunebook.training.optimizers import check_offered_optimizer

        check_offered_optimizer(config.optim)
    if config.optim.schedule not in SCHEDULES:
        from tunebook.training.schedules import find_shape

        find_shape(config.optim.schedule, config.optim.schedule_args)
    if config.trainer.callbacks:
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
