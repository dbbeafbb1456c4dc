"""Write and open the bundle of an image model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunebook.bundle.manifest import FILE, Manifest
from tunebook.bundle.read import check_golden, check_kind
from tunebook.bundle.seen import write_seen
from tunebook.bundle.write import golden, manifest_of, system_refusals
from tunebook.config.schema import TrainConfig
from tunebook.errors import RESTORE_BUNDLE, UserError
from tunebook.families.family import node_as
from tunebook.families.image_classification.card import image_card, timm_opening, torchvision_opening
from tunebook.families.image_classification.data.content import ImageContent
from tunebook.families.image_classification.data.decoded import Decoding
from tunebook.families.image_classification.data.sketches import write_sketches
from tunebook.families.image_classification.findings import findings_of
from tunebook.families.image_classification.metrics.operating import OperatingPoint
from tunebook.families.image_classification.model.image import Preprocessing
from tunebook.families.image_classification.model.image_files import load_saved_image_model, write_image_model
from tunebook.families.image_classification.options import ImageData
from tunebook.families.image_classification.predictor import ImageClassifier
from tunebook.families.image_classification.preprocessing import ImagePreparation, square_of
from tunebook.families.image_classification.recipe import ImageClassification
from tunebook.files import folder_written_whole, write_json, write_text
from tunebook.models.source import ModelSource
from tunebook.training.softmax_head import activation_of, answers_plainly, output_names

_PATTERNS = ("stripes", "disc", "slope")
"""Test pictures for any image model, far from the training images and drawn by formula."""


def pattern(name: str, size: int) -> NDArray[np.uint8]:
    """A grey test picture ``[size, size]``."""
    down, right = np.mgrid[0:size, 0:size] / max(1, size - 1)
    if name == "stripes":
        light = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * (right + 0.5 * down))
    elif name == "disc":
        light = (np.hypot(down - 0.5, right - 0.5) < 0.3) * 0.8 + 0.1
    else:
        light = 0.25 * down + 0.75 * right
    drawn: NDArray[np.uint8] = np.rint(255 * light).astype(np.uint8)
    return drawn


def write_image_bundle(
    folder: Path,
    classifier: ImageClassifier,
    recipe: ImageClassification[Any],
    source: ModelSource,
    config: TrainConfig,
    card: Mapping[str, Any],
    points: Sequence[str],
    seen: Sequence[str] = (),
    content: ImageContent | None = None,
) -> None:
    """Write model, manifest and card next to the target, then rename.

    Args:
        folder: The bundle; must not exist.
        classifier: The tuned model.
        recipe: Its recipe.
        source: What it was tuned from.
        config: The run's config.
        card: Facts for the model card: ``data``, ``training``, ``scores``.
        points: The operating points in words.
        seen: Digests of the images that the model was trained or chosen on.
        content: Holds these images.
    """
    pre = classifier.preparation.preprocessing
    with folder_written_whole(folder) as partial:
        with system_refusals():
            write_image_model(
                partial, classifier.model.cpu(), source, pre, output_names(classifier.head, classifier.labels)
            )
        manifest = _manifest(classifier, recipe, config)
        write_json(partial / FILE, manifest.to_json())
        settings = json.loads((partial / "config.json").read_text(encoding="utf-8"))
        architecture, activation = str(settings["architecture"]), activation_of(classifier.head)
        if settings.get("library") == "torchvision":
            outputs, args = classifier.head.outputs, settings.get("model_args")
            opening = torchvision_opening(architecture, outputs, pre, activation, classifier.temperature, args)
        else:
            opening = timm_opening(architecture, pre, activation, classifier.temperature)
        text = image_card(
            manifest.recipe,
            manifest.recipe_version,
            Path(source.name).name if Path(source.name).exists() else source.name,
            config.adapt.method.name,
            classifier.labels,
            opening,
            card,
            recipe.cautions,
            points,
            own_rule=not answers_plainly(classifier.head),
        )
        write_text(partial / "README.md", text)
        write_seen(partial, seen)
        if content is not None:
            write_sketches(partial, content.thumbnails(list(seen)))


def _manifest(classifier: ImageClassifier, recipe: ImageClassification[Any], config: TrainConfig) -> Manifest:
    answered = ask_patterns(classifier)
    data = node_as(config.data, ImageData)
    return manifest_of(
        recipe,
        head=classifier.head.kind,
        labels=classifier.labels,
        max_length=classifier.preparation.preprocessing.size,
        columns={"image": data.image, "label": data.label, **({"group": data.group} if data.group is not None else {})},
        golden=[golden(name, classifier.labels, row) for name, row in zip(_PATTERNS, answered, strict=True)],
        image={
            "preprocessing": classifier.preparation.preprocessing.to_json(),
            "full": classifier.preparation.full,
            "window": classifier.decoding.window,
            "max_pixels": classifier.decoding.max_pixels,
            "temperature": classifier.temperature,
            "points": [point.to_json() for point in classifier.points],
            "point": classifier.point,
        },
    )


def ask_patterns(classifier: ImageClassifier) -> NDArray[np.float64]:
    """What the model says of the test pictures, ``[patterns, labels]``."""
    size = classifier.preparation.preprocessing.size
    stacked = torch.from_numpy(np.stack([pattern(name, size) for name in _PATTERNS]))[..., None]
    batch = {"pixels": stacked, "peak": torch.full((len(_PATTERNS),), 255.0)}
    with torch.no_grad():
        out = classifier.head.forward(classifier.model.cpu().eval(), classifier.preparation(batch))
    return classifier.probabilities(out.double().numpy())


def read_image_classifier(recipe: ImageClassification[Any], folder: Path, manifest: Manifest) -> ImageClassifier:
    """The model of a bundle with all that it answers by.

    Raises:
        UserError: Its files contradict each other, or its answers are not those it gave when written.
    """
    state = _image_state(manifest, folder)
    head = recipe.head(manifest.labels)
    check_kind(manifest, head, folder)
    classifier = ImageClassifier(
        load_saved_image_model(folder),
        head,
        tuple(manifest.labels),
        findings_of(recipe, manifest.labels),
        ImagePreparation(state["preprocessing"], state["full"]),
        state["decoding"],
        state["temperature"],
        state["points"],
        state["point"],
    )
    check_golden(manifest, ask_patterns(classifier), folder)
    return classifier


def _image_state(manifest: Manifest, folder: Path | str) -> dict[str, Any]:
    """The image part of a manifest as values.

    Raises:
        UserError: It was edited to something that it cannot be.
    """
    image = manifest.image or {}
    try:
        window = image["window"]
        temperature, full = float(image["temperature"]), int(image["full"])
        points = tuple(OperatingPoint.from_json(point) for point in image["points"])
        if not (0 < temperature < 1e6 and (full == 0 or 255 <= full <= 65535)):
            raise ValueError("temperature or full brightness is out of range")
        if not {point.finding for point in points} <= set(manifest.labels):
            raise ValueError("an operating point has an unknown label")
        return {
            "preprocessing": Preprocessing.from_json(image["preprocessing"]),
            "full": full,
            "decoding": Decoding((float(window[0]), float(window[1])) if window else None, int(image["max_pixels"])),
            "temperature": temperature,
            "points": points,
            "point": None if image["point"] is None else str(image["point"]),
        }
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UserError(
            f"The bundle's {FILE} is damaged: {error}.",
            code="bundle.damaged",
            where=str(folder),
            fix=RESTORE_BUNDLE,
        ) from error


def bundle_content(manifest: Manifest, cache_dir: Path) -> ImageContent:
    """Pictures made as the bundle's model was trained on them."""
    state = _image_state(manifest, FILE)
    square = square_of(state["preprocessing"])
    return ImageContent(square, state["decoding"], cache_dir, manifest.columns["image"], full=state["full"])
