"""What the bundles of all families are written with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tunebook.bundle.manifest import Golden


def golden(text: str, labels: Sequence[str], probabilities: Any) -> Golden:
    """A golden input with its probabilities ``[labels]``, to six decimals."""
    return Golden(text, {label: round(float(p), 6) for label, p in zip(labels, probabilities, strict=True)})


@contextmanager
def system_refusals() -> Iterator[None]:
    """Safetensors wraps the system's refusal in an error of its own; raise it with its number again."""
    import errno
    import re

    try:
        yield
    except Exception as error:
        found = re.search(r"os error (\d+)", str(error))
        number = int(found.group(1)) if found else 0
        if isinstance(error, OSError) or number not in errno.errorcode:
            raise
        raise OSError(number, os.strerror(number), "the model's weights") from error
