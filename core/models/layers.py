"""Which of a model's weights are its head, under the names that transformers, timm and torchvision give them."""

from __future__ import annotations

from typing import Any

from torch import nn


def plain_model(model: nn.Module) -> Any:
    """The model itself, inside its adapters if it has any; they sit in its layers and keep working."""
    inner: Any = getattr(model, "get_base_model", None)
    return inner() if callable(inner) else model


def is_head(name: str, model: nn.Module) -> bool:
    """Whether a parameter lies outside the pre-trained backbone.

    transformers names the backbone in ``base_model_prefix``; of timm's and torchvision's models the final layer is
    the head. A model that names neither has no head of its own.
    """
    prefix = getattr(model, "base_model_prefix", "")
    if prefix and hasattr(model, prefix):
        return not name.startswith(f"{prefix}.")
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return name.startswith("lm_head.")  # of T5 and its kin, which have no module around the backbone
    return any(name.startswith(f"{n}.") for n in classifier_names(model))


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Names of the final layers of an image model; none of a model that is not one.

    timm names them in ``pretrained_cfg``. torchvision's models have one: the last layer with weights of the part
    that is called ``fc``, ``classifier``, ``heads`` or ``head``.
    """
    model = plain_model(model)
    settings = getattr(model, "pretrained_cfg", None)
    if isinstance(settings, dict):
        classifier = settings.get("classifier")
        return (classifier,) if isinstance(classifier, str) else tuple(classifier or ())
    parts = [(n, part) for n, part in model.named_children() if n in ("fc", "classifier", "heads", "head")]
    layers = [
        f"{part_name}.{name}" if name else part_name
        for part_name, part in parts
        for name, module in part.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d))
    ]
    return tuple(layers[-1:])
