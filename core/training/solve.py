"""A final layer on stored features, solved: regularised least loss, by L-BFGS, without steps or a rate to choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]
"""The loss of each row, ``[rows]``, of logits ``[rows, outputs]`` and the truth."""

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Inverse strengths of regularisation (scikit-learn's C) to choose from."""
USUAL = 10.0
"""The strength where there are too few rows to choose by."""
FOLDS = 5
FEW = 2_000
"""Training rows up to which the strength is chosen by cross-validation, and not by the validation rows."""
_ITERATIONS = 300


@dataclass(frozen=True)
class Solved:
    """A final layer.

    Attributes:
        weight: ``[outputs, features]``.
        bias: ``[outputs]``.
        strength: Of its regularisation.
        chosen_by: How that was chosen, in words.
        held_out: Logits of the training rows by layers that were solved without them, ``[rows, outputs]``; None
            without cross-validation.
    """

    weight: Tensor
    bias: Tensor
    strength: float
    chosen_by: str = ""
    held_out: Tensor | None = None


def solve(
    features: Tensor, targets: Tensor, outputs: int, loss: Loss, strength: float, start: Solved | None = None
) -> Solved:
    """Minimise ``strength * sum(loss) + |weight|^2 / 2``, as scikit-learn's LogisticRegression does.

    Args:
        features: ``[rows, features]``.
        targets: The truth, ``[rows]`` or ``[rows, labels]``.
        outputs: Outputs of the layer.
        loss: Of each row.
        strength: Inverse strength of regularisation; the bias has none.
        start: Where to begin (default: at zero).
    """
    weight = torch.zeros(outputs, features.shape[1]) if start is None else start.weight.clone()
    bias = torch.zeros(outputs) if start is None else start.bias.clone()
    weight.requires_grad_(), bias.requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=_ITERATIONS, history_size=20, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )
    scale = 1 / (strength * len(features))

    def objective() -> Tensor:
        optimizer.zero_grad()
        total = loss(features @ weight.T + bias, targets).mean() + scale / 2 * weight.square().sum()
        total.backward()
        return total

    optimizer.step(objective)
    return Solved(weight.detach(), bias.detach(), strength)


def solve_chosen(
    features: Tensor,
    targets: Tensor,
    outputs: int,
    loss: Loss,
    validation: tuple[Tensor, Tensor],
    seed: int,
    groups: NDArray[Any] | None = None,
) -> Solved:
    """Solve with the strength whose held-out rows have the least loss.

    Few rows are held out in turn, five folds with each class in all; of many the validation rows decide.

    Args:
        features: Of the training rows, ``[rows, features]``.
        targets: Their truth, ``[rows]`` or ``[rows, labels]``.
        outputs: Outputs of the layer.
        loss: Of each row.
        validation: Features and truth of the validation rows.
        seed: Of the folds.
        groups: Training rows of one group are in one fold, ``[rows]``; None where rows are independent.
    """
    if len(features) > FEW:
        return _by_validation(features, targets, outputs, loss, validation)
    parts = folds(targets.numpy(), seed, groups)
    if not parts:
        found = solve(features, targets, outputs, loss, USUAL)
        return Solved(found.weight, found.bias, USUAL, "the usual one, as some class has a single row")
    best: tuple[float, float, Tensor] | None = None
    starts: list[Solved | None] = [None] * len(parts)
    for strength in STRENGTHS:
        held_out = torch.zeros(len(features), outputs)
        for number, rows in enumerate(parts):
            kept = np.setdiff1d(np.arange(len(features)), rows)
            starts[number] = fold = solve(features[kept], targets[kept], outputs, loss, strength, starts[number])
            held_out[rows] = features[rows] @ fold.weight.T + fold.bias
        value = float(loss(held_out, targets).mean())
        if best is None or value < best[0]:
            best = value, strength, held_out
    assert best is not None
    found = solve(features, targets, outputs, loss, best[1])
    words = f"{len(parts)}-fold cross-validation on the training rows"
    return Solved(found.weight, found.bias, best[1], words, best[2])


def _by_validation(
    features: Tensor, targets: Tensor, outputs: int, loss: Loss, validation: tuple[Tensor, Tensor]
) -> Solved:
    held_out, truth = validation
    found: list[Solved] = []
    for strength in STRENGTHS:
        found.append(solve(features, targets, outputs, loss, strength, found[-1] if found else None))
    values = [float(loss(held_out @ each.weight.T + each.bias, truth).mean()) for each in found]
    best = found[int(np.argmin(values))]
    return Solved(best.weight, best.bias, best.strength, "the validation rows")


def folds(
    targets: NDArray[np.generic], seed: int, groups: NDArray[Any] | None = None, most: int = FOLDS
) -> Sequence[NDArray[np.int64]]:
    """Row numbers of each fold, with each class in all where rows have one; none where a class has a single row.

    Args:
        targets: The truth, ``[rows]`` or ``[rows, labels]``.
        seed: Of the draw.
        groups: Rows of one group are in one fold, ``[rows]``; None where rows are independent.
        most: How many folds; fewer where a class has fewer rows, or there are fewer groups.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    whole = targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer)
    least = int(np.unique(targets, return_counts=True)[1].min()) if whole else len(targets)
    count = min(most, least if groups is None else min(least, len(np.unique(groups))))
    if count < 2:
        return []
    kind: Any = GroupKFold(count)
    if whole or groups is None:
        kinds = (KFold, StratifiedKFold, StratifiedGroupKFold)
        kind = kinds[whole + (groups is not None)](count, shuffle=True, random_state=seed)
    return [rows for _, rows in kind.split(np.zeros(len(targets)), targets if whole else None, groups)]


def put(solved: Solved, layer: nn.Linear, scale: float) -> None:
    """Put a solution into a model's final layer, whose inputs are ``scale`` times the features."""
    with torch.no_grad():
        layer.weight.copy_(solved.weight / scale)
        layer.bias.copy_(solved.bias)
