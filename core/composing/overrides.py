"""Overrides as people type them, made readable for Hydra."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

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


def in_words(message: str) -> str:
    """What OmegaConf says of a value's type, for people."""
    if "is not a ListConfig" in message:
        return "it must be a list, such as [a,b]"
    if "to Dict[" in message or "is not a DictConfig" in message:
        return "it must be names with values, such as {a: b}"
    return message.rstrip(".")


def typed_value(key: str, overrides: Sequence[str]) -> str | None:
    """What was typed as a key's value, the last time; None where it was not."""
    values = [o.partition("=")[2] for o in overrides if o.lstrip("+").startswith(f"{key}=")]
    return values[-1] if values else None


def value_hint(key: str, said: str, value: Any) -> str:
    """What was probably meant by a wrong value, from what OmegaConf says of it; empty where nothing is near.

    Args:
        key: The config key.
        said: OmegaConf's message.
        value: The value, where it is known.
    """
    choice = re.search(r"Invalid value '(.*)', expected one of \[(.*)\]", said)
    if choice:
        near = get_close_matches(choice.group(1), choice.group(2).split(", "), n=1)
        return f"did you mean {near[0]}? " if near else ""
    no_list = "is not a list" in said or "is not a ListConfig" in said
    return f"write {key}=[{value}]; " if no_list and isinstance(value, (str, int, float)) else ""
