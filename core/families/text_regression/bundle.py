"""Write and open the bundle of a model of numbers: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from torch import nn

from tunebook.bundle.manifest import FILE, VALUE, Golden, Manifest
from tunebook.bundle.read import check_golden, check_kind
from tunebook.bundle.seen import write_seen
from tunebook.bundle.write import system_refusals
from tunebook.data.columns import PAIR, TEXT, text_names
from tunebook.data.pairs import is_paired, whole_column
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared
from tunebook.families.text_regression.build import scale_of
from tunebook.families.text_regression.card import number_card
from tunebook.families.text_regression.options import NumberData
from tunebook.families.text_regression.predictor import TextRegressor
from tunebook.families.text_regression.recipe import TextRegression
from tunebook.files import folder_written_whole, write_json, write_text
from tunebook.models.pairs import has_pair_format
from tunebook.models.sequence_model import load_saved_sequence_model
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer, quiet_transformers
from tunebook.models.text_answers import golden_pairs
from tunebook.plugins import find_recipes

# Inputs for any text model: short, empty of content, and far from the training rows.
_GOLDEN = ["I love it.", "It broke after two days and nobody answered.", "?"]


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
    paired = data.text_pair is not None
    regressor = TextRegressor(model, encoded.tokenizer, recipe.head(()), encoded.max_length, paired)
    answers = regressor.predict(_GOLDEN, pairs=golden_pairs(_GOLDEN) if paired else None)
    plain: Any = model
    with folder_written_whole(folder) as partial:
        with system_refusals(), quiet_transformers():
            plain.save_pretrained(partial)
        encoded.tokenizer.save_pretrained(partial)
        found = find_recipes().get(recipe.options.name)
        options = OmegaConf.to_container(OmegaConf.structured(recipe.options), enum_to_str=True)
        assert isinstance(options, dict)
        manifest = Manifest(
            recipe=recipe.options.name,
            recipe_version=found.distribution if found else "",
            options={str(k): v for k, v in options.items()},
            head=regressor.head.kind,
            labels=[],
            max_length=regressor.max_length,
            columns={**text_names(data), "label": data.label},
            golden=[Golden(text, {VALUE: float(answer)}) for text, answer in zip(_GOLDEN, answers, strict=True)],
            number=asdict(scale_of(encoded)),
        )
        write_json(partial / FILE, manifest.to_json())
        write_text(partial / "README.md", number_card(manifest, config, card, has_pair_format(encoded.tokenizer)))
        write_seen(partial, seen_texts(prepared))


def seen_texts(prepared: Prepared[Any]) -> Iterator[str]:
    """The texts that shaped the weights, or chose among them."""
    for split in ("train", "validation"):
        rows = prepared.encoded.rows[split]
        pair = rows.column(PAIR) if is_paired(rows) else None
        for chunk in whole_column(rows.column(TEXT), pair).chunks:
            yield from chunk.to_pylist()


def read_text_regressor(recipe: TextRegression[Any], folder: Path, manifest: Manifest) -> TextRegressor:
    """The model of a bundle, with the head that its recipe reads it by.

    Raises:
        UserError: Its files contradict each other, or its answers are not those it gave when written.
    """
    assert manifest.number is not None
    source = ModelSource(str(folder), folder)
    head = recipe.head(())
    check_kind(manifest, head, folder)
    model, tokenizer, paired = load_saved_sequence_model(source), load_tokenizer(source), PAIR in manifest.columns
    regressor = TextRegressor(model, tokenizer, head, manifest.max_length, paired)
    texts = [golden.text for golden in manifest.golden]
    answers = regressor.predict(texts, pairs=golden_pairs(texts) if paired else None)
    # Off by a thousandth of the deviation is off, whatever unit the numbers are in.
    check_golden(manifest, answers[:, None], folder, unit=manifest.number["deviation"])
    return regressor
