"""The finished network: a folder that timm opens, with what is needed to score it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from tunebook.bundle.write import write_manifest
from tunebook.files import folder_written_whole
from tunebook.models.source import ModelSource

from ..stages import Pretrained
from .head import PictureHead
from .model import classifier_of, load_network, write_network

if TYPE_CHECKING:
    from tunebook.bundle.manifest import Manifest
    from tunebook.families.prepared import Prepared

CLASSIFIER = "formula_classifier.safetensors"
"""The final layer, which fine-tuning does not need."""


def write_image_model(folder: Path, prepared: Prepared[Any], model: Any) -> None:
    """Write backbone, classifier and manifest, whole or not at all."""
    model, size = model.cpu(), prepared.encoded.max_length
    with folder_written_whole(folder) as partial:
        write_network(partial, model, prepared.source.settings["architecture"], size)
        final = {name: weight.to(torch.float16).contiguous() for name, weight in classifier_of(model).items()}
        save_file(final, partial / CLASSIFIER)
        write_manifest(
            partial,
            prepared.recipe,
            head=PictureHead.kind,
            max_length=size,
            columns={column.role: column.name for column in prepared.recipe.columns(prepared.config.data)},
            labels=prepared.labels,
            state={"classifier": CLASSIFIER},
        )


def read_image_model(folder: Path, manifest: Manifest) -> Pretrained:
    """The network of a bundle with its classifier, in float32."""
    model = load_network(ModelSource(str(folder), folder), len(manifest.labels), fresh=False)
    model.load_state_dict({k: v.float() for k, v in load_file(folder / CLASSIFIER).items()}, strict=False)
    return Pretrained(model)
