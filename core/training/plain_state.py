"""What a checkpoint may hold: what `torch.load(weights_only=True)` gives back."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from tunebook.errors import UserError

_SINGLE = (type(None), bool, int, float, complex, str, bytes, torch.Size, torch.dtype, torch.device)
_SEVERAL = (list, tuple, set)
_NAMED = (dict, OrderedDict, defaultdict)


def check_plain(checkpoint: Mapping[str, Any]) -> None:
    """Refuse to save what no resumed run could read, such as an object of a callback's own class.

    Raises:
        UserError: It names the place and the class.
    """
    for path, kind in _foreign(checkpoint, ""):
        raise UserError(
            f"The state of this run holds a {kind}, which cannot be saved in a checkpoint.",
            code="training.unsaveable-state",
            where=f"checkpoint{path}",
            fix="have state_dict() return tensors, numbers and strings, and lists and dicts of these",
        )


def _foreign(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Places and classes of what cannot be read back."""
    if type(value) in _NAMED:
        for key, inner in value.items():
            yield from _foreign(key, path)
            yield from _foreign(inner, f"{path}[{key!r}]")
    elif type(value) in _SEVERAL:
        for i, inner in enumerate(value):
            yield from _foreign(inner, f"{path}[{i}]")
    elif not isinstance(value, torch.Tensor) and type(value) not in _SINGLE:
        yield path, f"{type(value).__module__}.{type(value).__qualname__}"
