"""Write and open the bundle of a model of numbers: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from tunebook.bundle.manifest import FILE, VALUE, Golden, Manifest
from tunebook.bundle.read import check_golden, check_kind
from tunebook.bundle.seen import write_seen
from tunebook.bundle.write import manifest_of
from tunebook.data.columns import PAIR, template_of, text_names
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared
from tunebook.families.text_bundle import save_text_model
from tunebook.families.text_regression.build import scale_of
from tunebook.families.text_regression.card import number_card
from tunebook.families.text_regression.options import NumberData
from tunebook.families.text_regression.predictor import TextRegressor
from tunebook.families.text_regression.recipe import TextRegression
from tunebook.families.text_stages import seen_texts
from tunebook.files import folder_written_whole, write_json, write_text
from tunebook.models.pairs import has_pair_format
from tunebook.models.sequence_model import load_saved_sequence_model
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer
from tunebook.models.text_answers import GOLDEN_TEXTS, golden_pairs


def write_number_bundle(
    folder: Path, prepared: Prepared[TextRegression[Any]], model: nn.Module, card: Mapping[str, Any]
) -> None:
    """Write model, tokenizer, manifest and card next to the target, then rename.

    Args:
        folder: The bundle; must not exist.
        prepared: The rows that the model was made of.
        model: The plain model, whose output is in the user's units.
        card: Facts for the model card: ``data``, ``training``, ``scores``.
    """
    recipe, encoded, config = prepared.recipe, prepared.encoded, prepared.config
    data = node_as(config.data, NumberData)
    paired, template = data.text_pair is not None, template_of(data)
    regressor = TextRegressor(model, encoded.tokenizer, recipe.head(()), encoded.max_length, paired)
    answers = regressor.predict(GOLDEN_TEXTS, pairs=golden_pairs(GOLDEN_TEXTS, paired))
    with folder_written_whole(folder) as partial:
        save_text_model(partial, model, encoded.tokenizer, regressor.max_length)
        manifest = manifest_of(
            recipe,
            head=regressor.head.kind,
            max_length=regressor.max_length,
            columns={**text_names(data), "label": data.label},
            template=template.template if template is not None else None,
            golden=[Golden(text, {VALUE: float(answer)}) for text, answer in zip(GOLDEN_TEXTS, answers, strict=True)],
            number=asdict(scale_of(encoded)),
        )
        write_json(partial / FILE, manifest.to_json())
        write_text(partial / "README.md", number_card(manifest, config, card, has_pair_format(encoded.tokenizer)))
        write_seen(partial, seen_texts(prepared))


def read_text_regressor(recipe: TextRegression[Any], folder: Path, manifest: Manifest) -> TextRegressor:
    """The model of a bundle, with the head that its recipe reads it by.

    Raises:
        UserError: Its files contradict each other, or its answers are not those it gave when written.
    """
    assert manifest.number is not None
    source = ModelSource(str(folder), folder)
    check_kind(manifest, recipe.head(()), folder)
    regressor = ready_regressor(recipe, manifest, load_saved_sequence_model(source), load_tokenizer(source))
    texts = [golden.text for golden in manifest.golden]
    answers = regressor.predict(texts, pairs=golden_pairs(texts, regressor.paired))
    # Off by a thousandth of the deviation is off, whatever unit the numbers are in.
    check_golden(manifest, answers[:, None], folder, unit=manifest.number["deviation"])
    return regressor


def ready_regressor(recipe: TextRegression[Any], manifest: Manifest, model: nn.Module, tokenizer: Any) -> TextRegressor:
    """A bundle's model made ready to answer texts with numbers."""
    return TextRegressor(model, tokenizer, recipe.head(()), manifest.max_length, PAIR in manifest.columns)
