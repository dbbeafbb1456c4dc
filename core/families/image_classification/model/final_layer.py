"""The layer of an image model that gives its outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tunebook.errors import UserError
from tunebook.models.layers import classifier_names


def final_layer(model: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Name and module of the layer that gives the outputs.

    Raises:
        UserError: The model has none, or several.
    """
    names = classifier_names(model)
    found = dict(model.named_modules()).get(names[0]) if len(names) == 1 else None
    if not isinstance(found, (nn.Linear, nn.Conv2d)):
        raise UserError(
            f"{type(model).__name__} has no single final layer that could be replaced.",
            code="model.no-final-layer",
            where="model.name",
            fix="choose another model; of distilled ones, the one without a second head",
        )
    return names[0], found


def clips_outputs(model: nn.Module) -> bool:
    """Whether the model cuts its outputs off at zero (SqueezeNet): then no sigmoid of them is under one half."""
    parent = model.get_submodule(final_layer(model)[0].rpartition(".")[0])
    layer = final_layer(model)[1]
    after = list(parent)[list(parent).index(layer) + 1 :] if isinstance(parent, nn.Sequential) else []
    return any(isinstance(module, nn.ReLU) for module in after)


def start_image_at(model: nn.Module, logits: Tensor | None) -> None:
    """Set the bias of the final layer to ``logits`` ``[outputs]``, where it has one that keeps their sign."""
    bias = final_layer(model)[1].bias
    if logits is None or bias is None or clips_outputs(model):
        return
    with torch.no_grad():
        bias.copy_(logits)
