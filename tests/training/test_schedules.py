"""Learning-rate schedules, against cases worked out by hand, torch and transformers."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn

from tests.training.offered import offer
from tests.training.test_optimizers import LION
from tunebook.config.optimizers import SCHEDULES
from tunebook.errors import UserError
from tunebook.training.schedules import learning_rate_factor


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", {0: 0.0, 1: 0.5, 2: 1.0, 4: 0.75, 6: 0.5, 10: 0.0, 12: 0.0}),
        ("constant", {0: 0.0, 1: 0.5, 2: 1.0, 6: 1.0, 10: 1.0}),
        ("cosine", {0: 0.0, 1: 0.5, 2: 1.0, 4: (1 + math.sqrt(0.5)) / 2, 6: 0.5, 10: 0.0}),
    ],
)
def test_the_factor_rises_for_a_fifth_of_ten_steps_then_falls(schedule: str, expected: dict[int, float]):
    factor = learning_rate_factor(schedule, 0.2, 10)
    assert {step: pytest.approx(factor(step), abs=1e-12) for step in expected} == expected


def test_the_schedule_is_that_of_transformers():
    import transformers as hf

    restarts = hf.get_cosine_with_hard_restarts_schedule_with_warmup
    for schedule, options, reference in (
        ("linear", {}, hf.get_linear_schedule_with_warmup),
        ("cosine", {}, hf.get_cosine_schedule_with_warmup),
        (
            "cosine_restarts",
            {"cycles": 4},
            partial(restarts, num_cycles=4),
        ),
        ("polynomial", {"power": 3.0}, partial(hf.get_polynomial_decay_schedule_with_warmup, lr_end=0.0, power=3.0)),
        ("inverse_sqrt", {}, lambda optimizer, rise, _: hf.get_inverse_sqrt_schedule(optimizer, rise)),
        ("wsd", {"decay": 0.2}, partial(hf.get_wsd_schedule, num_decay_steps=9, decay_type="linear")),
    ):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        theirs = reference(optimizer, 5, num_training_steps=50) if schedule == "wsd" else reference(optimizer, 5, 50)
        theirs = theirs.lr_lambdas[0]
        ours = learning_rate_factor(schedule, 0.1, 50, options)
        assert [ours(i) for i in range(50)] == pytest.approx([theirs(i) for i in range(50)])


def test_no_warmup_starts_at_the_peak_and_no_steps_divide_nothing_by_zero():
    assert learning_rate_factor("linear", 0.0, 10)(0) == 1.0
    assert learning_rate_factor("linear", 1.0, 4)(4) == 1.0
    assert learning_rate_factor("cosine", 0.1, 0)(0) == 1.0


def test_one_cycle_is_that_of_torch():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=51, pct_start=0.3, div_factor=25, final_div_factor=1e4, cycle_momentum=False
    )
    # Torch turns at 0.3 * 51 - 1 = 14.3 and ends at 50; ours at whole steps.
    ours = learning_rate_factor("one_cycle", 0.3, 50)
    assert ours(0) == pytest.approx(theirs.get_last_lr()[0])
    assert (ours(15), ours(50)) == (1.0, pytest.approx(4e-6))
    rates = []
    for _ in range(50):
        rates.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    assert [ours(i) for i in range(50)] == pytest.approx(rates, abs=0.08)


@pytest.mark.parametrize("schedule", [name for name, options in SCHEDULES.items() if "end" in options])
def test_a_schedule_ends_where_it_is_told_to(schedule: str):
    factor = learning_rate_factor(schedule, 0.1, 40, {"end": 0.25})
    assert factor(40) == factor(45) == pytest.approx(0.25)
    assert factor(4) == pytest.approx(1.0)
    assert all(0.25 <= factor(i) <= 1.0 for i in range(4, 40))


def test_a_package_offers_a_schedule(tmp_path, monkeypatch):
    offer(tmp_path, monkeypatch, "step_down", LION, schedules={"steps": "steps"})
    factor = learning_rate_factor("steps", 0.1, 20, {"drop": 0.1})
    assert [factor(i) for i in (0, 1, 2, 9, 10, 19)] == [0.0, 0.5, 1.0, 1.0, 0.1, 0.1]
    with pytest.raises(UserError, match="There is no option 'dorp'") as caught:
        learning_rate_factor("steps", 0.1, 20, {"dorp": 0.1})
    assert "did you mean drop?" in (caught.value.fix or "")
