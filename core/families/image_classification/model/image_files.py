"""Image models on disk: plain timm and torchvision files that open without any help of ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn

from tunebook.errors import RESTORE_BUNDLE, UserError
from tunebook.families.image_classification.model.final_layer import final_layer
from tunebook.families.image_classification.model.image import Preprocessing
from tunebook.families.image_classification.model.image_build import of_today, own_settings, reason
from tunebook.families.image_classification.model.image_source import torchvision_names
from tunebook.files import write_json
from tunebook.models.sizes import in_proportion
from tunebook.models.source import ModelSource, check_folder

_WEIGHTS = "model.safetensors"


def write_image_model(
    folder: Path, model: nn.Module, source: ModelSource, pre: Preprocessing, labels: Sequence[str]
) -> None:
    """Write a model, adapters merged, into a folder that exists.

    timm's opens with ``timm.create_model("local-dir:<folder>", pretrained=True)``; torchvision's weights are what
    ``torchvision.models.get_model(name, num_classes=...)`` takes.

    Args:
        folder: Where ``config.json`` and ``model.safetensors`` go.
        model: A model of `load_image_model`.
        source: What it was made of.
        pre: The pictures that it takes.
        labels: What each output is called, ``[outputs]``.
    """
    architecture = str(source.architecture).partition(".")[0]
    own = own_settings(source)
    config: dict[str, Any] = {
        "library": source.library,
        "architecture": architecture,
        "num_classes": len(labels),
        "label_names": list(labels),
        # some of timm's architectures go by their own size and not by that of pretrained_cfg
        "model_args": {**source.args, **({"img_size": pre.size} if own.get("fixed_input_size") else {})},
        "pretrained_cfg": {
            "input_size": [pre.channels, pre.size, pre.size],
            "fixed_input_size": bool(own.get("fixed_input_size", False)),
            "interpolation": pre.interpolation,
            "crop_pct": 1.0,
            "mean": list(pre.mean),
            "std": list(pre.std),
            "num_classes": len(labels),
            "pool_size": None,
            "first_conv": own.get("first_conv"),
            "classifier": own.get("classifier") or final_layer(model)[0],
        },
    }
    if source.library == "timm":
        config["num_features"] = getattr(model, "num_features", None)
        del config["library"]
    # Tied weights are written twice: safetensors has no way to say that two names are one tensor.
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    save_file(state, folder / _WEIGHTS, metadata={"format": "pt"})
    write_json(folder / "config.json", config)


def load_saved_image_model(folder: Path) -> nn.Module:
    """A model exactly as `write_image_model` wrote it, in float32 and evaluation mode.

    Raises:
        UserError: The folder holds no such model, or its weights do not fit its config.
    """
    check_folder(folder)
    settings = ModelSource(str(folder), folder).settings
    try:
        with in_proportion([folder / _WEIGHTS]):
            model = _built(folder, settings)
            model.load_state_dict(of_today(load_file(folder / _WEIGHTS), model), strict=True)
    except Exception as error:  # timm and torchvision raise nearly anything here
        raise UserError(
            f"The model cannot be loaded: {reason(error)}.",
            code="model.load-failed",
            where=str(folder),
            fix=RESTORE_BUNDLE,
        ) from error
    return model.float().eval()


def _built(folder: Path, settings: dict[str, Any]) -> nn.Module:
    """The architecture that a config names, which must be one that its library knows."""
    name = settings["architecture"]
    if settings.get("library") == "torchvision":
        from torchvision import models

        if name not in torchvision_names():
            raise ValueError(f"torchvision has no architecture {name!r}")
        model: nn.Module = models.get_model(
            name, weights=None, num_classes=settings["num_classes"], **settings["model_args"]
        )
        return model
    import timm

    if not timm.is_model(name):
        raise ValueError(f"timm has no architecture {name!r}")
    model = timm.create_model(f"local-dir:{folder}", pretrained=False)
    return model
