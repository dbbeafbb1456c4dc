"""Stop at the first loss or gradient that is not finite."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tunebook.errors import UserError

_NAMED = 10


def check_finite(losses: Tensor, rows: Tensor, norm: Tensor | None, step: int, where: Callable[[int], str]) -> None:
    """Look at the losses and the gradient of one optimizer step, before it is taken.

    Args:
        losses: Loss of each row since the step before, ``[rows]``.
        rows: Number of each row in the training split, ``[rows]``.
        norm: Norm of the gradient; None leaves it to the loss scaler of float16.
        step: Optimizer steps taken so far.
        where: Names a row by file and line.

    Raises:
        UserError: Something is not finite; the message names the rows of the step.
    """
    bad = ~torch.isfinite(losses)
    finite = ~bad.any() if norm is None else torch.isfinite(norm).all() & ~bad.any()
    if bool(finite):
        return
    what = "loss" if bool(bad.any()) else "gradient"
    suspects = rows[bad.to(rows.device)] if bool(bad.any()) else rows
    named = ", ".join(where(int(i)) for i in suspects[:_NAMED])
    more = f" and {len(suspects) - _NAMED} more" if len(suspects) > _NAMED else ""
    raise UserError(
        f"The {what} is not finite at step {step + 1}; the run stops before it can harm the weights.",
        code="training.not-finite",
        where=f"rows {named}{more}",
        fix="look at these rows; lower optim.lr, lengthen optim.warmup, or set trainer.precision=float32; "
        "the last good checkpoint is unchanged",
    )
