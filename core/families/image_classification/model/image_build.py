"""timm's and torchvision's networks, built and filled with pre-trained weights."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tunebook.errors import UserError
from tunebook.families.image_classification.model.image_source import timm_settings, torchvision_weights
from tunebook.models.layers import is_head
from tunebook.models.source import ModelSource

_ENOUGH = 0.9  # share of the backbone's weights that a file must hold


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
    source: ModelSource, outputs: int, channels: int, size: int, dropout: float | None = None, weights: bool = False
) -> nn.Module:
    """A network with a fresh final layer for ``outputs``; its errors are those of its library.

    Args:
        source: Architecture and file of weights.
        outputs: Size of the final layer.
        channels: Channels of its input.
        size: Height and width of its input, in pixels.
        dropout: None leaves the architecture's own.
        weights: Whether it is filled with the source's weights.

    Raises:
        UserError: Weights that do not fit, or an option that the library has no place for.
    """
    if source.library == "torchvision":
        return _build_torchvision(source, outputs, channels, dropout, weights)
    model = _build_timm(source, outputs, channels, size, dropout, weights)
    if weights:
        with torch.random.fork_rng(devices=[]):
            other = _build_timm(source, outputs, channels, size, dropout, weights)
        _check_filled(model, other, source)
    return model


def _build_timm(
    source: ModelSource, outputs: int, channels: int, size: int, dropout: float | None, weights: bool
) -> nn.Module:
    import timm

    options = {**source.args, "num_classes": outputs, "in_chans": channels}
    if dropout is not None:
        options["drop_rate"] = dropout
    own = own_settings(source)
    if own.get("fixed_input_size") and tuple(own.get("input_size", ()))[1:] != (size, size):
        options["img_size"] = size
    if weights:
        # No classes in the file: timm then leaves out any classifier it has, also one of the same size.
        options["pretrained_cfg_overlay"] = {"num_classes": 0}
        if not source.has_config:
            options["pretrained_cfg_overlay"] |= {"file": str(source.weights), "custom_load": False}
    name = f"local-dir:{source.folder}" if source.has_config else str(source.architecture)
    with quiet_timm():
        model: nn.Module = timm.create_model(name, pretrained=weights, **options)
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


def _check_filled(model: nn.Module, other: nn.Module, source: ModelSource) -> None:
    """Refuse a backbone whose weights were mostly not in the file.

    timm renames the weights of some files and passes over those that it misses. Fresh matrices and filters are
    random, so what differs between two models that were filled from one file was not in it.
    """
    pairs = zip(model.named_parameters(), other.parameters(), strict=True)
    backbone = [(p, q) for (name, p), q in pairs if p.ndim >= 2 and not is_head(name, model)]
    _check_share(sum(p.numel() for p, q in backbone if torch.equal(p, q)), sum(p.numel() for p, _ in backbone), source)


def _check_share(filled: int, total: int, source: ModelSource) -> None:
    if filled < _ENOUGH * total:
        raise _unfit(source, f"it has {100 * filled / max(total, 1):.0f} % of the backbone's weights")


def _unfit(source: ModelSource, reason: str) -> UserError:
    return UserError(
        f"The weights do not fit the architecture '{source.architecture}': {reason}.",
        code="model.mismatch",
        where=str(source.weights),
        fix=f"choose the architecture that these weights were trained as, named as {source.library} names it; "
        "arguments that it was built with go into model.args",
    )


def filled(source: ModelSource, build_it: Callable[[], nn.Module]) -> nn.Module:
    """What ``build_it`` gives, with any library's error about the weights raised as a UserError."""
    try:
        return build_it()
    except (UserError, TypeError):  # a TypeError is about an argument of the architecture
        raise
    except Exception as error:  # timm raises nearly anything here
        raise _unfit(source, reason(error)) from error


def reason(error: Exception) -> str:
    """The line of a library's error that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[1] if len(lines) > 1 and lines[0].endswith(":") else (lines or [type(error).__name__])[0]
    return reason.rstrip(".")


def _build_torchvision(
    source: ModelSource, outputs: int, channels: int, dropout: float | None, weights: bool
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
    if weights:
        assert source.weights is not None
        _fill(model, _read_state(source.weights), source)
    return model


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


def _read_state(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of one of torchvision's own without running what is pickled in it."""
    if file.suffix == ".safetensors":
        return load_file(file)
    state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    # torchvision's DenseNets were saved when layers were still called norm.1.
    return {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name): t for name, t in state.items()}


def _fill(model: nn.Module, state: Mapping[str, Tensor], source: ModelSource) -> None:
    """Load the backbone's weights by name; the final layer stays fresh."""
    own = {name: tensor for name, tensor in model.state_dict().items() if not is_head(name, model)}
    found = {name: state[name] for name in own if name in state}
    for name, tensor in found.items():
        if tensor.shape != own[name].shape:
            raise _unfit(source, f"{name} is {list(tensor.shape)}, not {list(own[name].shape)}")
    _check_share(sum(own[n].numel() for n in found), sum(t.numel() for t in own.values()), source)
    model.load_state_dict(found, strict=False)
