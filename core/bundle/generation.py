"""Write and open the bundle of a model that writes: a plain transformers folder, and the adapters alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from tunebook.bundle.generation_card import generation_card
from tunebook.bundle.manifest import FILE, LOSS, Golden, Manifest
from tunebook.bundle.read import check_golden, check_kind
from tunebook.bundle.seen import write_seen
from tunebook.bundle.write import as_os_error
from tunebook.config import TrainConfig
from tunebook.data.conversations.answers import Supervised
from tunebook.data.conversations.message import Message
from tunebook.data.conversations.template import ChatTemplate
from tunebook.data.packing import PackedItems, one_each
from tunebook.errors import UserError
from tunebook.files import folder_written_whole, write_json, write_text
from tunebook.models.generate import Generation
from tunebook.models.source import ModelSource
from tunebook.models.text import load_language_model, load_tokenizer, quiet_transformers
from tunebook.plugins import find_recipes
from tunebook.tasks.writer import Writer

if TYPE_CHECKING:
    from tunebook.tasks.text_generation import TextGeneration

ADAPTER = "adapter"
# Exchanges that any model can be asked, far from the training rows.
_GOLDEN = (
    ("Hello.", "Hello, how can I help?"),
    ("It broke after two days and nobody answered.", "I am sorry to hear that. May I have the order number?"),
    ("?", "Could you say that again?"),
)


def write_generation_bundle(
    folder: Path,
    writer: Writer,
    recipe: TextGeneration[Any],
    config: TrainConfig,
    card: Mapping[str, Any],
    adapter: Path,
    seen: Iterable[str] = (),
) -> None:
    """Write model, tokenizer with its template, adapters, manifest and card beside the target, then rename.

    Args:
        folder: The bundle; must not exist.
        writer: The tuned model.
        recipe: Its recipe.
        config: The run's config.
        card: Facts for the model card: ``data``, ``training``, ``scores``.
        adapter: Folder of trained adapters, where there are any.
        seen: Conversations that the model was trained or chosen on; kept as hashes.
    """
    with folder_written_whole(folder) as beside:
        model: Any = writer.model.cpu()
        _stop_at_end_of_turn(model, writer)
        try:
            with quiet_transformers():
                model.save_pretrained(beside)
        except Exception as error:
            raise as_os_error(error) from error
        writer.tokenizer.save_pretrained(beside)
        if adapter.is_dir():
            shutil.copytree(adapter, beside / ADAPTER)
        manifest = _manifest(writer, recipe, config)
        write_json(beside / FILE, manifest.to_json())
        write_text(beside / "README.md", generation_card(manifest, config, card, adapter.is_dir()))
        write_seen(beside, seen)


def _stop_at_end_of_turn(model: Any, writer: Writer) -> None:
    """Make a plain ``model.generate`` stop where an answer ends, and choose as `predict` does."""
    from transformers import GenerationConfig

    stop = list(writer.template.end_of_turn_ids)
    model.generation_config = GenerationConfig(
        bos_token_id=model.config.bos_token_id,
        eos_token_id=stop if len(stop) > 1 else stop[0],
        pad_token_id=writer.tokenizer.pad_token_id,
        max_new_tokens=writer.generation.max_new_tokens,
    )


def _manifest(writer: Writer, recipe: TextGeneration[Any], config: TrainConfig) -> Manifest:
    options = OmegaConf.to_container(OmegaConf.structured(recipe.options), enum_to_str=True)
    assert isinstance(options, dict)
    found = find_recipes().get(recipe.name)
    losses = golden_losses(writer)
    return Manifest(
        recipe=recipe.name,
        recipe_version=found.distribution if found else "",
        options={str(k): v for k, v in options.items()},
        head=recipe.head(()).kind,
        labels=[],
        max_length=writer.max_length,
        columns={"conversation": config.data.format.name if config.data.format else ""},
        golden=[
            Golden(" ".join(pair), {LOSS: round(float(loss), 6)})
            for pair, loss in zip(_GOLDEN, losses[:, 0], strict=True)
        ],
        generation={"max_new_tokens": writer.generation.max_new_tokens},
    )


def golden_losses(writer: Writer) -> NDArray[np.float64]:
    """The mean loss of a token in each golden answer, ``[exchanges, 1]``."""
    rows: list[Supervised] = [
        writer.template.supervise([Message("user", question), Message("assistant", answer)])
        for question, answer in _GOLDEN
    ]
    items = PackedItems(
        np.concatenate([row.ids for row in rows]),
        np.concatenate([row.learnt for row in rows]),
        np.cumsum([0, *map(len, rows)]),
        one_each(len(rows)),
    )
    losses, tokens = writer.losses(items)
    means: NDArray[np.float64] = losses / tokens
    return means[:, None]


def read_writer(recipe: TextGeneration[Any], folder: Path, manifest: Manifest) -> Writer:
    """The language model of a bundle with its template.

    Raises:
        UserError: Its files contradict each other, or its losses are not those it had when written.
    """
    check_kind(manifest, recipe.head(()), folder)
    longest = (manifest.generation or {}).get("max_new_tokens")
    if not isinstance(longest, int) or longest < 1:
        raise UserError(
            f"The bundle's {FILE} is damaged: max_new_tokens must be a whole number.",
            where=str(folder),
            mend="write the bundle again",
        )
    source = ModelSource(str(folder), folder)
    with quiet_transformers():
        template = ChatTemplate.of(load_tokenizer(source))
    writer = Writer(load_language_model(source), template, manifest.max_length, Generation(max_new_tokens=longest))
    check_golden(manifest, golden_losses(writer), folder)
    return writer
