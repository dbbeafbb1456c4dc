"""The numbers chosen where none is given, against the rule worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunebook.config import Method, OptimConfig, TrainConfig, TrainerConfig
from tunebook.training.defaults import Situation, with_defaults


@pytest.mark.parametrize(
    ("method", "fresh", "steps_per_epoch", "lr", "epochs"),
    [
        (Method.full, False, 1000, 5e-5, 3),
        (Method.full, False, 100, 5e-5, 5),
        (Method.full, False, 16, 5e-5, 10),
        (Method.lora, False, 200, 5e-4, 3),
        (Method.head, False, 16, 2e-3, 20),
        (Method.head, True, 100, 2e-3, 5),
        (Method.scratch, True, 16, 2e-4, 10),
        (Method.full, True, 16, 2e-4, 10),
    ],
)
def test_open_numbers_follow_the_rule(method, fresh, steps_per_epoch, lr, epochs):
    settled = with_defaults(TrainConfig(recipe={}), Situation(method, fresh, steps_per_epoch))
    assert (settled.optim.lr, settled.trainer.max_epochs) == (lr, epochs)


def test_given_numbers_stay():
    config = TrainConfig(recipe={}, optim=OptimConfig(lr=0.5), trainer=TrainerConfig(max_epochs=7))
    settled = with_defaults(config, Situation(Method.full, False, 10))
    assert settled == replace(config)
