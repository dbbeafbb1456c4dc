"""The optimizers and schedules that a config can name, and what each takes; torch is not imported.

``core/training/optimizers.py`` and ``core/training/schedules.py`` make them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tunebook.config.optim import OptimConfig
from tunebook.config.parts import check_option_names, check_part_name
from tunebook.errors import UserError

KEYS = ("weight_decay", "beta1", "beta2", "eps", "momentum", "nesterov")
"""Keys of ``optim`` that some optimizers take and others do not."""


@dataclass(frozen=True)
class OptimizerEntry:
    """One of torch's optimizers.

    Attributes:
        keys: The keys of ``optim`` that it takes, with their defaults.
        args: What it takes besides in ``optim.args``, with the defaults.
        rate: Its default learning rate over AdamW's, for which the rule in `tunebook.training.defaults` was made.
    """

    keys: Mapping[str, Any]
    args: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 1.0


_ADAM = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}

OPTIMIZERS: dict[str, OptimizerEntry] = {
    "adamw": OptimizerEntry({"weight_decay": 0.01, **_ADAM}, {"amsgrad": False}),
    "adam": OptimizerEntry({"weight_decay": 0.0, **_ADAM}, {"amsgrad": False}),
    "nadam": OptimizerEntry({"weight_decay": 0.01, **_ADAM}, {"momentum_decay": 0.004}),
    "radam": OptimizerEntry({"weight_decay": 0.01, **_ADAM}),
    "adamax": OptimizerEntry({"weight_decay": 0.0, **_ADAM}, rate=2.0),
    "rmsprop": OptimizerEntry({"weight_decay": 0.0, "eps": 1e-8, "momentum": 0.0}, {"alpha": 0.99, "centered": False}),
    "adagrad": OptimizerEntry(
        {"weight_decay": 0.0, "eps": 1e-10}, {"lr_decay": 0.0, "initial_accumulator_value": 0.0}, rate=10.0
    ),
    "adadelta": OptimizerEntry({"weight_decay": 0.0, "eps": 1e-6}, {"rho": 0.9}, rate=1000.0),
    "adafactor": OptimizerEntry({"weight_decay": 0.0}, {"beta2_decay": -0.8, "d": 1.0}, rate=20.0),
    "sgd": OptimizerEntry({"weight_decay": 0.0, "momentum": 0.9, "nesterov": False}, {"dampening": 0.0}, rate=100.0),
    "muon": OptimizerEntry(
        {"weight_decay": 0.01, **_ADAM, "momentum": 0.95, "nesterov": True},
        {"ns_steps": 5, "adjust_lr_fn": "match_rms_adamw"},
    ),
}

SCHEDULES: dict[str, Mapping[str, Any]] = {
    "linear": {"end": 0.0},
    "cosine": {"end": 0.0},
    "constant": {},
    "polynomial": {"power": 2.0, "end": 0.0},
    "cosine_restarts": {"cycles": 3, "end": 0.0},
    "one_cycle": {"start": 0.04, "end": 4e-6},
    "inverse_sqrt": {},
    "wsd": {"decay": 0.2, "end": 0.0},
}
"""Schedules by name, with what ``optim.schedule_args`` takes and its defaults."""

# Smallest and largest value of each number in optim.args and optim.schedule_args.
_RANGES = {
    "momentum_decay": (0, 1),
    "alpha": (0, 0.999999),
    "lr_decay": (0, 1),
    "initial_accumulator_value": (0, 1e6),
    "rho": (0, 0.999999),
    "beta2_decay": (-1, 0),
    "d": (1, 1e6),
    "dampening": (0, 1),
    "ns_steps": (1, 99),
    "start": (0, 1),
    "end": (0, 1),
    "power": (0.01, 100),
    "cycles": (1, 1000),
    "decay": (0.001, 1),
}
_CHOICES = {"adjust_lr_fn": ("original", "match_rms_adamw")}


def check_optim(optim: OptimConfig) -> None:
    """Refuse an optimizer or a schedule that nobody offers, and options that have no effect on the chosen one.

    Raises:
        UserError: The name is unknown, a key has no effect, or an option is unknown or out of range.
    """
    check_part_name("optimizer", optim.name, OPTIMIZERS, f"optim.name={optim.name}")
    check_part_name("schedule", optim.schedule, SCHEDULES, f"optim.schedule={optim.schedule}")
    for key, value in (("optim.args", optim.args), ("optim.schedule_args", optim.schedule_args)):
        if value is not None and not isinstance(value, dict):
            raise UserError(
                f"{key} must be a mapping.", code="config.wrong-type", where=key, fix=f"'{key}={{name: value}}'"
            )
    known = OPTIMIZERS.get(optim.name)
    _check_keys(optim, known)
    if known is not None:
        _check_args(optim.args or {}, known.args, "optim.args", optim.name)
    elif optim.lr is None:
        raise UserError(
            f"The learning rate has no default for optim.name={optim.name}: the rule for it was made for AdamW.",
            code="config.missing-value",
            where="optim.lr",
            fix="optim.lr=1e-3, or whatever its package advises",
        )
    if optim.schedule in SCHEDULES:
        _check_args(optim.schedule_args or {}, SCHEDULES[optim.schedule], "optim.schedule_args", optim.schedule)


def _check_keys(optim: OptimConfig, known: OptimizerEntry | None) -> None:
    """Refuse keys of other optimizers; weight decay is in the groups that a package's optimizer gets."""
    takes = ("weight_decay",) if known is None else tuple(known.keys)
    for key in KEYS:
        if getattr(optim, key) is not None and key not in takes:
            fix = (
                f"leave optim.{key} out; optim.name={optim.name} takes {', '.join(f'optim.{each}' for each in takes)}"
                if known
                else f"'optim.args={{{key}: {getattr(optim, key)}}}', where it takes that"
            )
            raise UserError(
                f"optim.{key} has no effect for optim.name={optim.name}.",
                code="config.no-effect",
                where=f"optim.{key}",
                fix=fix,
            )
    if optim.nesterov and not resolve_optim(optim).momentum:
        raise UserError(
            "Nesterov needs momentum.", code="config.conflict", where="optim.nesterov", fix="optim.momentum=0.9"
        )
    if optim.nesterov and (optim.args or {}).get("dampening"):
        raise UserError(
            "Nesterov excludes dampening.", code="config.conflict", where="optim.args", fix="leave dampening out"
        )


def _check_args(given: Mapping[str, Any], known: Mapping[str, Any], where: str, owner: str) -> None:
    check_option_names(given, list(known), f"{where}, of {owner}")
    for name, value in given.items():
        default, key = known[name], f"{where}.{name}"
        if name in _CHOICES:
            if value not in _CHOICES[name]:
                raise UserError(
                    f"{key} must be one of {', '.join(_CHOICES[name])}, not {value}.",
                    code="config.unknown-choice",
                    where=where,
                )
        elif isinstance(default, bool):
            if not isinstance(value, bool):
                raise UserError(
                    f"{key} must be true or false, not {value}.",
                    code="config.wrong-type",
                    where=where,
                    fix=f"{name}: true",
                )
        else:
            _check_number(value, default, name, key, where)


def _check_number(value: Any, default: Any, name: str, key: str, where: str) -> None:
    low, high = _RANGES[name]
    kind = int if isinstance(default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        said = "a whole number" if isinstance(default, int) else "a number"
        raise UserError(
            f"{key} must be {said} from {low:g} to {high:g}, not {value}.",
            code="config.out-of-range",
            where=where,
            fix=f"{name}: {default}",
        )


def resolve_optim(optim: OptimConfig) -> OptimConfig:
    """The config with the chosen optimizer's own defaults for the keys that it takes and that were left open."""
    defaults = OPTIMIZERS[optim.name].keys if optim.name in OPTIMIZERS else {"weight_decay": 0.0}
    still_open: dict[str, Any] = {key: value for key, value in defaults.items() if getattr(optim, key) is None}
    return replace(optim, **still_open)
