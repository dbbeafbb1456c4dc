"""The callbacks that a config can name, and what each takes; Lightning is not imported.

``core/training/callbacks.py`` makes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tunebook.config.parts import check_option_names, check_part_name, named_parts
from tunebook.errors import UserError

KEY = "trainer.callbacks"

CALLBACKS: dict[str, Collection[str]] = {
    "ema_weight_averaging": ("decay", "update_every_n_steps", "update_starting_at_step", "update_starting_at_epoch"),
    "learning_rate_monitor": ("logging_interval", "log_momentum", "log_weight_decay"),
    "model_summary": ("max_depth",),
    "timer": ("duration",),
}
"""Lightning's own that keep what a run promises, with the options that may be given."""

NOT_OFFERED: Mapping[str, tuple[str, str]] = {
    "stochastic_weight_averaging": (
        "it averages after the last validation, so the weights that are saved were never validated",
        "ema_weight_averaging validates what it averages",
    ),
    "early_stopping": ("the run does that itself", "trainer.early_stop=3"),
    "model_checkpoint": ("the run does that itself", "trainer.checkpoint_every=100"),
    "backbone_finetuning": ("the run does that itself", "adapt.unfreeze_epochs=2"),
    "gradient_accumulation_scheduler": (
        "the loss of a step is averaged over a fixed number of batches",
        "trainer.accumulate_grad_batches=4",
    ),
}
"""Others of Lightning's: why not, and what to do instead."""


def check_callbacks(given: Any) -> list[tuple[str, dict[str, Any]]]:
    """The callbacks that a config names, each with its options.

    Raises:
        UserError: A name is unknown, not offered or there twice, or an option is unknown.
    """
    named = named_parts(given, KEY)
    for name, options in named:
        if name in NOT_OFFERED:
            why, fix = NOT_OFFERED[name]
            raise UserError(
                f"The callback '{name}' is not offered: {why}.", code="config.unknown-choice", where=KEY, fix=fix
            )
        check_part_name("callback", name, CALLBACKS, KEY)
        if name in CALLBACKS:
            check_option_names(options, CALLBACKS[name], f"{KEY}, of {name}")
    return named
