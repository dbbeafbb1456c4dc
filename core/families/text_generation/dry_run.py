"""What a recipe that writes does once its model is trained, tried on a few rows before anything is lost."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

from tunebook.config.schema import TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.data.rows import Rows
from tunebook.families.text_generation.completion import Completion
from tunebook.families.text_generation.contract import (
    answers_of,
    baselines_of,
    bundle_state_of,
    evaluation_prompts_of,
    measures_of,
    ranked_of,
)
from tunebook.families.text_generation.recipe import TextGeneration

HELD_OUT, TRAIN = 4, 64
"""Rows of the dry run."""


def dry_run(recipe: TextGeneration[Any], encoded: Encoded, config: TrainConfig) -> None:
    """Let the recipe judge a few good answers as if a model had written them.

    Raises:
        BrokenContract: One of its methods returned something else than it must.
    """
    with suppress(Exception):  # what it learns of these few rows is not to stay; not all that it holds can be copied
        recipe = copy.deepcopy(recipe)
    train, rows = _first(encoded.rows["train"], TRAIN), _first(encoded.rows["test"], HELD_OUT)
    bundle_state_of(recipe, config, train)
    prompts = evaluation_prompts_of(recipe, rows, None)
    which = prompts.rows.tolist()
    completions = [[Completion(good[0], 0.0)] * recipe.candidates for good in prompts.references]
    ranked = ranked_of(recipe, rows, which, completions)
    measures_of(recipe, rows, which, ranked, train)
    baselines_of(recipe, rows, which, train)
    each = rows.take(which)
    for _ in answers_of(recipe, each, prompts.histories, ranked):
        pass


def _first(rows: Rows, wanted: int) -> Rows:
    return rows if len(rows) <= wanted else rows.take(range(wanted))
