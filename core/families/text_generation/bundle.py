"""Write and open the bundle of a model that writes: a plain transformers folder, and the adapters alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.bundle.manifest import FILE, LOSS, Golden, Manifest
from tunebook.bundle.read import check_golden, check_kind
from tunebook.bundle.seen import write_seen
from tunebook.bundle.write import manifest_of, system_refusals
from tunebook.config.schema import DataConfig, TrainConfig
from tunebook.errors import RESTORE_BUNDLE, UserError
from tunebook.families.prepared import Prepared
from tunebook.families.text_generation.card import generation_card
from tunebook.families.text_generation.contract import bundle_state_of, generation_of
from tunebook.families.text_generation.data.answers import Supervised
from tunebook.families.text_generation.data.context import CONTEXT, contexts_of
from tunebook.families.text_generation.data.message import CONVERSATION, Message
from tunebook.families.text_generation.data.packing import PackedItems, one_each
from tunebook.families.text_generation.data.pair_template import PairTemplate
from tunebook.families.text_generation.data.pairs import PairItems, encode_pairs
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.data.thinking import switched_off
from tunebook.families.text_generation.model.kinds import is_seq2seq
from tunebook.families.text_generation.model.seq2seq import decoder_prefix, load_seq2seq, reads_apart
from tunebook.families.text_generation.options import ConversationData
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.files import folder_written_whole, write_json, write_text
from tunebook.models.language_model import load_language_model
from tunebook.models.literal import save_tokenizer
from tunebook.models.quiet import quiet_transformers
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer
from tunebook.run_folder import RunFolder

ADAPTER = "adapter"
# Prompts for any model, far from the training rows.
_GOLDEN = (
    ("Hello.", "Hello, how can I help?"),
    ("It broke after two days and nobody answered.", "I am sorry to hear that. May I have the order number?"),
    ("?", "Could you say that again?"),
)


def write_generation_bundle(
    folder: Path,
    writer: TextGenerator,
    config: TrainConfig,
    state: Mapping[str, Any],
    card: Mapping[str, Any],
    adapter: Path,
    seen: Iterable[str] = (),
    grounded: bool = False,
) -> None:
    """Write model, tokenizer with its template, adapters, manifest and card next to the target, then rename.

    Args:
        folder: The bundle; must not exist.
        writer: The tuned model.
        config: The run's config.
        state: What its recipe needs again besides its options.
        card: Facts for the model card: ``data``, ``training``, ``scores``.
        adapter: Folder of trained adapters, where there are any.
        seen: Conversations that the model was trained or chosen on; kept as hashes.
        grounded: Whether training rows have a context, so that new ones need one.
    """
    with folder_written_whole(folder) as partial:
        model: Any = writer.model.cpu()
        _stop_at_end_of_turn(model, writer)
        with system_refusals(), quiet_transformers():
            model.save_pretrained(partial)
        if isinstance(writer.template, PairTemplate):
            save_tokenizer(writer.tokenizer, partial)
        else:  # its template writes control tokens
            writer.tokenizer.save_pretrained(partial)
        if adapter.is_dir():
            shutil.copytree(adapter, partial / ADAPTER)
        manifest = _manifest(writer, config, state, grounded)
        write_json(partial / FILE, manifest.to_json())
        about = (adapter.is_dir(), reads_apart(model), _thinking_off(writer.template))
        write_text(partial / "README.md", generation_card(manifest, config, card, *about))
        write_seen(partial, seen)


def _thinking_off(template: ChatTemplate | PairTemplate) -> str:
    """The switches by which a template's thinking is off."""
    return ", ".join(switched_off(template.text)) if isinstance(template, ChatTemplate) else ""


def _stop_at_end_of_turn(model: Any, writer: TextGenerator) -> None:
    """Make a plain ``model.generate`` stop where an answer ends, and choose as `predict` does."""
    from transformers import GenerationConfig

    stop = list(writer.template.end_of_turn_ids)
    chosen = writer.generation
    more: dict[str, Any] = {"num_beams": chosen.num_beams} if chosen.num_beams > 1 else {}
    if chosen.do_sample:
        more = {"do_sample": True, "temperature": chosen.temperature, "top_p": chosen.top_p, "top_k": 0}
    forced: list[int] = []  # transformers counts it among the new tokens
    if isinstance(writer.template, PairTemplate):
        start, *forced = decoder_prefix(model)
        more |= {"decoder_start_token_id": start, "forced_bos_token_id": forced[0] if forced else None}
    model.generation_config = GenerationConfig(
        bos_token_id=getattr(model.config, "bos_token_id", None),  # T5 knows no such token
        eos_token_id=stop if len(stop) > 1 else stop[0],
        pad_token_id=writer.tokenizer.pad_token_id,
        max_new_tokens=chosen.max_new_tokens + len(forced),
        **more,
    )


def _format(data: DataConfig) -> str:
    """The form that conversations are said to be in; empty where the columns show it, or there are none."""
    return data.format.name if isinstance(data, ConversationData) and data.format else ""


def _context(data: DataConfig, grounded: bool) -> dict[str, str]:
    """The column of the context and its place in the prompt, where training rows have one."""
    if not (grounded and isinstance(data, ConversationData)):
        return {}
    return {"context": data.context or CONTEXT, "context_place": data.context_place.name}


def _manifest(writer: TextGenerator, config: TrainConfig, state: Mapping[str, Any], grounded: bool) -> Manifest:
    losses = golden_losses(writer)
    manifest = manifest_of(
        writer.recipe,
        head=writer.recipe.head(()).kind,
        max_length=writer.max_length,
        columns={"conversation": _format(config.data), **_context(config.data, grounded)},
        golden=[
            Golden(" ".join(pair), {LOSS: round(float(loss), 6)})
            for pair, loss in zip(_GOLDEN, losses[:, 0], strict=True)
        ],
        generation={"max_new_tokens": writer.generation.max_new_tokens, "kept": dict(state)},
    )
    if template := manifest.options.get("template"):
        # A file's text is kept, and its folder on this machine is private.
        manifest.options["template"] = Path(template).name
    return manifest


def golden_losses(writer: TextGenerator) -> NDArray[np.float64]:
    """The mean loss of a token in each golden answer, ``[questions, 1]``."""
    losses, tokens = writer.losses(_golden_items(writer.template))
    means: NDArray[np.float64] = losses / tokens
    return means[:, None]


def _golden_items(template: ChatTemplate | PairTemplate) -> PackedItems | PairItems:
    if isinstance(template, PairTemplate):
        questions, answers = zip(*_GOLDEN, strict=True)
        return encode_pairs(questions, answers, template.tokenizer, 1000, 1000)[0]
    rows: list[Supervised] = [
        template.supervise([Message("user", question), Message("assistant", answer)]) for question, answer in _GOLDEN
    ]
    return PackedItems(
        np.concatenate([row.ids for row in rows]),
        np.concatenate([row.supervised for row in rows]),
        np.cumsum([0, *map(len, rows)]),
        one_each(len(rows)),
    )


def read_generator(recipe: TextGeneration[Any], folder: Path, manifest: Manifest) -> TextGenerator:
    """The language model of a bundle with its template.

    Raises:
        UserError: Its files contradict each other, or its losses are not those it had when written.
    """
    check_kind(manifest, recipe.head(()), folder)
    try:
        generation = generation_of(recipe)
    except ValueError as error:
        what = f"The bundle's {FILE} is damaged: {error}."
        raise UserError(what, code="bundle.damaged", where=str(folder), fix=RESTORE_BUNDLE) from error
    source = ModelSource(str(folder), folder)
    template: ChatTemplate | PairTemplate
    if not is_seq2seq(source) and not (folder / "chat_template.jinja").is_file():
        raise UserError(
            "The bundle is incomplete: chat_template.jinja is missing.",
            code="bundle.damaged",
            where=str(folder),
            fix="copy it again from the run that made it",
        )
    if is_seq2seq(source):
        model, template = load_seq2seq(source), PairTemplate(load_tokenizer(source))
    else:
        with quiet_transformers():
            template = ChatTemplate.of(load_tokenizer(source))
        model = load_language_model(source)
    writer = TextGenerator(model, template, manifest.max_length, generation, recipe=recipe)
    check_golden(manifest, golden_losses(writer), folder)
    return writer


def ready(prepared: Prepared[TextGeneration[Any]], model: Any) -> TextGenerator:
    """A model made ready to answer what a run's rows ask."""
    recipe, encoded = prepared.recipe, prepared.encoded
    return TextGenerator(model, encoded.tokenizer, encoded.max_length, generation_of(recipe), recipe=recipe)


def write_tuned(
    prepared: Prepared[TextGeneration[Any]], model: Any, run: RunFolder, card: Mapping[str, Any], seen: bool
) -> None:
    """Write a run's bundle; its conversations count as seen where the model was trained on them."""
    recipe, rows = prepared.recipe, prepared.encoded.rows
    splits = ("train", "validation") if seen else ()
    keys = (key for split in splits for key in recipe.family.inputs.keys(recipe, rows[split]))
    state = bundle_state_of(recipe, prepared.config, rows["train"])
    grounded = CONVERSATION in rows["train"].roles and any(contexts_of(rows["train"]))
    writer = ready(prepared, model)
    write_generation_bundle(run.bundle, writer, prepared.config, state, card, run.adapter, keys, grounded)
    shutil.rmtree(run.adapter, ignore_errors=True)  # they lie in the bundle now
