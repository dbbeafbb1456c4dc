"""timm's and torchvision's networks, built with a final layer of the task's own."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from tunebook.errors import UserError
from tunebook.families.image_classification.model.image_source import timm_settings, torchvision_weights
from tunebook.models.layers import is_head
from tunebook.models.source import ModelSource


def own_settings(source: ModelSource) -> dict[str, Any]:
    """What a model's own library says of its input, in timm's words (``input_size``, ``mean`` ...)."""
    if source.has_config:
        settings = source.settings
        found = settings.get("pretrained_cfg", settings)
        return dict(found) if isinstance(found, Mapping) else {}
    assert source.architecture is not None
    if source.library == "timm":
        return timm_settings(source.architecture)
    transforms = torchvision_weights(source.architecture).transforms()
    return {
        "input_size": (3, transforms.crop_size[0], transforms.crop_size[0]),
        "mean": tuple(transforms.mean),
        "std": tuple(transforms.std),
        "interpolation": transforms.interpolation.value,
    }


def build(
    source: ModelSource,
    outputs: int,
    channels: int,
    size: int,
    dropout: float | None = None,
    state: dict[str, Tensor] | None = None,
) -> nn.Module:
    """A network with a fresh final layer for ``outputs``; its errors are those of its library.

    Args:
        source: Architecture and its arguments.
        outputs: Size of the final layer.
        channels: Channels of its input.
        size: Height and width of its input, in pixels.
        dropout: None leaves the architecture's own.
        state: Pre-trained weights by name, as far as they have a place; None leaves it fresh.

    Raises:
        UserError: An option that the library has no place for.
    """
    if source.library == "torchvision":
        return _build_torchvision(source, outputs, channels, dropout, state)
    return _build_timm(source, outputs, channels, size, dropout, state)


def _build_timm(
    source: ModelSource,
    outputs: int,
    channels: int,
    size: int,
    dropout: float | None,
    state: dict[str, Tensor] | None,
) -> nn.Module:
    import timm

    options = {**source.args, "num_classes": outputs, "in_chans": channels}
    if dropout is not None:
        options["drop_rate"] = dropout
    own = own_settings(source)
    if own.get("fixed_input_size"):
        options["img_size"] = size
    if state is not None:
        # No classes in the file: timm then leaves out any classifier it has, also one of the same size.
        options["pretrained_cfg_overlay"] = {"num_classes": 0, "source": "", "custom_load": False, "state_dict": state}
    name = f"local-dir:{source.folder}" if source.has_config else str(source.architecture)
    with quiet_timm():
        model: nn.Module = timm.create_model(name, pretrained=state is not None, **options)
    model.pretrained_cfg.pop("state_dict", None)  # type: ignore[operator, union-attr]
    return model


@contextmanager
def quiet_timm() -> Iterator[None]:
    """Keep timm's notes on weights that it has no place for off the screen: we refuse what does not fit."""
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def reason(error: Exception) -> str:
    """The line of a library's error that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[1] if len(lines) > 1 and lines[0].endswith(":") else (lines or [type(error).__name__])[0]
    return reason.rstrip(".")


def _build_torchvision(
    source: ModelSource, outputs: int, channels: int, dropout: float | None, state: dict[str, Tensor] | None
) -> nn.Module:
    from torchvision import models

    if channels != 3:
        raise UserError(
            f"torchvision's models take 3 channels, not {channels}.",
            code="model.wrong-channels",
            where="model.name",
            fix="leave the channels unset (grey pictures are repeated), or choose timm's model of the same name",
        )
    name = str(source.architecture).partition(".")[0]
    model: nn.Module = models.get_model(name, weights=None, num_classes=outputs, **source.args)
    if dropout is not None:
        _set_dropout(model, dropout)
    if state is not None:
        kept = {name: tensor for name, tensor in state.items() if not is_head(name, model)}
        model.load_state_dict(of_today(kept, model), strict=False)
    return model


def of_today(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Weights with the versions of the model's layers, which safetensors do not hold and MNASNet asks for."""
    versioned = model.state_dict()
    versioned.clear()
    versioned.update(state)
    return versioned


def _set_dropout(model: nn.Module, dropout: float) -> None:
    """Set every dropout that this architecture has."""
    layers = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    if not layers:
        raise UserError(
            "This model has no dropout to set.",
            code="model.no-dropout",
            where="model.dropout",
            fix="leave model.dropout unset",
        )
    for layer in layers:
        layer.p = dropout
