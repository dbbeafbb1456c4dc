"""The final layer of a text model: it goes by the names of its labels, and is fresh where they are others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tunebook.models.counted import loaded
from tunebook.models.layers import is_head, plain_model

_SPREAD = 0.02
"""Standard deviation of fresh weights, where the model's config names none (BERT's)."""


def final_layer(model: nn.Module, outputs: int) -> nn.Linear | None:
    """The last linear layer of the head with this many outputs; None where there is none."""
    layers = [m for name, m in model.named_modules() if isinstance(m, nn.Linear) and is_head(f"{name}.", model)]
    return next((layer for layer in reversed(layers) if layer.out_features == outputs), None)


@dataclass(frozen=True)
class Origin:
    """Where a final layer comes from.

    Attributes:
        fresh: Whether it begins without what the model's file had.
        words: The same for people.
    """

    fresh: bool = True
    words: str = "new"


def origin(model: nn.Module) -> Origin:
    """Where the final layer of a model comes from."""
    found = getattr(plain_model(model), "_final_layer", None)
    return found if isinstance(found, Origin) else Origin()


def settle_final_layer(model: Any, theirs: Sequence[str], names: Sequence[str]) -> None:
    """Take over a final layer that came with the weights where its labels are the same, else begin with a fresh one.

    What stands at one place in the file may mean another label here: outputs go by name, not by position. Names may
    differ in case.

    Args:
        model: As it was loaded by `load_counted`.
        theirs: What the model's config calls its outputs.
        names: What they are called here, ``[outputs]``.
    """
    found, layer = loaded(model), final_layer(model, len(names))
    if found is None or layer is None:
        return
    prefix = next(name for name, module in model.named_modules() if module is layer)
    came = f"{prefix}.weight" not in found.fresh
    places = {name.casefold(): i for i, name in enumerate(theirs)}
    order = [places.get(name.casefold(), -1) for name in names]
    if came and len(set(order)) == len(theirs) == len(names) and min(order) >= 0:
        with torch.no_grad():
            layer.weight.copy_(layer.weight[order].clone())
            if layer.bias is not None:
                layer.bias.copy_(layer.bias[order].clone())
        moved = "" if order == sorted(order) else f", whose order was {', '.join(theirs)}"
        model._final_layer = Origin(False, f"taken over with its labels{moved}")
    elif came:
        nn.init.normal_(layer.weight, std=getattr(model.config, "initializer_range", None) or _SPREAD)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        model._final_layer = Origin(words=f"new, as that of the model has other labels: {_few(theirs)}")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
