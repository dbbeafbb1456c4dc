"""What the bundles of all families are written with."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

from tunebook.bundle.manifest import FILE, Golden, Manifest
from tunebook.files import write_json
from tunebook.plugins import find_recipes
from tunebook.recipe import Recipe


def manifest_of(
    recipe: Recipe[Any],
    *,
    head: str,
    max_length: int,
    columns: Mapping[str, str],
    labels: Sequence[str] = (),
    golden: Sequence[Golden] = (),
    **own: Any,
) -> Manifest:
    """What a bundle says of itself: the recipe with the options of the run, and the family's ``own`` part."""
    found = find_recipes().get(recipe.options.name)
    return Manifest(
        recipe=recipe.options.name,
        recipe_version=found.distribution if found else "",
        options=_plain(asdict(recipe.options)),
        head=head,
        labels=list(labels),
        max_length=max_length,
        columns=dict(columns),
        golden=list(golden),
        **own,
    )


def _plain(value: Any) -> Any:
    """Options as JSON has them: members of an Enum by name, paths as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value.name if isinstance(value, Enum) else str(value) if isinstance(value, Path) else value


def write_manifest(
    folder: Path,
    recipe: Recipe[Any],
    *,
    head: str,
    max_length: int,
    columns: Mapping[str, str],
    labels: Sequence[str] = (),
    golden: Sequence[Golden] = (),
    state: Mapping[str, Any] | None = None,
) -> None:
    """Write tunebook.json beside a plain model, for a family that needs nothing else in it.

    Args:
        folder: The bundle, while it is written.
        recipe: Its recipe, with the options of the run.
        head: Kind of the head.
        max_length: Longest input, in whatever the family counts.
        columns: Role of each column -> its name in the training rows.
        labels: Label names by index.
        golden: A few inputs with their outputs.
        state: What the family needs besides to open it; plain values.
    """
    manifest = manifest_of(
        recipe,
        head=head,
        max_length=max_length,
        columns=columns,
        labels=labels,
        golden=golden,
        state=dict(state) if state is not None else None,
    )
    write_json(folder / FILE, manifest.to_json())


def golden(text: str, labels: Sequence[str], probabilities: Any) -> Golden:
    """A golden input with its probabilities ``[labels]``, to six decimals."""
    return Golden(text, {label: round(float(p), 6) for label, p in zip(labels, probabilities, strict=True)})


@contextmanager
def system_refusals() -> Iterator[None]:
    """Safetensors wraps the system's refusal in an error of its own; raise it with its number again."""
    try:
        yield
    except Exception as error:
        found = re.search(r"os error (\d+)", str(error))
        number = int(found.group(1)) if found else 0
        if isinstance(error, OSError) or number not in errno.errorcode:
            raise
        raise OSError(number, os.strerror(number), "the model's weights") from error
