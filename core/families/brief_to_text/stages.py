"""What the family of recipes that write from briefs does for them: as for all that write, but for its rows."""

from __future__ import annotations

from typing import Any

from tunebook.config.schema import TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.rejects import RejectLog
from tunebook.families.brief_to_text.recipe import BriefToText
from tunebook.families.text_generation.model.structure import check_fits
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.families.text_generation.stages import GenerationStages
from tunebook.models.source import ModelSource


class BriefStages(GenerationStages):
    """A brief in, copy out; a causal language model, or one with an encoder and a decoder."""

    def encode(
        self,
        recipe: TextGeneration[Any],
        data: ValidatedData,
        source: ModelSource,
        config: TrainConfig,
        rejects: RejectLog,
    ) -> Encoded:
        """As for all that write, once the copies are known to have room for their structure."""
        encoded = super().encode(recipe, data, source, config, rejects)
        generation, template = recipe.generation(), encoded.tokenizer
        if generation.schema is not None:
            check_fits(generation.schema, template.tokenizer, template.end_of_turn_ids, generation.max_new_tokens)
        return encoded

    def rehearsed(self, recipe: TextGeneration[Any]) -> TextGeneration[Any]:
        """A token or two are no structure."""
        copied = super().rehearsed(recipe)
        assert isinstance(copied, BriefToText)
        copied.keeps_structure = False
        return copied
