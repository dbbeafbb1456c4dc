"""Open a bundle without running anything it names."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.bundle.manifest import FILE, Manifest, read_manifest
from tunebook.errors import RESTORE_BUNDLE, UserError
from tunebook.models.settings_files import check_settings_files
from tunebook.models.source import check_folder
from tunebook.plugins import load_recipe_class
from tunebook.plugins.failures import TRACEBACK, recipe_failure
from tunebook.plugins.load import new_recipe
from tunebook.plugins.options import typed_recipe_options
from tunebook.recipe import Head, Recipe

_TOLERANCE = 1e-3  # other CPUs and batch shapes move the last digits, never the third


def open_bundle(folder: Path) -> tuple[Manifest, Recipe[Any], Any]:
    """The bundle's manifest, its recipe (an installed one, by name), and its model.

    Raises:
        UserError: Something is missing or damaged, or the model no longer answers as it did when written.
    """
    manifest = read_manifest(folder)
    check_folder(folder)
    recipe = recipe_of(manifest)
    from tunebook.plugins.heads import check_head  # torch begins here

    check_head(recipe, manifest.row_labels)
    return manifest, recipe, _opened(recipe.family.stages.open_bundle, recipe, folder, manifest)


def open_export(folder: Path, precision: str) -> Any:
    """The model of an ONNX export, as `open_bundle`.

    Raises:
        UserError: Something is missing or damaged, or the model no longer answers as it did when written.
    """
    manifest = read_manifest(folder)
    check_settings_files(folder)
    recipe = recipe_of(manifest)
    return _opened(partial(recipe.family.stages.open_export, precision=precision), recipe, folder, manifest)


def _opened(opening: Callable[..., Any], recipe: Recipe[Any], folder: Path, manifest: Manifest) -> Any:
    """The bundle's model; whatever a library says of files that do not belong together is said of the bundle."""
    try:
        return opening(recipe, folder, manifest)
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if os.environ.get(TRACEBACK):  # who writes a recipe or a family wants to see it whole
            raise
        raise recipe_failure(error) or UserError(
            f"The bundle cannot be opened: {type(error).__name__}: {' '.join(str(error).split())[:200]}.",
            code="bundle.damaged",
            where=str(folder),
            fix=f"{RESTORE_BUNDLE}; {TRACEBACK}=1 shows where in the code it failed",
        ) from error


def recipe_of(manifest: Manifest) -> Recipe[Any]:
    """The installed recipe that a bundle was made with, with the options it had then."""
    recipe_class = load_recipe_class(manifest.recipe)
    options = typed_recipe_options(manifest.options, recipe_class.Config, manifest.recipe)
    made = new_recipe(recipe_class, options)
    try:
        made.family.inputs.load_bundle_state(made, manifest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"The bundle's {FILE} is damaged: a value that its recipe needs is missing ({error}).",
            code="bundle.damaged",
            where=manifest.recipe,
            fix=RESTORE_BUNDLE,
        ) from error
    return made


def check_kind(manifest: Manifest, head: Head, folder: Path) -> None:
    """Refuse a bundle whose outputs its recipe would read in another way than they were trained.

    Raises:
        UserError: It is such a bundle.
    """
    if manifest.head != head.kind:
        raise UserError(
            f"The bundle has a head '{manifest.head}', and its recipe's options make '{head.kind}'.",
            code="bundle.mismatch",
            where=str(folder / FILE),
            fix=RESTORE_BUNDLE,
        )


def check_golden(manifest: Manifest, got: NDArray[np.float64], folder: Path, unit: float = 1.0) -> None:
    """Compare what the model says of the golden inputs with what it said when the bundle was written.

    Swapped labels or weights show here.

    Args:
        manifest: Says what was answered.
        got: Outputs for the golden inputs now, ``[inputs, outputs]``.
        folder: The bundle.
        unit: Size of a large difference: 1 between probabilities, a standard deviation between numbers.

    Raises:
        UserError: They differ.
    """
    expected = np.array([[g.probabilities[name] for name in manifest.outputs] for g in manifest.golden])
    if expected.size and not np.allclose(got / unit, expected / unit, atol=_TOLERANCE):
        raise UserError(
            "This bundle's model does not answer as it did when the bundle was written "
            f"(off by up to {np.abs(got - expected).max():.3f}).",
            code="bundle.changed-answers",
            where=str(folder),
            fix=f"its files were changed, or belong to different models; {RESTORE_BUNDLE}",
        )
