"""Calibration and operating points: rules checked early, chosen on the validation rows once a model is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunebook.errors import UserError
from tunebook.families.image_classification.batches import decoding_of
from tunebook.families.image_classification.findings import findings_of
from tunebook.families.image_classification.metrics.operating import OperatingPoint, choose_points, parse_rule
from tunebook.families.image_classification.metrics.report import FEW, point_in_words
from tunebook.families.image_classification.metrics.temperature import fit_head_temperature
from tunebook.families.image_classification.predictor import ImageClassifier, finding_predictions, logits_of
from tunebook.families.image_classification.recipe import ImageClassification
from tunebook.families.prepared import Prepared
from tunebook.plugins.answers import are_texts, given
from tunebook.training.devices import choose_accelerator


def points_of(recipe: ImageClassification[Any]) -> Mapping[str, str]:
    """Rules of the operating points by name: the user's, or else the recipe's own."""
    chosen: Mapping[str, str] | None = recipe.options.operating_points
    return recipe.own_points if chosen is None else chosen


def check_use(recipe: ImageClassification[Any]) -> None:
    """Refuse what a recipe of images says of its use, before an image is read."""
    cautions, points = recipe.cautions, recipe.own_points
    given(recipe, "cautions", cautions, are_texts(cautions), "a list of sentences, even of a single one")
    good = isinstance(points, Mapping) and all(isinstance(part, str) for each in points.items() for part in each)
    given(recipe, "own_points", points, good, "{name: rule}, such as {'screening': 'sensitivity 0.95'}; {} for none")


def check_rules(points: Mapping[str, str], point: str | None) -> None:
    """Refuse operating points that cannot be, whatever the findings."""
    for name, text in points.items():
        parse_rule(name, text)
    if point is not None and point not in points:
        known = (
            f"choose from: {', '.join(points)}" if points else 'recipe.operating_points={screening: "sensitivity 0.95"}'
        )
        raise UserError(
            f"there is no operating point {point!r}", code="config.unknown-choice", where="recipe.point", fix=known
        )


def calibrated(prepared: Prepared[ImageClassification[Any]], model: Any) -> tuple[ImageClassifier, list[str]]:
    """The model with a temperature and operating points from the validation rows, and notes about them."""
    recipe, config = prepared.recipe, prepared.config
    options, findings = recipe.options, findings_of(recipe, prepared.labels)
    rules = [parse_rule(name, text) for name, text in points_of(recipe).items()]
    classifier = ImageClassifier(
        model,
        recipe.head(prepared.labels),
        tuple(prepared.labels),
        findings,
        prepared.encoded.tokenizer,
        decoding_of(options, config.data),
        point=options.point,
    )
    rows = prepared.encoded.rows["validation"]
    items: Any = prepared.encoded.splits["validation"].items
    device = choose_accelerator(config.trainer)
    logits = logits_of(classifier, items, "validation rows", device, config.trainer.progress)
    notes = []
    if options.calibrate:
        fit = fit_head_temperature(classifier.head, logits, items.targets)
        # A bound says more of the few rows than of the model: leave its probabilities as they are.
        classifier.temperature = 1.0 if fit.note else fit.value
        notes.append(f"temperature: {classifier.temperature:.3f}" + (f" ({fit.note})" if fit.note else ""))
    predictions = finding_predictions(classifier, rows, items, classifier.probabilities(logits), ())
    classifier.points = tuple(choose_points(rules, predictions))
    return classifier, notes


def in_words(points: Sequence[OperatingPoint]) -> list[str]:
    """Operating points for the model card."""
    return [point_in_words(point) for point in points]


def notes_on(classifier: ImageClassifier) -> list[str]:
    """What a reader must know of a model's operating points and temperature."""
    few = {p.finding: min(p.n_positive, p.n_negative) for p in classifier.points}
    notes = [
        f"the operating points of {finding!r} were chosen on {count} validation rows with or without it: "
        "on other rows they may behave quite differently"
        for finding, count in few.items()
        if count < FEW
    ]
    fitted = "fitted on the validation rows"
    return [*notes, f"logits are divided by the temperature {classifier.temperature:.3f}, {fitted}"]


def seen(prepared: Prepared[ImageClassification[Any]]) -> list[str]:
    """Digests of the images that the model was trained or chosen on."""
    family, rows = prepared.recipe.family, prepared.encoded.rows
    return [digest for split in ("train", "validation") for digest in family.inputs.keys(prepared.recipe, rows[split])]
