"""Write and open the bundle of a model of aspects: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from tunebook.bundle.manifest import FILE, Manifest
from tunebook.bundle.read import check_golden, check_kind
from tunebook.bundle.seen import write_seen
from tunebook.bundle.write import golden, manifest_of
from tunebook.data.columns import PAIR, template_of, text_names
from tunebook.errors import RESTORE_BUNDLE, UserError
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared
from tunebook.families.text_aspects.build import aspects_head
from tunebook.families.text_aspects.card import aspects_card
from tunebook.families.text_aspects.columns import aspect_role, output_names
from tunebook.families.text_aspects.options import AspectData
from tunebook.families.text_aspects.predictor import AspectPredictor
from tunebook.families.text_aspects.recipe import TextAspects
from tunebook.families.text_bundle import save_text_model
from tunebook.families.text_stages import seen_texts
from tunebook.files import folder_written_whole, write_json, write_text
from tunebook.models.pairs import has_pair_format
from tunebook.models.sentence_model import SentenceModel
from tunebook.models.sequence_model import load_saved_sequence_model
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer
from tunebook.models.text_answers import GOLDEN_TEXTS, golden_pairs


def write_aspects_bundle(
    folder: Path, prepared: Prepared[TextAspects[Any]], model: nn.Module, card: Mapping[str, Any]
) -> None:
    """Write model, tokenizer, manifest and card next to the target, then rename.

    Args:
        folder: The bundle; must not exist.
        prepared: The rows that the model was made of.
        model: The plain model.
        card: Facts for the model card: ``data``, ``training``, ``scores``.
    """
    recipe, encoded, config = prepared.recipe, prepared.encoded, prepared.config
    options, data = recipe.options, node_as(config.data, AspectData)
    paired, template = data.text_pair is not None, template_of(data)
    predictor = _predictor(recipe, model, encoded.tokenizer, encoded.max_length, paired)
    names = output_names(options)
    probabilities = predictor.predict(GOLDEN_TEXTS, pairs=golden_pairs(GOLDEN_TEXTS, paired))
    with folder_written_whole(folder) as partial:
        save_text_model(partial, model, encoded.tokenizer, encoded.max_length)
        manifest = manifest_of(
            recipe,
            head=predictor.head.kind,
            labels=names,
            max_length=encoded.max_length,
            columns={**text_names(data), **{aspect_role(i): name for i, name in enumerate(options.aspects)}},
            template=template.template if template is not None else None,
            golden=[golden(text, names, row) for text, row in zip(GOLDEN_TEXTS, probabilities, strict=True)],
            state={"aspects": list(options.aspects), "values": list(options.values)},
        )
        write_json(partial / FILE, manifest.to_json())
        pair_format, encoder = has_pair_format(encoded.tokenizer), isinstance(model, SentenceModel)
        write_text(partial / "README.md", aspects_card(manifest, config, card, predictor.head, pair_format, encoder))
        write_seen(partial, seen_texts(prepared))


def read_aspects_bundle(recipe: TextAspects[Any], folder: Path, manifest: Manifest) -> AspectPredictor:
    """The model of a bundle, with the head that its recipe reads it by.

    Raises:
        UserError: Its files contradict each other, or its answers are not those it gave when written.
    """
    source = ModelSource(str(folder), folder)
    model: Any = load_saved_sequence_model(source)
    named = [model.config.id2label.get(i) for i in range(model.config.num_labels)]
    if not named == manifest.labels == output_names(recipe.options):
        raise UserError(
            f"config.json, {FILE} and the options in it name different outputs.",
            code="bundle.mismatch",
            where=str(folder),
            fix=f"its files were changed, or belong to different models; {RESTORE_BUNDLE}",
        )
    paired = PAIR in manifest.columns
    predictor = _predictor(recipe, model, load_tokenizer(source), manifest.max_length, paired)
    check_kind(manifest, predictor.head, folder)
    texts = [each.text for each in manifest.golden]
    check_golden(manifest, predictor.predict(texts, pairs=golden_pairs(texts, paired)), folder)
    return predictor


def _predictor(
    recipe: TextAspects[Any], model: nn.Module, tokenizer: Any, max_length: int, paired: bool
) -> AspectPredictor:
    aspects, values = tuple(recipe.options.aspects), tuple(recipe.options.values)
    head = aspects_head(recipe)
    return AspectPredictor(model, tokenizer, head, max_length, paired, aspects=aspects, values=values)
