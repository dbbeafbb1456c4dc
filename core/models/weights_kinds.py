"""Weights that are not one whole model: adapters, quantised ones, the same twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebook.errors import UserError

INDEX = "model.safetensors.index.json"


def check_adapter(folder: Path) -> None:
    """Refuse adapters alone, and adapters beside a whole model, which transformers would add to it once more.

    Raises:
        UserError: There are adapters in this folder.
    """
    adapter = folder / "adapter_config.json"
    if not adapter.is_file():
        return
    whole = (folder / "model.safetensors").is_file() or (folder / INDEX).is_file()
    if not (whole and (folder / "config.json").is_file()):
        raise UserError(
            "This folder holds adapters, and not the model that they belong to.",
            code="model.adapter",
            where=str(folder),
            fix="merge them into their model first: PeftModel.from_pretrained(model, folder).merge_and_unload()"
            ".save_pretrained(new_folder), with the tokenizer beside it",
        )
    raise UserError(
        "This folder holds a whole model and adapters: whether they are merged into it already cannot be known.",
        code="model.adapter",
        where=str(adapter),
        fix="if they are, move adapter_config.json and adapter_model.safetensors elsewhere; if not, merge them first",
    )


def check_quantized(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse weights that are stored in 4 or 8 bits: they cannot be tuned as they are.

    Args:
        folder: The model's.
        settings: What its config says.

    Raises:
        UserError: They are.
    """
    stored = settings.get("quantization_config")
    if not stored:
        return
    method = stored.get("quant_method", "") if isinstance(stored, dict) else ""
    raise UserError(
        f"The model's weights are quantised{f' ({method})' if method else ''}, and cannot be tuned.",
        code="model.quantized",
        where=str(folder / "config.json"),
        fix="give the model that it was made from; adapt=lora adapt.quantize=true holds that in 4 bits while it trains",
    )


def check_one_of_two(folder: Path) -> None:
    """Refuse weights in one file beside an index of several: one of the two is left over.

    Raises:
        UserError: Both are there.
    """
    if (folder / INDEX).is_file() and (folder / "model.safetensors").is_file():
        raise UserError(
            "The weights are there twice: in model.safetensors, and in the files that an index lists.",
            code="model.ambiguous-weights",
            where=str(folder),
            fix=f"delete what is left over: model.safetensors, or {INDEX} with its files",
        )
