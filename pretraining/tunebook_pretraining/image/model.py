"""A timm network, from a folder as timm's hub has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
from safetensors.torch import save_file
from torch import nn

from tunebook import UserError
from tunebook.files import write_json

from .pictures import MEAN, STD

if TYPE_CHECKING:
    from tunebook.models.source import ModelSource


def load_network(source: ModelSource, classes: int, fresh: bool) -> nn.Module:
    """The network in float32; ``fresh`` takes the architecture alone."""
    architecture = source.settings.get("architecture")
    if architecture not in timm.list_models():
        raise UserError(
            f"'{source.name}' is not a timm model: its config.json names no architecture of timm's.",
            code="model.wrong-kind",
            where="model.name",
            fix="choose an image model: model=starter_image",
        )
    if fresh:
        return timm.create_model(architecture, pretrained=False, num_classes=classes)
    return timm.create_model(f"local-dir:{source.folder}", pretrained=True, num_classes=classes).float()


def write_network(folder: Path, model: Any, architecture: str, size: int) -> None:
    """Write the backbone without its classifier, in half precision, for ``timm.create_model("local-dir:...")``."""
    final = classifier_of(model)
    state = {k: v for k, v in model.state_dict().items() if k not in final}
    half = {k: (v.to(torch.float16) if v.is_floating_point() else v).contiguous() for k, v in state.items()}
    save_file(half, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(
        folder / "config.json",
        {
            "architecture": architecture,
            "num_classes": 0,
            "num_features": model.num_features,
            "pretrained_cfg": {
                "input_size": [3, size, size],
                "fixed_input_size": False,
                "interpolation": "bicubic",
                "crop_pct": 1.0,
                "mean": [MEAN] * 3,
                "std": [STD] * 3,
                "num_classes": 0,
                "pool_size": None,
                "first_conv": model.default_cfg["first_conv"],
                "classifier": model.default_cfg["classifier"],
                "license": "apache-2.0",
            },
        },
    )


def classifier_of(model: Any) -> dict[str, torch.Tensor]:
    """The weights of the final layer, by their name in the network."""
    final = f"{model.default_cfg['classifier']}."
    return {name: weight for name, weight in model.state_dict().items() if name.startswith(final)}
