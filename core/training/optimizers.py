"""The optimizer that a config names, over the model's parameter groups."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from tunebook.config.optim import OptimConfig
from tunebook.config.optimizers import KEYS, OPTIMIZERS, check_optim, resolve_optim
from tunebook.config.parts import check_part_options, load_part
from tunebook.errors import UserError
from tunebook.training.muon import MuonWithAdamW
from tunebook.training.parameter_groups import parameter_groups

_CLASSES: dict[str, type[Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adamax": torch.optim.Adamax,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "adafactor": torch.optim.Adafactor,
    "sgd": torch.optim.SGD,
    "muon": MuonWithAdamW,
}
_FIXED: dict[str, dict[str, Any]] = {
    "adamw": {"fused": True},  # seven times faster than torch's default on a CPU
    "adam": {"fused": True},
    "sgd": {"fused": True},
    "nadam": {"decoupled_weight_decay": True},
    "radam": {"decoupled_weight_decay": True},
}


def make_optimizer(model: nn.Module, optim: OptimConfig, unfreeze_steps: int = 0) -> Optimizer:
    """The optimizer over the weights that learn.

    Args:
        model: The model with the weights that learn.
        optim: Name, rates, decay and options.
        unfreeze_steps: Optimizer steps over which the backbone is unfrozen.

    Raises:
        UserError: The learning rate is open, the optimizer is unknown or does not take these options.
    """
    check_optim(optim)
    if optim.lr is None:
        raise UserError(
            "The learning rate is not set.", code="config.missing-value", where="optim.lr", fix="OptimConfig(lr=5e-5)"
        )
    groups = parameter_groups(model, optim, unfreeze_steps)
    settled = resolve_optim(optim)
    if optim.name not in OPTIMIZERS:
        return _offered(settled, groups)
    options = {key: getattr(settled, key) for key in KEYS if key in OPTIMIZERS[optim.name].keys}
    if "beta1" in options:
        options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    entry = OPTIMIZERS[optim.name]
    made: Any = _CLASSES[optim.name]  # each takes other options
    made = made(groups, lr=optim.lr, **options, **{**entry.args, **(optim.args or {})}, **_FIXED.get(optim.name, {}))
    assert isinstance(made, Optimizer)
    return made


def check_offered_optimizer(optim: OptimConfig) -> None:
    """Import a package's optimizer, if one is named, and look at its options.

    Raises:
        UserError: It cannot be imported, or does not take these options.
    """
    if optim.name not in OPTIMIZERS:
        part = load_part("optimizer", optim.name, f"optim.name={optim.name}")
        check_part_options(part, {**(optim.args or {}), "lr": optim.lr}, "optim.args", ("params",))


def _offered(optim: OptimConfig, groups: list[dict[str, Any]]) -> Optimizer:
    """A package's optimizer: ``part(groups, lr=..., **args)``."""
    check_offered_optimizer(optim)
    made = load_part("optimizer", optim.name, f"optim.name={optim.name}")(groups, lr=optim.lr, **(optim.args or {}))
    if not isinstance(made, Optimizer):
        raise UserError(
            f"The optimizer '{optim.name}' gave a {type(made).__name__}.",
            code="part.wrong-object",
            where=f"optim.name={optim.name}",
            fix="its entry point must give a torch.optim.Optimizer",
        )
    return made
