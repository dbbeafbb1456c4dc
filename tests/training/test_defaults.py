"""The numbers chosen where none is given, against the rule worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunebook.config.optim import OptimConfig
from tunebook.config.schema import Method, Objective, TrainConfig, TrainerConfig
from tunebook.training.defaults import TrainingContext, resolve_defaults

SMALL, NARROW, LARGE = 2_400_000, 22_700_000, 134_500_000  # the text starter, MiniLM, SmolLM2


@pytest.mark.parametrize(
    ("method", "parameters", "steps_per_epoch", "lr", "epochs"),
    [
        (Method.full, LARGE, 1000, 5e-5, 3),
        (Method.full, LARGE, 100, 5e-5, 5),
        (Method.full, LARGE, 16, 5e-5, 10),
        (Method.full, NARROW, 16, 3e-4, 10),
        (Method.lora, LARGE, 200, 5e-4, 3),
        (Method.lora, NARROW, 200, 5e-4, 3),
        (Method.head, LARGE, 16, 2e-3, 20),
        (Method.scratch, LARGE, 16, 2e-4, 10),
        (Method.full, SMALL, 16, 1e-3, 10),
        (Method.contrastive, NARROW, 1, 1e-4, 12),
        (Method.contrastive, NARROW, 40, 1e-4, 5),
        (Method.contrastive, NARROW, 300, 1e-4, 1),
        (Method.contrastive, LARGE, 20, 2e-5, 10),
        (Method.lora, SMALL, 200, 2e-3, 3),
        (Method.head, SMALL, 100, 1e-2, 5),
        (Method.scratch, SMALL, 16, 1e-3, 10),
    ],
)
def test_open_numbers_follow_the_rule(method, parameters, steps_per_epoch, lr, epochs):
    settled = resolve_defaults(TrainConfig(recipe={}), TrainingContext(method, parameters, steps_per_epoch))
    assert (settled.optim.lr, settled.trainer.max_epochs) == (lr, epochs)


def test_a_narrow_image_model_has_the_rate_of_a_large_one():
    context = TrainingContext(Method.full, NARROW, 16, library="timm")
    assert resolve_defaults(TrainConfig(recipe={}), context).optim.lr == 5e-5


@pytest.mark.parametrize(
    ("method", "parameters", "steps_per_epoch", "lr", "epochs"),
    [
        (Method.full, LARGE, 1000, 2.5e-6, 1),
        (Method.full, NARROW, 1000, 1.5e-5, 1),
        (Method.lora, LARGE, 300, 2.5e-5, 2),
        (Method.full, SMALL, 16, 5e-5, 3),
        (Method.lora, SMALL, 16, 1e-4, 3),
    ],
)
def test_preferences_are_learned_slowly_and_briefly(method, parameters, steps_per_epoch, lr, epochs):
    for objective in (Objective.dpo, Objective.kto):
        context = TrainingContext(method, parameters, steps_per_epoch, objective)
        settled = resolve_defaults(TrainConfig(recipe={}), context)
        assert (settled.optim.lr, settled.trainer.max_epochs) == (pytest.approx(lr), epochs)


def test_given_numbers_stay():
    config = TrainConfig(recipe={}, optim=OptimConfig(lr=0.5), trainer=TrainerConfig(max_epochs=7))
    settled = resolve_defaults(config, TrainingContext(Method.full, LARGE, 10))
    whole = OptimConfig(lr=0.5, weight_decay=0.01, beta1=0.9, beta2=0.999, eps=1e-8)
    assert settled == replace(config, optim=whole)


def test_other_optimizers_start_from_a_multiple_of_the_rate_for_adamw():
    for name, rate in (("sgd", 5e-3), ("adafactor", 1e-3), ("muon", 5e-5)):
        config = TrainConfig(recipe={}, optim=OptimConfig(name=name))
        settled = resolve_defaults(config, TrainingContext(Method.full, LARGE, 100))
        assert settled.optim.lr == pytest.approx(rate)
