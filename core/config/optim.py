"""The options of the optimizer and of its schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class OptimConfig:
    """The optimizer, its parameter groups and its schedule."""

    name: str = "adamw"
    """Optimizer: adamw, adam, nadam, radam, adamax, rmsprop, adagrad, adadelta, adafactor, sgd, muon, or the name of
    one that an installed package offers."""
    lr: float | None = None
    """Peak learning rate (default of adamw: full 5e-5, lora 5e-4, head 2e-3, scratch 2e-4; more below 50 M weights;
    other optimizers: a multiple of it)."""
    head_lr: float | None = None
    """Learning rate of the freshly initialised head (default: lr)."""
    weight_decay: float | None = None
    """Weight decay (default: 0.01 where it is decoupled from the gradient as in adamw, else 0); biases, norms and other
    vectors are never decayed."""
    layer_decay: float = 1.0
    """Factor on the learning rate from each layer to the one below it (1.0: none)."""
    beta1: float | None = None
    """Decay of the mean of the gradients (adamw and its kin; default: 0.9)."""
    beta2: float | None = None
    """Decay of the mean of their squares (adamw and its kin; default: 0.999)."""
    eps: float | None = None
    """Added to the denominator (default: the optimizer's own; adamw 1e-8)."""
    momentum: float | None = None
    """Momentum (default: sgd 0.9, muon 0.95, rmsprop 0)."""
    nesterov: bool | None = None
    """Nesterov's momentum (sgd, muon; default: sgd false, muon true)."""
    args: Any = None
    """Other arguments of the optimizer, by its own names: {dampening: 0.1}."""
    schedule: str = "linear"
    """Learning rate after the warm-up: linear, cosine, constant, polynomial, cosine_restarts, one_cycle, inverse_sqrt,
    wsd, or the name of one that an installed package offers."""
    schedule_args: Any = None
    """Arguments of the schedule: {power: 2.0}."""
    warmup: float = 0.1
    """Share of all steps in which the learning rate rises from zero to its peak."""
