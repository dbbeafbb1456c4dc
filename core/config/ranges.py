"""Numbers that a command can do something with."""

from __future__ import annotations

from typing import Any

from tunebook.errors import UserError

UP = float("inf")
RANGES = {
    "seed": (0, 2**32 - 1),
    "data.batch_size": (1, UP),
    "data.validation_fraction": (0.001, 0.9),
    "data.test_fraction": (0.001, 0.9),
    "data.split_seed": (0, 2**32 - 1),
    "data.shots": (1, UP),
    "data.max_rows": (2, UP),
    "data.max_rejects": (0, UP),
    "data.near_duplicate": (0.1, 1),
    "data.max_pixels": (1, 2**31 - 1),
    "data.num_workers": (0, 512),
    "data.distractors": (0, 10_000),
    "model.dropout": (0, 0.99),
    "adapt.lora_rank": (1, UP),
    "adapt.lora_alpha": (1, UP),
    "adapt.lora_dropout": (0, 0.99),
    "adapt.temperature": (0.001, 10),
    "objective.beta": (0.0001, 100),
    "objective.desirable_weight": (0.0001, 10_000),
    "objective.undesirable_weight": (0.0001, 10_000),
    "optim.lr": (1e-12, 10),
    "optim.head_lr": (1e-12, 10),
    "optim.weight_decay": (0, 10),
    "optim.layer_decay": (0.01, 1),
    "optim.beta1": (0, 0.9999),
    "optim.beta2": (0, 0.999999),
    "optim.eps": (1e-16, 1),
    "optim.momentum": (0, 0.9999),
    "optim.warmup": (0, 1),
    "adapt.unfreeze_epochs": (0, UP),
    "trainer.max_epochs": (1, UP),
    "trainer.max_steps": (1, UP),
    "trainer.devices": (1, UP),
    "trainer.num_nodes": (1, UP),
    "trainer.accumulate_grad_batches": (1, UP),
    "trainer.gradient_clip": (1e-6, UP),
    "trainer.early_stop": (1, UP),
    "trainer.validate_every": (0.001, 1),
    "trainer.checkpoint_every": (1, UP),
    "trainer.threads": (1, 1024),
    "evaluation.confidence": (0.5, 0.9999),
    "evaluation.resamples": (10, 10_000_000),
    "evaluation.max_generations": (1, UP),
    "evaluation.abstain_error": (0.0001, 0.5),
}
"""Smallest and largest value of each key, of whatever command has it."""


def check_ranges(config: Any) -> None:
    """Refuse numbers that nothing can be done with.

    Raises:
        UserError: There is such a number.
    """
    for key, (low, high) in RANGES.items():
        value = config
        for name in key.split("."):  # one of a family, or of another command, perhaps
            value = getattr(value, name, None)
        if value is not None and not low <= value <= high:
            allowed = f"from {low:g} to {high:.10g}" if high < UP else f"at least {low:g}"
            raise UserError(
                f"{key} must be {allowed}, not {value:g}.",
                code="config.out-of-range",
                where=key,
                fix="choose such a number, or leave it out",
            )
