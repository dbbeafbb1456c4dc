"""A final layer that learns standardised numbers and answers in the user's units, and is a plain layer in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunebook.errors import UserError
from tunebook.models.features import compute_features

_ROWS, _BATCH = 128, 16
_RIDGE = 1e-3
"""Penalty of the direction that stands for a bias, as a share of the features' mean square."""


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the training rows' targets, in the user's units."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, targets: np.ndarray) -> Scale:
        """That of some targets ``[rows]``."""
        return cls(float(targets.mean()), float(targets.std()))


class ScaledLinear(nn.Linear):
    """A layer whose weights learn standardised numbers: ``deviation * (W x + b) + mean``.

    Args:
        layer: The layer that it stands for; its weights are taken over.
        scale: Of the training rows' targets.
    """

    def __init__(self, layer: nn.Linear, scale: Scale) -> None:
        super().__init__(layer.in_features, layer.out_features, bias=layer.bias is not None)
        self.load_state_dict(layer.state_dict())
        # Without a bias no plain layer could add the mean; see `start_at_mean`.
        self.scale = scale if layer.bias is not None else Scale(0.0, scale.deviation)

    def forward(self, input: Tensor) -> Tensor:
        """Answers in the user's units, float32 ``[batch, outputs]``: bf16 would round a price to hundreds."""
        return super().forward(input).float() * self.scale.deviation + self.scale.mean

    @torch.no_grad()
    def folded(self) -> nn.Linear:
        """The plain layer that gives the same numbers."""
        plain = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None)
        plain.weight.copy_(self.weight * self.scale.deviation)
        if self.bias is not None:
            plain.bias.copy_(self.bias * self.scale.deviation + self.scale.mean)
        return plain


def scale_final_layer(model: nn.Module, outputs: int, scale: Scale) -> ScaledLinear:
    """Put a scaled layer in the place of the final one: the last linear layer with so many outputs."""
    name, layer = [
        (name, each)
        for name, each in model.named_modules()
        if isinstance(each, nn.Linear) and each.out_features == outputs
    ][-1]
    made = ScaledLinear(layer, scale)
    with torch.no_grad():
        if made.bias is not None:
            made.bias.zero_()  # the first answers are about the mean
    _replace(model, name, made)
    return made


def fold_final_layer(model: nn.Module) -> nn.Module:
    """The model with a plain layer in the place of the scaled one; its answers stay what they are."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, ScaledLinear):
            _replace(model, name, layer.folded())
    return model


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)


def start_at_mean(model: nn.Module, layer: ScaledLinear, mean: float, encoded: Any, device: torch.device) -> None:
    """Let a layer without a bias, as decoders have it, begin near the mean of the targets.

    The hidden states of a language model have much in common; the direction of that stands for the missing bias:
    the weights ``w`` with ``w h`` nearest to 1 for a few training rows (ridge regression).
    """
    items = encoded.splits["train"].items
    rows = min(_ROWS, len(items))
    batches = [
        encoded.collate([items[i] for i in range(start, min(start + _BATCH, rows))]) for start in range(0, rows, _BATCH)
    ]
    try:
        hidden = torch.from_numpy(compute_features(model, batches, rows, device)).double()
    except UserError:  # an architecture of which it is not known what the head looks at learns the mean by itself
        return
    model.cpu()
    penalty = _RIDGE * hidden.square().mean() * rows
    eye = torch.eye(hidden.shape[1], dtype=hidden.dtype)
    direction = torch.linalg.solve(hidden.T @ hidden + penalty * eye, hidden.sum(0))
    with torch.no_grad():
        # Solvers differ in their last digits from process to process, and a resumed run must begin from the same
        # weights, bit for bit: of a first guess a few digits are enough.
        layer.weight.copy_((direction * mean / layer.scale.deviation).bfloat16())
