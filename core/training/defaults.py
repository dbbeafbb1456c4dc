"""The learning rate and the number of epochs where the user names none: a rule one can read, never a secret."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tunebook.config.optimizers import OPTIMIZERS, resolve_optim
from tunebook.config.schema import Method, Objective, TrainConfig

_STEPS = 500  # below this, tuning a pre-trained model on few rows is a lottery (Mosbach et al. 2021, arXiv:2006.04884)
_EPOCHS = 3
_MOST_EPOCHS = 10
_MOST_EPOCHS_FROZEN = 20  # a frozen backbone's epochs cost next to nothing
_PAIRED_STEPS, _MOST_PAIRED_EPOCHS = 200, 12  # docs/benchmarks.md, "Few labelled rows"

_PREFERENCE_RATE = 0.05  # of the supervised rate: TRL's default is 1e-6, and that of supervised tuning 2e-5
_MOST_PREFERENCE_EPOCHS = 3

_SMALL = 10_000_000  # weights; a narrow model bears, and needs, a higher rate (Yang et al. 2022, arXiv:2203.03466)
_NARROW = 50_000_000  # MiniLM among them, which these rates were measured with
_LEARNING_RATES = {
    Method.full: 5e-5,
    Method.lora: 5e-4,
    Method.head: 2e-3,
    Method.scratch: 2e-4,
    Method.contrastive: 2e-5,
}
_LEARNING_RATES_NARROW = {**_LEARNING_RATES, Method.full: 3e-4, Method.contrastive: 1e-4}
_LEARNING_RATES_SMALL = {
    Method.full: 1e-3,
    Method.lora: 2e-3,
    Method.head: 1e-2,
    Method.scratch: 1e-3,
    Method.contrastive: 1e-4,
}


@dataclass(frozen=True)
class TrainingContext:
    """What the rule looks at.

    Attributes:
        method: How the model is adapted.
        parameters: Number of weights of the model.
        steps_per_epoch: Optimizer steps in an epoch.
        objective: What it learns from.
        library: What builds the model; narrow ones of transformers alone have rates of their own.
    """

    method: Method
    parameters: int
    steps_per_epoch: int
    objective: Objective = Objective.sft
    library: str = "transformers"


def default_learning_rate(situation: TrainingContext, optimizer: str = "adamw") -> float:
    """The peak learning rate, by method and size of the model; of preferences a twentieth of it.

    For other optimizers than AdamW it is a multiple of that.
    """
    rates = _LEARNING_RATES
    if situation.parameters < _SMALL:
        rates = _LEARNING_RATES_SMALL
    elif situation.parameters < _NARROW and situation.library == "transformers":
        rates = _LEARNING_RATES_NARROW
    rate = rates[situation.method]
    if situation.objective is not Objective.sft:
        rate *= _PREFERENCE_RATE
    return rate * OPTIMIZERS[optimizer].rate


def default_epochs(situation: TrainingContext) -> int:
    """Three epochs; on few rows as many as make 500 steps, up to 10 (frozen: 20); of pairs 200, up to 12.

    Of preferences one; on few rows as many as make 500 steps, up to 3.
    """
    if situation.objective is not Objective.sft:
        return max(1, min(_MOST_PREFERENCE_EPOCHS, math.ceil(_STEPS / situation.steps_per_epoch)))
    if situation.method is Method.contrastive:
        return min(_MOST_PAIRED_EPOCHS, math.ceil(_PAIRED_STEPS / situation.steps_per_epoch))
    most = _MOST_EPOCHS_FROZEN if situation.method is Method.head else _MOST_EPOCHS
    return max(_EPOCHS, min(most, math.ceil(_STEPS / situation.steps_per_epoch)))


def resolve_defaults(config: TrainConfig, situation: TrainingContext) -> TrainConfig:
    """The config with every number that was left open."""
    optim, trainer = resolve_optim(config.optim), config.trainer
    if optim.lr is None:
        optim = replace(optim, lr=default_learning_rate(situation, optim.name))
    if trainer.max_epochs is None:
        trainer = replace(trainer, max_epochs=default_epochs(situation))
    return replace(config, optim=optim, trainer=trainer)
