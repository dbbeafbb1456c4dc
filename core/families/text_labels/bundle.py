"""Write and open the bundle of a model that puts several labels on a text: all of it, or nothing."""

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
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared
from tunebook.families.text_bundle import check_names, save_text_model
from tunebook.families.text_labels.build import chosen_labeller, several_head
from tunebook.families.text_labels.card import labels_card
from tunebook.families.text_labels.columns import SEPARATOR
from tunebook.families.text_labels.options import TextLabelsData
from tunebook.families.text_labels.predictor import TextLabeller
from tunebook.families.text_labels.recipe import TextLabels
from tunebook.families.text_labels.thresholds import Chosen
from tunebook.families.text_stages import seen_texts
from tunebook.files import folder_written_whole, write_json, write_text
from tunebook.models.pairs import has_pair_format
from tunebook.models.sentence_model import SentenceModel
from tunebook.models.sequence_model import load_saved_sequence_model
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer
from tunebook.models.text_answers import GOLDEN_TEXTS, golden_pairs
from tunebook.training.softmax_head import activation_of


def write_labels_bundle(
    folder: Path, prepared: Prepared[TextLabels[Any]], model: nn.Module, card: Mapping[str, Any]
) -> None:
    """Choose the thresholds, write model, tokenizer, manifest and card next to the target, then rename.

    Args:
        folder: The bundle; must not exist.
        prepared: The rows that the model was made of.
        model: The plain model.
        card: Facts for the model card: ``data``, ``training``, ``scores``.
    """
    labeller, config = chosen_labeller(prepared, model), prepared.config
    data, labels = node_as(config.data, TextLabelsData), labeller.labels
    template = template_of(data)
    probabilities, _ = labeller.predict(GOLDEN_TEXTS, pairs=golden_pairs(GOLDEN_TEXTS, labeller.paired))
    with folder_written_whole(folder) as partial:
        save_text_model(partial, model, labeller.tokenizer, labeller.max_length)
        manifest = manifest_of(
            prepared.recipe,
            head=labeller.head.kind,
            labels=labels,
            max_length=labeller.max_length,
            columns={**text_names(data), **({} if data.label is None else {"label": data.label})},
            template=template.template if template is not None else None,
            golden=[golden(text, labels, row) for text, row in zip(GOLDEN_TEXTS, probabilities, strict=True)],
            several={
                "chosen": None if labeller.chosen is None else labeller.chosen.to_json(),
                "separator": None if data.label is None else data.separator or SEPARATOR,
            },
        )
        write_json(partial / FILE, manifest.to_json())
        described = labels_card(
            manifest,
            config,
            card,
            chosen=labeller.chosen,
            sigmoid=activation_of(labeller.head) == "sigmoid",
            pair_format=has_pair_format(labeller.tokenizer),
            sentence_encoder=isinstance(model, SentenceModel),
        )
        write_text(partial / "README.md", described)
        write_seen(partial, seen_texts(prepared))


def read_text_labeller(recipe: TextLabels[Any], folder: Path, manifest: Manifest) -> TextLabeller:
    """The model of a bundle, with its thresholds and the head that its recipe reads it by.

    Raises:
        UserError: Its files contradict each other, or its answers are not those it gave when written.
    """
    source = ModelSource(str(folder), folder)
    model: Any = load_saved_sequence_model(source)
    labeller = ready_labeller(recipe, manifest, model, load_tokenizer(source))
    check_kind(manifest, labeller.head, folder)
    check_names(manifest, model, folder)
    texts = [each.text for each in manifest.golden]
    answers, _ = labeller.predict(texts, pairs=golden_pairs(texts, labeller.paired))
    check_golden(manifest, answers, folder)
    return labeller


def ready_labeller(recipe: TextLabels[Any], manifest: Manifest, model: nn.Module, tokenizer: Any) -> TextLabeller:
    """A bundle's model made ready to label texts."""
    assert manifest.several is not None
    head, labels = several_head(recipe, manifest.labels), tuple(manifest.labels)
    paired, chosen = PAIR in manifest.columns, Chosen.of(manifest.several)
    return TextLabeller(model, tokenizer, head, manifest.max_length, paired, labels=labels, chosen=chosen)
