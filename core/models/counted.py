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
from tunebook.models.layers import is_head, plain_model
from tunebook.models.quiet import quiet_transformers
from tunebook.models.sizes import in_proportion
from tunebook.models.source import ModelSource, weight_files

_POOLER = re.compile(r"(^|\.)pooler\.")
"""The last layer of some backbones, which many were never trained with: it begins fresh, as the head does."""


@dataclass(frozen=True)
class Loaded:
    """What was found when a model's weights were loaded.

    Attributes:
        tensors: Number of the backbone's tensors, all from the file.
        taken_off: What stood before every name in the file, such as "module."; "" for nothing.
        fresh: Names of the tensors that the file has not, or of another size: of the head, and of a pooler.
    """

    tensors: int
    taken_off: str = ""
    fresh: frozenset[str] = frozenset()

    def __str__(self) -> str:
        found = f"all {self.tensors} tensors are in the file"
        return found + (f" ('{self.taken_off}' was taken off their names)" if self.taken_off else "")


def loaded(model: nn.Module) -> Loaded | None:
    """What was found when this model was loaded by `load_counted`; None of one that was not."""
    found = getattr(plain_model(model), "_loaded", None)
    return found if isinstance(found, Loaded) else None


def load_counted(auto_class: Any, source: ModelSource, settings: Any, fresh_head: bool = True) -> nn.Module:
    """Load a model in float32, of which the head alone may be fresh.

    Where a wrapper's name stands before all names in the file (``module.`` of DataParallel, ``model.`` of a Lightning
    module), it is taken off.

    Args:
        auto_class: Of transformers: an `AutoModelFor...`.
        source: Where the weights are.
        settings: The model's config.
        fresh_head: Whether the head may be; that of a model which writes is part of what it knows.

    Raises:
        UserError: The backbone has tensors that are not in the file, or of another shape there; or the file has more
            of them than the backbone.
    """
    model, report = _load(auto_class, source, settings, "")
    wrong = _wrong(model, report, fresh_head)
    if wrong:
        for prefix in _prefixes(report["unexpected_keys"]):
            other, again = _load(auto_class, source, settings, prefix)
            if not _wrong(other, again, fresh_head):
                return _noted(other, again, fresh_head, prefix)
        raise UserError(
            f"The weights do not fit the model's config: {wrong}.",
            code="model.mismatch",
            where=str(source.folder),
            fix="config.json and the weights must be of one model, as save_pretrained writes them",
        )
    return _noted(model, report, fresh_head, "")


def _noted(model: Any, report: dict[str, Any], fresh_head: bool, taken_off: str) -> nn.Module:
    fresh = {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}
    model._loaded = Loaded(_count(model, fresh_head), taken_off, frozenset(fresh))
    noted: nn.Module = model
    return noted


def _load(auto_class: Any, source: ModelSource, settings: Any, prefix: str) -> tuple[nn.Module, dict[str, Any]]:
    pattern = f"^{re.escape(prefix)}"
    options = {"key_mapping": {pattern: ""}} if prefix else {}
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
    if prefix:  # else transformers would put it back on when the model is saved
        kept = [each for each in model._weight_conversions if pattern not in each.source_patterns]
        model._weight_conversions = kept or None
    return model, report


def _count(model: nn.Module, fresh_head: bool) -> int:
    return sum(not (fresh_head and is_head(name, model)) for name, _ in model.named_parameters())


def _wrong(model: nn.Module, report: dict[str, Any], fresh_head: bool) -> str:
    """What of the backbone was not loaded as it is in the file; "" for nothing."""

    def may_be_fresh(name: str) -> bool:
        return bool(_POOLER.search(name)) or (fresh_head and is_head(name, model))

    shapes = [entry for entry in sorted(report["mismatched_keys"]) if not may_be_fresh(entry[0])]
    if shapes:
        name, found, wanted = shapes[0]
        more = f", and {len(shapes) - 1} more" if len(shapes) > 1 else ""
        return f"{name} is {list(found)} in the file and {list(wanted)} by the config{more}"
    missing = sorted(name for name in report["missing_keys"] if not may_be_fresh(name))
    if missing:
        part = "backbone" if fresh_head else "model"
        return (
            f"{len(missing)} of {_count(model, fresh_head)} tensors of the {part} are not in the file, "
            f"such as {missing[0]}"
        )
    unused = sorted(name for name in report["unexpected_keys"] if _is_of_backbone(name, model))
    if unused:
        return f"{len(unused)} tensors in the file have no place in the backbone, such as {unused[0]}"
    return ""


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
    """What may stand before all names by mistake, the shortest first."""
    split = [name.split(".")[:-1] for name in names]
    common = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*split, strict=False))]
    for length in range(1, len(common) + 1):
        yield ".".join(common[:length]) + "."
