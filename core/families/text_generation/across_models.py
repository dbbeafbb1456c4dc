"""What models with different tokenizers can be compared on: bits per byte, and the test rows that all are scored on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tunebook.data.rows import Rows, named_places
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared
from tunebook.families.text_generation.batches_chat import scored_bytes
from tunebook.families.text_generation.contract import evaluation_prompts_of
from tunebook.families.text_generation.options import GenerationScore

Places = list[tuple[str, int]]

BETWEEN_MODELS = {"perplexity": "bits_per_byte"}
"""What is measured between models in place of what goes with the tokenizer."""
WHY = (
    "Models are compared by bits per byte instead of perplexity: perplexity is by token, and means something else with "
    "each tokenizer."
)


def rows_of_all(models: Mapping[str, Prepared[Any]], same_bytes: bool) -> tuple[Rows, list[str]]:
    """The test rows that all models are scored on, and what is left out, in sentences.

    A model is not scored on a row that is too long for it. Of a conversation of which it has a part, or that its
    template writes otherwise (a tool call), its loss is about other bytes than another model's.

    Args:
        models: Label of each -> the rows as it takes them.
        same_bytes: Whether the loss must be about the same bytes of each row too.

    Raises:
        UserError: There are none.
    """
    scored = {label: _bytes_of(prepared) for label, prepared in models.items()}
    every = [place for place in _given(models) if any(place in each for each in scored.values())]
    common = [place for place in every if all(place in each for each in scored.values())]
    alike = [place for place in common if not same_bytes or len({each[place] for each in scored.values()}) == 1]
    told = [
        f"{label} cannot be scored on {named_places(lacking)}"
        for label, each in scored.items()
        if (lacking := [place for place in every if place not in each])
    ]
    if len(alike) < len(common):
        other = named_places([place for place in common if place not in set(alike)])
        told.append(f"the models are scored on other bytes of the answers in {other}")
    if not alike:
        raise UserError(
            f"There is no test row that all models are scored on: {'; '.join(told)}.",
            code="compare.different-rows",
            where="compare.models",
            fix="give shorter test rows, or compare models that take longer ones",
        )
    rows = next(iter(models.values())).encoded.rows["test"]
    wanted = set(alike)
    kept = rows.take(np.flatnonzero([place in wanted for place in rows.places]))
    left_out = len(every) - len(alike)
    are = "is" if left_out == 1 else "are"
    return kept, [f"{left_out:,} of {len(every):,} test rows {are} left out: {'; '.join(told)}."] if left_out else []


def answers_of_all(models: Mapping[str, Prepared[Any]]) -> list[str]:
    """A sentence where models generate other answers of many, as other rows are drawn of other test rows."""
    drawn = [_drawn(prepared) for prepared in models.values()]
    most, common = max(map(len, drawn)), len(set.intersection(*drawn))
    if common == most or all(len(_drawn(prepared, all_of_them=True)) <= most for prepared in models.values()):
        return []
    return [
        f"Of up to {most:,} answers that each model generates, {common:,} are to questions that all models are asked: "
        "evaluation.max_generations=null compares all answers."
    ]


def _drawn(prepared: Prepared[Any], all_of_them: bool = False) -> set[tuple[str, int, int]]:
    """File, line and turn of the answers that are generated for evaluation."""
    wanted = None if all_of_them else node_as(prepared.config.evaluation, GenerationScore).max_generations
    asked = evaluation_prompts_of(prepared.recipe, prepared.encoded.rows["test"], wanted)
    return set(zip(asked.files, asked.lines, asked.turns or [0] * len(asked), strict=True))


def _given(models: Mapping[str, Prepared[Any]]) -> Places:
    """All test rows, before any model looked at them."""
    return next(iter(models.values())).data.test.places


def _bytes_of(prepared: Prepared[Any]) -> dict[tuple[str, int], int]:
    """The rows that a model is scored on, and how many bytes of their answers."""
    rows, items = prepared.encoded.rows["test"], prepared.encoded.splits["test"].items
    said = scored_bytes(items, len(rows))
    return dict(zip(rows.places, said.astype(int).tolist(), strict=True))
