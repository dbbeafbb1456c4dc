"""The finished language model: a plain transformers folder in half precision, with Tunebook's manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tunebook.bundle.write import write_manifest
from tunebook.files import folder_written_whole
from tunebook.models.language_model import load_language_model
from tunebook.models.quiet import quiet_transformers
from tunebook.models.source import ModelSource

from ..stages import Pretrained
from .head import NextTokenHead

if TYPE_CHECKING:
    from tunebook.families.prepared import Prepared


def write_text_model(folder: Path, prepared: Prepared[Any], model: Any) -> None:
    """Write model, tokenizer and manifest, whole or not at all."""
    with folder_written_whole(folder) as partial, quiet_transformers():
        model.to(torch.float16).save_pretrained(partial)
        prepared.encoded.tokenizer.save_pretrained(partial)
        write_manifest(
            partial,
            prepared.recipe,
            head=NextTokenHead.kind,
            max_length=prepared.encoded.max_length,
            columns={column.role: column.name for column in prepared.recipe.columns(prepared.config.data)},
            state={},
        )


def read_text_model(folder: Path) -> Pretrained:
    """The model of a bundle, in float32."""
    return Pretrained(load_language_model(ModelSource(str(folder), folder)))
