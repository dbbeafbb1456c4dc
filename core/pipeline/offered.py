"""What a config names of installed packages, looked at before any row is read."""

from __future__ import annotations

from tunebook.config.optimizers import OPTIMIZERS, SCHEDULES
from tunebook.config.schema import TrainConfig


def check_offered(config: TrainConfig) -> None:
    """Import the packages' parts that the config names, and look at their options; imports nothing where it names none.

    Raises:
        UserError: One cannot be imported, or does not take its options.
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
