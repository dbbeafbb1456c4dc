"""Write and open the bundle of a text classifier: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tunebook.bundle.manifest import FILE, Manifest
from tunebook.bundle.read import check_golden, check_kind
from tunebook.bundle.seen import write_seen
from tunebook.bundle.write import golden, manifest_of
from tunebook.config.schema import TrainConfig
from tunebook.data.columns import PAIR, template_of, text_names
from tunebook.families.family import node_as
from tunebook.families.text_bundle import check_names, save_text_model
from tunebook.families.text_classification.build import answer_head
from tunebook.families.text_classification.calibration import stored_calibration
from tunebook.families.text_classification.card import text_card
from tunebook.families.text_classification.options import TextData
from tunebook.families.text_classification.predictor import TextClassifier
from tunebook.families.text_classification.recipe import TextClassification
from tunebook.families.text_classification.wording import descriptions
from tunebook.families.text_classification.zero_shot import ZeroShotClassifier, load_zero_shot
from tunebook.files import folder_written_whole, write_json, write_text
from tunebook.models.pairs import has_pair_format
from tunebook.models.sentence_model import SentenceModel
from tunebook.models.sequence_model import load_saved_sequence_model
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer
from tunebook.models.text_answers import GOLDEN_TEXTS, golden_pairs
from tunebook.plugins.options import typed_recipe_options
from tunebook.recipe import Head
from tunebook.training.softmax_head import answers_plainly


def write_text_bundle(
    folder: Path,
    classifier: TextClassifier,
    recipe: TextClassification[Any],
    config: TrainConfig,
    card: Mapping[str, Any],
    seen: Iterable[str] = (),
) -> None:
    """Write model, tokenizer, manifest and card next to the target, then rename.

    Args:
        folder: The bundle; must not exist.
        classifier: The tuned model.
        recipe: Its recipe.
        config: The run's config.
        card: Facts for the model card: ``data``, ``training``.
        seen: Texts that the model was trained or chosen on; kept as hashes.
    """
    with folder_written_whole(folder) as partial:
        _write_into(partial, classifier, recipe, config, card)
        write_seen(partial, seen)


def _write_into(
    folder: Path,
    classifier: TextClassifier,
    recipe: TextClassification[Any],
    config: TrainConfig,
    card: Mapping[str, Any],
) -> None:
    model = classifier.model
    plain = model.backbone if isinstance(model, ZeroShotClassifier) else model
    save_text_model(folder, plain, classifier.tokenizer, classifier.max_length)
    data = node_as(config.data, TextData)
    template = template_of(data)
    probabilities, _ = classifier.predict(GOLDEN_TEXTS, pairs=golden_pairs(GOLDEN_TEXTS, classifier.paired))
    manifest = manifest_of(
        recipe,
        head="zero_shot" if isinstance(model, ZeroShotClassifier) else classifier.head.kind,
        labels=classifier.labels,
        max_length=classifier.max_length,
        columns={**text_names(data), "label": data.label},
        template=template.template if template is not None else None,
        golden=[golden(text, classifier.labels, row) for text, row in zip(GOLDEN_TEXTS, probabilities, strict=True)],
        calibration=classifier.calibration and classifier.calibration.to_json(),
    )
    if isinstance(model, ZeroShotClassifier):
        # What the user or the recipe said at the time, whatever the recipe's defaults become.
        manifest.options["descriptions"] = dict(zip(classifier.labels, model.described, strict=True))
    write_json(folder / FILE, manifest.to_json())
    rule, pair_format = not answers_plainly(classifier.head), has_pair_format(classifier.tokenizer)
    encoder = isinstance(model, SentenceModel)
    described = text_card(manifest, config, card, own_rule=rule, pair_format=pair_format, sentence_encoder=encoder)
    write_text(folder / "README.md", described)


def read_text_classifier(recipe: TextClassification[Any], folder: Path, manifest: Manifest) -> TextClassifier:
    """A text classifier's model, with the head that its recipe reads it by.

    Raises:
        UserError: Its files contradict each other, or its answers are not those it gave when written.
    """
    source = ModelSource(str(folder), folder)
    tokenizer = load_tokenizer(source)
    if manifest.head == "zero_shot":
        # The run's own recipe may have been given none; what was used then is in the bundle.
        stored = typed_recipe_options(manifest.options, type(recipe).Config, manifest.recipe)
        described = descriptions(type(recipe)(stored), manifest.labels)
        model: Any = load_zero_shot(source, tokenizer, described)
    else:
        model = load_saved_sequence_model(source)
    classifier = ready_classifier(recipe, manifest, model, tokenizer)
    classifier.calibration = stored_calibration(manifest, folder)
    _check_head(manifest, classifier.head, model, folder)
    paired = classifier.paired
    texts = [g.text for g in manifest.golden]
    answers, _ = classifier.predict(texts, pairs=golden_pairs(texts, paired))
    check_golden(manifest, answers, folder)
    return classifier


def ready_classifier(recipe: TextClassification[Any], manifest: Manifest, model: Any, tokenizer: Any) -> TextClassifier:
    """A bundle's model made ready to label texts."""
    head, paired = answer_head(recipe, model, manifest.labels), PAIR in manifest.columns
    return TextClassifier(model, tokenizer, head, manifest.max_length, paired, labels=tuple(manifest.labels))


def _check_head(manifest: Manifest, head: Head, model: Any, folder: Path) -> None:
    """A plain pipeline reads config.json, `predict` reads tunebook.json: both must describe one model."""
    if manifest.head != "zero_shot":
        check_kind(manifest, head, folder)
        check_names(manifest, model, folder)
