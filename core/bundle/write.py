"""Write a bundle: all of it, or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from tunebook.bundle.manifest import FILE, Golden, Manifest
from tunebook.bundle.seen import write_seen
from tunebook.config.schema import TrainConfig
from tunebook.families.text_classification.card import text_card
from tunebook.families.text_classification.zero_shot import ZeroShotClassifier
from tunebook.files import folder_written_whole, write_json, write_text
from tunebook.models.text import quiet_transformers
from tunebook.plugins import find_recipes

if TYPE_CHECKING:
    from tunebook.families.text_classification.predictor import TextClassifier
    from tunebook.recipe import Recipe

# Inputs that any text model can be asked: short, empty of content, and far from the training rows.
_GOLDEN = ["I love it.", "It broke after two days and nobody answered.", "?"]


def write_text_bundle(
    folder: Path,
    classifier: TextClassifier,
    recipe: Recipe[Any],
    config: TrainConfig,
    card: Mapping[str, Any],
    seen: Iterable[str] = (),
) -> None:
    """Write model, tokenizer, manifest and card beside the target, then rename.

    Args:
        folder: The bundle; must not exist.
        classifier: The tuned model.
        recipe: Its recipe.
        config: The run's config.
        card: Facts for the model card: ``data``, ``training``.
        seen: Texts that the model was trained or chosen on; kept as hashes.
    """
    with folder_written_whole(folder) as beside:
        _write_into(beside, classifier, recipe, config, card)
        write_seen(beside, seen)


def _write_into(
    folder: Path,
    classifier: TextClassifier,
    recipe: Recipe[Any],
    config: TrainConfig,
    card: Mapping[str, Any],
) -> None:
    model = classifier.model
    options = OmegaConf.to_container(OmegaConf.structured(recipe.options), enum_to_str=True)
    assert isinstance(options, dict)
    plain: Any = model
    zero_shot = isinstance(model, ZeroShotClassifier)
    if isinstance(model, ZeroShotClassifier):
        # What the user or the recipe said at the time, whatever the recipe's defaults become.
        options["descriptions"] = dict(zip(classifier.labels, model.described, strict=True))
        plain = model.backbone
    with system_refusals(), quiet_transformers():
        plain.save_pretrained(folder)
    classifier.tokenizer.save_pretrained(folder)
    found = find_recipes().get(recipe.name)
    probabilities, _ = classifier.predict(_GOLDEN)
    manifest = Manifest(
        recipe=recipe.name,
        recipe_version=found.distribution if found else "",
        options={str(k): v for k, v in options.items()},
        head="zero_shot" if zero_shot else classifier.head.kind,
        labels=list(classifier.labels),
        max_length=classifier.max_length,
        columns={"text": config.data.text, "label": config.data.label},
        golden=[golden(text, classifier.labels, row) for text, row in zip(_GOLDEN, probabilities, strict=True)],
    )
    write_json(folder / FILE, manifest.to_json())
    write_text(folder / "README.md", text_card(manifest, config, card))


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
