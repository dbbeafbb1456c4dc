"""Learning-rate schedules: the factor on the peak rate at each optimizer step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunebook.config.optimizers import SCHEDULES
from tunebook.config.parts import check_part_options, load_part

Shape = Callable[..., float]
"""``shape(step, warmup_steps, total_steps, **options)``: the factor at a step after the warm-up."""
GIVEN = ("step", "warmup_steps", "total_steps")
"""Parameters that every schedule is given."""


def learning_rate_factor(
    schedule: str, warmup: float, total_steps: int, options: Mapping[str, Any] | None = None
) -> Callable[[int], float]:
    """The factor on the learning rate at each step: a linear rise from zero, then the schedule.

    Args:
        schedule: Name of one of ours or of one that a package offers.
        warmup: Share of all steps in which the rate rises.
        total_steps: Optimizer steps of the whole run.
        options: Of the schedule; what is left out has its default.
    """
    rise = round(warmup * total_steps)
    shape, given = find_shape(schedule, options), {**SCHEDULES.get(schedule, {}), **(options or {})}

    def factor(step: int) -> float:
        if step < rise and schedule != "one_cycle":  # which rises in its own way
            return step / rise
        return shape(step, rise, total_steps, **given)

    return factor


def find_shape(schedule: str, options: Mapping[str, Any] | None) -> Shape:
    """The function of a schedule; a package's is imported.

    Raises:
        UserError: It cannot be imported, or does not take these options.
    """
    if schedule in _SHAPES:
        return _SHAPES[schedule]
    shape = load_part("schedule", schedule, f"optim.schedule={schedule}")
    check_part_options(shape, options or {}, "optim.schedule_args", GIVEN)
    return shape


def _done(step: int, warmup_steps: int, total_steps: int) -> float:
    """The share of the steps after the warm-up that is over, 0 to 1."""
    return min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))


def _half_cosine(done: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _linear(step: int, warmup_steps: int, total_steps: int, end: float) -> float:
    return end + (1.0 - end) * (1.0 - _done(step, warmup_steps, total_steps))


def _cosine(step: int, warmup_steps: int, total_steps: int, end: float) -> float:
    """Half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983)."""
    return end + (1.0 - end) * _half_cosine(_done(step, warmup_steps, total_steps))


def _constant(step: int, warmup_steps: int, total_steps: int) -> float:
    return 1.0


def _polynomial(step: int, warmup_steps: int, total_steps: int, power: float, end: float) -> float:
    return end + (1.0 - end) * float((1.0 - _done(step, warmup_steps, total_steps)) ** power)


def _cosine_restarts(step: int, warmup_steps: int, total_steps: int, cycles: int, end: float) -> float:
    """Several half cosines of equal length, each from the peak (Loshchilov & Hutter 2017, arXiv:1608.03983)."""
    done = _done(step, warmup_steps, total_steps)
    return end if done >= 1.0 else end + (1.0 - end) * _half_cosine(done * cycles % 1.0)


def _one_cycle(step: int, warmup_steps: int, total_steps: int, start: float, end: float) -> float:
    """Half a cosine up, and half a cosine down to next to nothing (Smith & Topin 2018, arXiv:1708.07120)."""
    if step < warmup_steps:
        return 1.0 + (start - 1.0) * _half_cosine(step / warmup_steps)
    return _cosine(step, warmup_steps, total_steps, end)


def _inverse_sqrt(step: int, warmup_steps: int, total_steps: int) -> float:
    """One over the root of the steps since the warm-up's length (Vaswani et al. 2017, arXiv:1706.03762)."""
    whole = max(1, warmup_steps)
    return math.sqrt(whole / max(whole, step))


def _wsd(step: int, warmup_steps: int, total_steps: int, decay: float, end: float) -> float:
    """Warm-up, stable, decay: the peak, then a straight line in the last share (Hu et al. 2024, arXiv:2404.06395)."""
    left = 1.0 - _done(step, warmup_steps, total_steps)
    return 1.0 if left >= decay else end + (1.0 - end) * left / decay


_SHAPES: dict[str, Shape] = {
    "linear": _linear,
    "cosine": _cosine,
    "constant": _constant,
    "polynomial": _polynomial,
    "cosine_restarts": _cosine_restarts,
    "one_cycle": _one_cycle,
    "inverse_sqrt": _inverse_sqrt,
    "wsd": _wsd,
}


def group_factors(groups: Sequence[dict[str, Any]], factor: Callable[[int], float]) -> list[Callable[[int], float]]:
    """The factor of each parameter group for ``LambdaLR``: zero before the group's ``from_step``, then ``factor``.

    A learning rate of zero freezes a group without taking it out of the graph: the optimizer then moves and decays
    nothing, a resumed run is where it was, and processes that train together need not agree on which gradients there
    are.
    """

    def gated(first: int) -> Callable[[int], float]:
        return lambda step: factor(step) if step >= first else 0.0

    return [gated(group.get("from_step", 0)) for group in groups]
