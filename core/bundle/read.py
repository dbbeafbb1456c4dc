"""Open a bundle without running anything it names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.bundle.manifest import Manifest, read_manifest
from tunebook.compose import typed_recipe_options
from tunebook.errors import UserError
from tunebook.models.source import ModelSource, check_folder
from tunebook.plugins import load_recipe_class

if TYPE_CHECKING:
    from tunebook.recipe import Recipe
    from tunebook.tasks.text_classifier import TextClassifier

_TOLERANCE = 1e-3  # other CPUs and batch shapes move the last digits, never the third


def open_bundle(folder: Path) -> tuple[Manifest, Recipe[Any], TextClassifier]:
    """The bundle's manifest, its recipe (an installed one, by name), and its model.

    Raises:
        UserError: Something is missing or damaged, or the model no longer answers as it did when written.
    """
    from tunebook.models.text import load_backbone, load_saved_classifier, load_tokenizer
    from tunebook.models.zero_shot import ZeroShotClassifier
    from tunebook.tasks.text_classifier import TextClassifier

    manifest = read_manifest(folder)
    check_folder(folder)
    recipe_class = load_recipe_class(manifest.recipe)
    recipe: Any = recipe_class(typed_recipe_options(manifest.options, recipe_class.Config, manifest.recipe))
    source = ModelSource(str(folder), folder)
    tokenizer = load_tokenizer(source)
    if manifest.head == "zero_shot":
        described = recipe.descriptions(manifest.labels)
        model: Any = ZeroShotClassifier.from_texts(load_backbone(source), tokenizer, described)
    else:
        model = load_saved_classifier(source)
    head = recipe.answer_head(model, manifest.labels)
    classifier = TextClassifier(model, tokenizer, head, tuple(manifest.labels), manifest.max_length)
    _check_golden(manifest, classifier, folder)
    return manifest, recipe, classifier


def _check_golden(manifest: Manifest, classifier: TextClassifier, folder: Path) -> None:
    """Ask what was asked when the bundle was written: swapped labels or weights would show here."""
    got, _ = classifier.predict([g.text for g in manifest.golden])
    expected = np.array([g.probabilities for g in manifest.golden])
    if expected.size and not np.allclose(got, expected, atol=_TOLERANCE):
        raise UserError(
            "This bundle's model does not answer as it did when the bundle was written "
            f"(off by up to {np.abs(got - expected).max():.3f}).",
            where=str(folder),
            mend="its files were changed, or belong to different models; write the bundle again",
        )
