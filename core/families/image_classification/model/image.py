"""Image backbones with a final layer of the task's own, through timm's and torchvision's own classes."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from tunebook.config.schema import Method, ModelConfig
from tunebook.errors import UserError
from tunebook.families.image_classification.data.resize import FITS
from tunebook.families.image_classification.model.final_layer import final_layer
from tunebook.families.image_classification.model.image_build import build, own_settings, reason
from tunebook.families.image_classification.model.image_fill import FilledModel, fill
from tunebook.families.image_classification.model.image_sizes import check_size, outputs_on_shapes
from tunebook.models.source import ModelSource

INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class Preprocessing:
    """What a picture becomes before a model sees it; a bundle stores it.

    Attributes:
        size: Height and width in pixels.
        channels: Channels that the model takes.
        mean: Subtracted from each channel of pixels in 0 to 1, ``[channels]``.
        std: What each channel is then divided by, ``[channels]``.
        interpolation: bilinear or bicubic.
        fit: How a picture becomes a square: pad, stretch or crop.
    """

    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    fit: str = "pad"

    def __post_init__(self) -> None:
        """Raises ValueError where a value cannot be; a file edited by hand must not be half accepted."""
        for name, value in (("size", self.size), ("channels", self.channels)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1")
        for name, values in (("mean", self.mean), ("std", self.std)):
            numbers = all(isinstance(v, (int, float)) and math.isfinite(v) for v in values)
            if len(values) != self.channels or not numbers:
                raise ValueError(f"{name} must be {self.channels} numbers, one a channel")
        if min(self.std) <= 0:
            raise ValueError("std must be over 0")
        if self.interpolation not in INTERPOLATIONS or self.fit not in FITS:
            raise ValueError(f"interpolation must be one of {INTERPOLATIONS}, and fit one of {FITS}")

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocessing:
        """Read what `to_json` gave.

        Raises:
            ValueError: A value is missing, unknown or cannot be.
        """
        try:
            return cls(**{**value, "mean": tuple(value["mean"]), "std": tuple(value["std"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"the preprocessing is incomplete: {error}") from error


def own_preprocessing(
    source: ModelSource,
    size: int | None = None,
    channels: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    fit: str = "pad",
) -> Preprocessing:
    """What the weights were trained on, or 0.5 and 0.5 for fresh ones; values that are given go before it.

    One channel gets the mean over the colours', more channels than the weights know get theirs in turn: just as timm
    makes the first layer for them out of that of the colours.

    Raises:
        UserError: The architecture does not take such pictures.
    """
    own = own_settings(source)
    fresh = source.weights is None
    usual_channels, _, usual_size = own.get("input_size") or (3, 224, 224)
    pixels = usual_size if size is None else size
    count = channels if channels is not None else 3 if fresh else usual_channels
    usual = ((0.5,), (0.5,)) if fresh else (own.get("mean") or (0.5,), own.get("std") or (0.5,))
    interpolation = own.get("interpolation")
    try:
        pre = Preprocessing(
            size=pixels,
            channels=count,
            mean=_per_channel(usual[0], count) if mean is None else _given(mean, count),
            std=_per_channel(usual[1], count) if std is None else _given(std, count),
            interpolation=interpolation if interpolation in INTERPOLATIONS else "bicubic",
            fit=fit,
        )
    except ValueError as error:
        raise UserError(
            f"Pictures cannot be prepared so: {error}.",
            code="config.bad-preprocessing",
            where="recipe.size, recipe.channels, recipe.mean, recipe.std",
            fix="leave them out to take the weights' own; a mean or std is one number, or one a channel",
        ) from error
    check_size(source, pre.channels, pre.size)
    return pre


def check_memory(source: ModelSource, pre: Preprocessing, batch_size: int) -> None:
    """Refuse a batch whose features alone are larger than the machine: it would be killed without a word.

    Counted on shapes: what the layers put out for one picture in float32, which a backward pass keeps.

    Raises:
        UserError: They are.
    """
    needed, there = 4 * outputs_on_shapes(source, pre.channels, pre.size) * batch_size, _memory()
    if there and needed > there:
        raise UserError(
            f"A batch of {batch_size} pictures of {pre.size} x {pre.size} needs about {needed / 2**30:.0f} GB for "
            f"activations, and this machine has {there / 2**30:.0f}.",
            code="training.too-little-memory",
            where="recipe.size, data.batch_size",
            fix="a smaller recipe.size, or data.batch_size="
            f"{max(2, int(batch_size * there / needed / 2))} with trainer.accumulate_grad_batches",
        )


def _memory() -> int:
    """Bytes of memory of the device that trains: of the GPU if there is one."""
    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    names = ("SC_PAGE_SIZE", "SC_PHYS_PAGES")
    return math.prod(os.sysconf(name) for name in names) if set(names) <= set(getattr(os, "sysconf_names", ())) else 0


def _per_channel(values: Sequence[float], channels: int) -> tuple[float, ...]:
    known = [float(v) for v in values]
    if channels == 1:
        return (sum(known) / len(known),)
    return tuple(known[i % len(known)] for i in range(channels))


def _given(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """Values as a user gives them: one for all channels, or one for each."""
    return tuple(values) * channels if len(values) == 1 else tuple(values)


def load_image_model(
    source: ModelSource, config: ModelConfig, method: Method, outputs: int, pre: Preprocessing
) -> nn.Module:
    """The model of `fill_image_model`."""
    return fill_image_model(source, config, method, outputs, pre).model


def fill_image_model(
    source: ModelSource, config: ModelConfig, method: Method, outputs: int, pre: Preprocessing
) -> FilledModel:
    """A timm or torchvision model in float32 with a new final layer, its bias at zero.

    Args:
        source: Where the weights are.
        config: The ``model`` node of the config.
        method: ``scratch`` takes the architecture alone.
        outputs: Size of the final layer.
        pre: The pictures it is for.

    Returns:
        The model, and what was found of its weights; of fresh ones, no tensors.

    Raises:
        UserError: The weights do not fit the architecture, or it lacks a requested option.
    """
    if config.dropout is not None and not 0 <= config.dropout < 1:
        raise UserError(
            "Dropout must be from 0 to under 1.",
            code="config.out-of-range",
            where="model.dropout",
            fix="model.dropout=0.1",
        )
    shape = (outputs, pre.channels, pre.size, config.dropout)
    try:
        made = FilledModel(build(source, *shape), 0) if method is Method.scratch else fill(source, *shape)
    except TypeError as error:
        raise UserError(
            f"'{source.name}' cannot be built so: {reason(error)}.", code="model.bad-argument", where="model.dropout"
        ) from error
    bias = final_layer(made.model)[1].bias
    if bias is not None:
        nn.init.zeros_(bias)
    made.model.float()
    return made
