"""Whether a model's config speaks of the model that its weights are, before a single layer is made."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunebook.errors import UserError
from tunebook.limits import limited
from tunebook.untrusted import values_within

_LAYERS = re.compile(r"(n_|num_)?((hidden|encoder|decoder)_)?(layers?|depths?|blocks?)")
_NO_SIZE = re.compile(r"(^|_)(ids?|tokens?|positions?|length|seed|version|theta|base)(_|$)")
USUAL = 10_000_000
"""A size that any model may have, however small its weights are."""


def check_sizes(where: Path, settings: Any, tensors: int, elements: int) -> None:
    """Refuse a config whose sizes no model with these weights has: building it would never end, or fill the memory.

    Args:
        where: The config's file.
        settings: What it says.
        tensors: Number of tensors in the weights.
        elements: Number of values in the largest of them.

    Raises:
        UserError: A size is out of all proportion.
    """
    for key, value in values_within(settings):
        if not isinstance(value, int) or isinstance(value, bool):
            continue
        layers = bool(_LAYERS.fullmatch(key))
        largest = max(tensors, 1) if layers else max(elements, USUAL)
        if value > largest and not _NO_SIZE.search(key):
            held = f"{tensors} tensors" if layers else f"no tensor of more than {elements:,} values"
            raise UserError(
                f"The model's config.json says {key} is {value:,}, and its weights have {held}.",
                code="model.mismatch",
                where=str(where),
                fix="copy or download the model again",
            )


@contextmanager
def in_proportion(files: Sequence[Path]) -> Iterator[None]:
    """Load a model within the time and memory that one with these weights can take.

    Args:
        files: Its weights.

    Raises:
        OverLimit: It takes more.
    """
    size = sum(file.stat().st_size for file in files)
    threads = os.cpu_count() or 1  # the time of all of them counts
    with limited(seconds=threads * (20 + 60 * size / 2**30), memory=(1 << 31) + 8 * size):
        yield
