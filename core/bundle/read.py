"""Open a bundle without running anything it names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunebook.bundle.manifest import FILE, Manifest, read_manifest
from tunebook.config.compose import typed_recipe_options
from tunebook.errors import UserError
from tunebook.models.source import ModelSource, check_folder
from tunebook.plugins import load_recipe_class
from tunebook.plugins.answers import check_head

if TYPE_CHECKING:
    from tunebook.families.text_classification.predictor import TextClassifier
    from tunebook.families.text_classification.recipe import TextClassification
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
    check_head(recipe, manifest.labels)
    return manifest, recipe, recipe.open_bundle(folder, manifest)


def recipe_of(manifest: Manifest) -> Recipe[Any]:
    """The installed recipe that a bundle was made with, with the options it had then."""
    recipe_class = load_recipe_class(manifest.recipe)
    made: Recipe[Any] = recipe_class(typed_recipe_options(manifest.options, recipe_class.Config, manifest.recipe))
    try:
        made.restored(manifest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"The bundle's {FILE} is damaged: what its recipe needs is not there ({error}).",
            where=manifest.recipe,
            fix="write the bundle again",
        ) from error
    return made


def read_text_classifier(recipe: TextClassification[Any], folder: Path, manifest: Manifest) -> TextClassifier:
    """A text classifier's model, with the head that its recipe reads it by.

    Raises:
        UserError: Its files contradict each other, or its answers are not those it gave when written.
    """
    from tunebook.families.text_classification.model import load_saved_classifier
    from tunebook.families.text_classification.predictor import TextClassifier
    from tunebook.families.text_classification.zero_shot import load_zero_shot
    from tunebook.models.text import load_tokenizer

    source = ModelSource(str(folder), folder)
    tokenizer = load_tokenizer(source)
    if manifest.head == "zero_shot":
        # The run's own recipe may have been given none; what was used then is in the bundle.
        stored = typed_recipe_options(manifest.options, type(recipe).Config, manifest.recipe)
        described = type(recipe)(stored).descriptions(manifest.labels)
        model: Any = load_zero_shot(source, tokenizer, described)
    else:
        model = load_saved_classifier(source)
    head = recipe.answer_head(model, manifest.labels)
    _check_head(manifest, head, model, folder)
    classifier = TextClassifier(model, tokenizer, head, tuple(manifest.labels), manifest.max_length)
    answers, _ = classifier.predict([g.text for g in manifest.golden])
    check_golden(manifest, answers, folder)
    return classifier


def check_kind(manifest: Manifest, head: Head, folder: Path) -> None:
    """Refuse a bundle whose outputs its recipe would read in another way than they were trained.

    Raises:
        UserError: It is such a bundle.
    """
    if manifest.head != head.kind:
        raise UserError(
            f"The bundle has a head '{manifest.head}', and its recipe's options make '{head.kind}'.",
            where=str(folder / FILE),
            fix="write the bundle again",
        )


def _check_head(manifest: Manifest, head: Head, model: Any, folder: Path) -> None:
    """A plain pipeline reads config.json, `predict` reads tunebook.json: both must tell of one model."""
    zero_shot = manifest.head == "zero_shot"
    if not zero_shot:
        check_kind(manifest, head, folder)
    named = [] if zero_shot else [model.config.id2label.get(i) for i in range(model.config.num_labels)]
    if len(named) == len(manifest.labels) and named != manifest.labels:
        raise UserError(
            f"config.json names the labels {', '.join(map(str, named))}, and {FILE} {', '.join(manifest.labels)}.",
            where=str(folder),
            fix="its files were changed, or belong to different models; write the bundle again",
        )


def check_golden(manifest: Manifest, got: NDArray[np.float64], folder: Path) -> None:
    """Compare what the model says of the golden inputs with what it said when the bundle was written.

    Swapped labels or weights show here.

    Args:
        manifest: Says what was answered.
        got: Outputs for the golden inputs now, ``[inputs, outputs]``.
        folder: The bundle.

    Raises:
        UserError: They differ.
    """
    expected = np.array([[g.probabilities[name] for name in manifest.outputs] for g in manifest.golden])
    if expected.size and not np.allclose(got, expected, atol=_TOLERANCE):
        raise UserError(
            "This bundle's model does not answer as it did when the bundle was written "
            f"(off by up to {np.abs(got - expected).max():.3f}).",
            where=str(folder),
            fix="its files were changed, or belong to different models; write the bundle again",
        )
