"""Pre-trained weights, counted: every tensor of the backbone is in the file, and has the shape that the config says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import nn

from tunebook.errors import UserError
from tunebook.models.layers import is_head
from tunebook.models.sizes import in_proportion
from tunebook.models.source import ModelSource, weight_files
from tunebook.models.text import quiet_transformers

_POOLER = re.compile(r"(^|\.)pooler\.")
"""The last layer of some backbones, which many were never trained with: it begins fresh, as the head does."""


@dataclass(frozen=True)
class Counted:
    """A model with its weights.

    Attributes:
        model: The model.
        tensors: Number of the backbone's tensors, all from the file.
        taken_off: What stood before every name in the file, such as "module."; "" for nothing.
    """

    model: nn.Module
    tensors: int
    taken_off: str = ""


def load_counted(auto_class: Any, source: ModelSource, settings: Any) -> Counted:
    """Load a model in float32, of which the head alone may be fresh.

    Where a wrapper's name stands before all names in the file (``module.`` of DataParallel, ``model.`` of a Lightning
    module), it is taken off.

    Args:
        auto_class: Of transformers: an `AutoModelFor...`.
        source: Where the weights are.
        settings: The model's config.

    Raises:
        UserError: The backbone has tensors that are not in the file, or of another shape there; or the file has more
            of them than the backbone.
    """
    model, report = _load(auto_class, source, settings, "")
    wrong = _wrong(model, report)
    if wrong:
        for prefix in _prefixes(report["unexpected_keys"]):
            other, again = _load(auto_class, source, settings, prefix)
            if not _wrong(other, again):
                return Counted(other, _count(other), prefix)
        raise UserError(
            f"The weights do not fit the model's config: {wrong}.",
            code="model.mismatch",
            where=str(source.folder),
            fix="config.json and the weights must be of one model, as save_pretrained writes them",
        )
    return Counted(model, _count(model))


def _load(auto_class: Any, source: ModelSource, settings: Any, prefix: str) -> tuple[nn.Module, dict[str, Any]]:
    options = {"key_mapping": {f"^{re.escape(prefix)}": ""}} if prefix else {}
    with quiet_transformers(), in_proportion(weight_files(source.folder)):
        model, report = auto_class.from_pretrained(
            source.folder,
            config=settings,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # all are looked at below; a head of another size is made anew
            output_loading_info=True,
            **options,
        )
    return model, report


def _count(model: nn.Module) -> int:
    return sum(not is_head(name, model) for name, _ in model.named_parameters())


def _wrong(model: nn.Module, report: dict[str, Any]) -> str:
    """What of the backbone was not loaded as it is in the file; "" for nothing."""
    shapes = [entry for entry in sorted(report["mismatched_keys"]) if not _may_be_fresh(entry[0], model)]
    if shapes:
        name, found, wanted = shapes[0]
        more = f", and {len(shapes) - 1} more" if len(shapes) > 1 else ""
        return f"{name} is {list(found)} in the file and {list(wanted)} by the config{more}"
    missing = sorted(name for name in report["missing_keys"] if not _may_be_fresh(name, model))
    if missing:
        return f"{len(missing)} of {_count(model)} tensors of the backbone are not in the file, such as {missing[0]}"
    unused = sorted(name for name in report["unexpected_keys"] if _is_of_backbone(name, model))
    if unused:
        return f"{len(unused)} tensors in the file have no place in the backbone, such as {unused[0]}"
    return ""


def _may_be_fresh(name: str, model: nn.Module) -> bool:
    return is_head(name, model) or bool(_POOLER.search(name))


def _is_of_backbone(name: str, model: nn.Module) -> bool:
    """Whether a name that the model lacks is one of a layer that it has others of: the file has more layers."""
    prefix = getattr(model, "base_model_prefix", "")
    bare = name.removeprefix(f"{prefix}.")
    layer = re.match(r"(.*?\.)\d+\.", bare)
    if layer is None:
        return False
    backbone = getattr(model, prefix, model) if prefix else model
    return any(each.startswith(layer.group(1)) for each, _ in backbone.named_parameters())


def _prefixes(names: Iterable[str]) -> Iterator[str]:
    """What may stand before all names by mistake, the longest first."""
    split = [name.split(".")[:-1] for name in names]
    common = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*split, strict=False))]
    for length in range(len(common), 0, -1):
        yield ".".join(common[:length]) + "."
