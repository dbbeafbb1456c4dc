"""Overrides as people type them, made readable for Hydra."""

from __future__ import annotations

from collections.abc import Sequence

# What other tools call the same thing, spelt too differently to be found by likeness.
ELSEWHERE = {
    "learning_rate": "optim.lr",
    "epochs": "trainer.max_epochs",
    "num_train_epochs": "trainer.max_epochs",
    "per_device_train_batch_size": "data.batch_size",
    "batch": "data.batch_size",
    "patience": "trainer.early_stop",
    "warmup_ratio": "optim.warmup",
    "gradient_accumulation_steps": "trainer.accumulate_grad_batches",
    "max_grad_norm": "trainer.gradient_clip",
    "model_name_or_path": "model.name",
    "output_dir": "run_dir",
    "max_seq_length": "data.max_length",
    "lr_scheduler_type": "optim.schedule",
}


def readable(override: str) -> str:
    """Quote a value that Hydra's grammar cannot read as it stands: ``data.train=bücher (neu).csv``.

    What Hydra can read stays as it is, and so does what quotes do not help.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    try:
        parser.parse_override(override)
        return override
    except HydraException:
        key, _, value = override.partition("=")
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    quoted = f"{key}='{escaped}'"
    # A bracket or a comma that does not close is a mistake to tell of, not a text to quote.
    if value[:1] in "[{'\"" or value.endswith(("]", "}")):
        return override
    try:
        parser.parse_override(quoted)
    except HydraException:
        return override
    return quoted


def typed_value(key: str, overrides: Sequence[str]) -> str | None:
    """What was typed as a key's value, the last time; None where it was not."""
    values = [o.partition("=")[2] for o in overrides if o.lstrip("+").startswith(f"{key}=")]
    return values[-1] if values else None
