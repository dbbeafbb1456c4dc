"""What can be known to be wrong with the options of a model that writes before it is trained."""

from __future__ import annotations

from typing import Any

from tunebook.config.schema import Method, TrainConfig
from tunebook.errors import UserError
from tunebook.families.text_generation.contract import check_properties, generation_of
from tunebook.families.text_generation.model.causal import check_quantized
from tunebook.families.text_generation.model.generation import Generation, UnusableGeneration
from tunebook.families.text_generation.model.kinds import is_seq2seq
from tunebook.families.text_generation.predictor import room_beside
from tunebook.families.text_generation.prompts import check_tokenize
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.models.positions import positions
from tunebook.models.source import ModelSource
from tunebook.plugins.contract import broken


def check_options(recipe: TextGeneration[Any], source: ModelSource, config: TrainConfig) -> None:
    """Refuse now what would else come up once the model is trained.

    Raises:
        UserError: An option that cannot be, or that the model has no room for.
    """
    if config.adapt.method is Method.head:
        raise UserError(
            "A language model has no new head that could be trained alone.",
            code="config.no-effect",
            where="adapt=head",
            fix="adapt=lora trains few weights and freezes the rest",
        )
    options: Any = recipe.options
    if options.max_new_tokens < 1:
        raise UserError(
            "recipe.max_new_tokens must be at least 1.",
            code="config.out-of-range",
            where="recipe.max_new_tokens",
            fix="choose more",
        )
    check_properties(recipe)
    generation = _generation(recipe)
    _check_candidates(recipe.candidates, generation)
    check_quantized(source, config.adapt)
    _check_room(options.max_new_tokens, source)
    if generation.max_new_tokens != options.max_new_tokens:
        try:
            _check_room(generation.max_new_tokens, source)
        except UserError as error:
            what = f"its `generation` requests {generation.max_new_tokens} tokens. {error.what}"
            raise broken(recipe, "generation", what, "ask for fewer") from error
    check_tokenize(options.bleu_tokenizer)


def _check_room(max_new_tokens: int, source: ModelSource) -> None:
    """Refuse answers that the model has no positions for; a decoder with an encoder has its own."""
    if not is_seq2seq(source):
        room_beside(max_new_tokens, positions(source.settings))
        return
    both = source.settings.get("max_position_embeddings")
    limit = source.settings.get("max_decoder_position_embeddings", both)
    if limit is not None and max_new_tokens >= limit:
        raise UserError(
            f"Answers of {max_new_tokens} tokens do not fit: the decoder has {limit} positions.",
            code="generation.no-room",
            where="recipe.max_new_tokens",
            fix=f"recipe.max_new_tokens={max(1, limit // 2)}",
        )


def _generation(recipe: TextGeneration[Any]) -> Generation:
    try:
        return generation_of(recipe)
    except UnusableGeneration as error:
        raise UserError(
            f"The generation settings are invalid: {error}.",
            code="generation.unusable-settings",
            where="recipe",
            fix="choose another number",
        ) from error


def _check_candidates(wanted: int, generation: Generation) -> None:
    """Refuse more answers to a row than the way they are chosen gives."""
    where, beams = "recipe.candidates", generation.num_beams
    if wanted < 1:
        raise UserError(
            f"recipe.candidates must be at least 1, not {wanted}.",
            code="config.out-of-range",
            where=where,
            fix="choose more",
        )
    if wanted == 1 or generation.do_sample or beams >= wanted:
        return
    if beams > 1:
        what, fix = f"{wanted} candidates cannot come from {beams} beams.", f"recipe.num_beams={wanted}"
    else:
        what = f"Greedy decoding gives one answer, and {wanted} candidates are wanted."
        fix = "recipe.decoding=sample draws them, recipe.decoding=beam takes the best beams"
    raise UserError(what, code="generation.too-many-candidates", where=where, fix=fix)
