"""What the family takes in: a model's files, and rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import ModelConfig, Objective, TrainConfig
from tunebook.data.columns import Column
from tunebook.data.content import Content
from tunebook.data.paths import resolve_paths
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.inputs import Inputs
from tunebook.families.text_generation.chat.checks import check_room, offered_tools, saving_place
from tunebook.families.text_generation.columns import conversation_columns, prompt_columns
from tunebook.families.text_generation.data.content import ConversationContent
from tunebook.families.text_generation.model.kinds import check_causal, is_seq2seq
from tunebook.families.text_generation.options import ContextPlace, ConversationData, NewConversationData
from tunebook.families.text_generation.preferences.content import PreferenceContent
from tunebook.families.text_generation.preferences.task import with_objective
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.models.source import ModelSource
from tunebook.untrusted import read_object

Recipe = TextGeneration[Any]


class GenerationInputs(Inputs[TextGeneration[Any]]):
    """A folder or hub id with a language model; conversations in any form."""

    exports_gguf: ClassVar[bool] = True
    export_precisions: ClassVar[Sequence[str]] = ("f32", "f16", "bf16", "q8_0")

    def with_objective(self, recipe: Recipe, config: TrainConfig) -> Recipe:
        """The recipe with the columns and the watched metric of preferences, where it is to learn from them."""
        return with_objective(recipe, config)

    def find_model(self, recipe: Recipe, config: ModelConfig, weights: bool) -> ModelSource:
        """A folder or hub id with a language model of a kind that the recipe takes."""
        source = super().find_model(recipe, config, weights)
        if not ("seq2seq" in recipe.architectures and is_seq2seq(source)):
            check_causal(source)
        return source

    def content(self, recipe: Recipe, source: ModelSource, config: TrainConfig) -> Content:
        """The conversations, or what people think of answers."""
        if config.objective.name is not Objective.sft:
            return PreferenceContent(config.objective.name)
        return ConversationContent(place=node_as(config.data, ConversationData).context_place)

    def load_bundle_state(self, recipe: TextGeneration[Any], manifest: Manifest) -> None:
        """Give the recipe back what its `bundle_state` gave."""
        recipe.load_bundle_state((manifest.generation or {}).get("kept", {}))

    def bundle_content(self, recipe: Recipe, manifest: Manifest, cache_dir: Path, answered: bool) -> Content:
        """Conversations in any form."""
        place = ContextPlace[manifest.columns.get("context_place") or "system"]
        return ConversationContent(answered=answered, place=place)

    def predict_columns(
        self, recipe: Recipe, manifest: Manifest, column: str | None, files: Sequence[str], delimiter: str | None = None
    ) -> Sequence[Column]:
        """Those of the form that the files are in; what waits for its answer has no column for it."""
        return prompt_columns(files, column, delimiter, manifest.columns.get("context"))

    def evaluate_columns(self, recipe: Recipe, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training."""
        own = node_as(data, NewConversationData)
        files = resolve_paths(data.test, "data.test")
        context = own.context or manifest.columns.get("context")
        return conversation_columns(files, own.format, own.group, own.facts, own.delimiter, context)

    def check_chat(self, recipe: TextGeneration[Any], folder: Path, manifest: Manifest, options: Any) -> None:
        """The recipe's models must talk, leave room for a question, and save where it is possible."""
        if not recipe.talks:
            super().check_chat(recipe, folder, manifest, options)
        check_room(options.max_new_tokens, folder)
        if options.save is not None:
            saving_place(options.save)
        if options.tools is not None:
            offered_tools(options.tools)

    def check_export(self, recipe: TextGeneration[Any], folder: Path, manifest: Manifest) -> None:
        """A model with an encoder is not exported.

        Raises:
            UserError: It is such a model.
        """
        try:
            settings = read_object(folder / "config.json")
        except (ValueError, OSError):  # said when the bundle is opened
            return
        if settings.get("is_encoder_decoder"):
            raise UserError(
                "A model with an encoder and a decoder is not exported as GGUF.",
                code="export.unsupported",
                where=str(folder),
                fix=f"use the bundle itself: tunebook predict {folder}",
            )
