"""Pages that are short and stand for more than anybody waits for: values of values of values, sweeps of millions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from tunebook.errors import UserError

LONGEST = 10_000_000
"""Characters that all values of a config may have together, with what they refer to."""
MOST_RUNS = 10_000
"""Runs that a sweep may have."""
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


def refuse_endless(config: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse a config that would take forever to resolve, or a sweep that would never end.

    Args:
        config: As Hydra composed it, nothing resolved.
        overrides: What was typed.

    Raises:
        UserError: It is one.
    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    leaves, sizes = dict(_leaves("", plain)), dict[str, int]()
    total = sum(_size(text, leaves, sizes, ()) for text in leaves.values())
    if total > LONGEST:
        raise UserError(
            f"The values of this config refer to each other, and are more than {LONGEST:,} characters together.",
            code="config.too-large",
            where="${...}",
            fix="write out the values that are meant",
        )
    params = ((plain.get("hydra") or {}).get("sweeper") or {}).get("params") or {}
    runs = math.prod(_choices([*overrides, *(f"{key}={value}" for key, value in params.items())]))
    if runs > MOST_RUNS:
        raise UserError(
            f"This sweep has {runs:,} runs, and {MOST_RUNS:,} are the most.",
            code="config.too-large",
            where=" ".join([*overrides, *(f"hydra.sweeper.params.{key}" for key in params)]),
            fix="sweep over fewer values",
        )


def _leaves(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """The texts of a config, by dotted key."""
    if isinstance(value, Mapping):
        for name, inside in value.items():
            yield from _leaves(f"{key}.{name}" if key else str(name), inside)
    elif isinstance(value, list):
        for number, inside in enumerate(value):
            yield from _leaves(f"{key}.{number}", inside)
    elif isinstance(value, str):
        yield key, value


def _size(text: str, leaves: Mapping[str, str], sizes: dict[str, int], above: tuple[str, ...]) -> int:
    """Characters of a text with what it refers to; one that refers to itself has an error of its own."""
    size = len(text)
    for key in _REFERENCE.findall(text):
        if key in above or key not in leaves:
            continue
        if key not in sizes:
            sizes[key] = _size(leaves[key], leaves, sizes, (*above, key))
        size += sizes[key]
    return size


def _choices(overrides: Sequence[str]) -> Iterator[int]:
    """How many values each swept override has."""
    for override in overrides:
        if not re.search(r",|range\(|interval\(|glob\(", override):
            continue
        try:
            value = OverridesParser.create().parse_override(override).value()
        except (HydraException, ValueError, RecursionError):  # it has an error of its own, where it is used
            continue
        if isinstance(value, ChoiceSweep):
            yield max(1, len(value.list))
        elif isinstance(value, RangeSweep) and value.start is not None and value.stop is not None:
            yield max(1, math.ceil((float(value.stop) - float(value.start)) / float(value.step or 1)))
