"""What the methods of a recipe that writes must return, looked at where their answers come in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from tunebook.config.schema import TrainConfig
from tunebook.data.rows import Rows
from tunebook.families.text_generation.completion import Completion
from tunebook.families.text_generation.data.message import Message
from tunebook.families.text_generation.metrics.grounding import GROUNDING_MEASURES
from tunebook.families.text_generation.metrics.tool_calls import TOOL_MEASURES
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.prompts import Prompts
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.plugins.answers import are_texts, given
from tunebook.plugins.code import own_code
from tunebook.plugins.contract import broken, family_of, overridden
from tunebook.statistics.sums import RowSums, ratio

Writing = TextGeneration[Any]

PLACE = ("file", "line")
"""Columns that `predict` writes before a recipe's own."""
MODELS = ("tuned", "untuned", "before tuning")
"""What models are called in a report."""
TAKEN = (
    *("perplexity", "bleu", "chrf", "rouge_1", "rouge_2", "rouge_l", "fact_recall", "exact_match", "empty"),
    *("length_ratio", "repetition", "distinct_1", "distinct_2", "unfinished", "bits_per_byte"),
    *TOOL_MEASURES,
    *GROUNDING_MEASURES,
)
"""Measures of all answers."""
CELL = (str, Real, np.bool_)
_CONVERSATION = "a list of tunebook.families.text_generation.data.message.Message, each with its text"


def check_properties(recipe: Writing) -> None:
    """Refuse what a recipe says of its answers, before a row is read or a model loaded.

    Raises:
        BrokenContract: One of its properties is of another kind.
    """
    candidates, columns, by = recipe.candidates, recipe.answer_columns, recipe.cache_salt
    whole = isinstance(candidates, Integral) and not isinstance(candidates, bool)
    given(recipe, "candidates", candidates, whole, "a whole number, at least 1")
    given(recipe, "answer_columns", columns, are_texts(columns) and bool(columns), "a list of names")
    for number, name in enumerate(columns):
        if name in (*PLACE, *columns[:number]):
            what = f"its `answer_columns` name '{name}' twice"
            what += " (every answer has its place)" if name in PLACE else ""
            raise broken(recipe, "answer_columns", what, f"name each once, and leave out {' and '.join(PLACE)}")
    given(recipe, "cache_salt", by, isinstance(by, str), "a text; an empty one where the rows alone count")


def generation_of(recipe: Writing) -> Generation:
    """How a recipe's answers are chosen."""
    made = recipe.generation()
    expected = "a tunebook.families.text_generation.model.generation.Generation"
    found: Generation = given(recipe, "generation", made, isinstance(made, Generation), expected)
    return found


def training_conversations_of(recipe: Writing, rows: Rows) -> Iterator[list[list[Message]]]:
    """The conversations to learn from, of each row."""
    expected = f"for each row a list of conversations, each {_CONVERSATION}"
    for conversations in _one_a_row(recipe, "training_conversations", recipe.training_conversations(rows), len(rows)):
        good = isinstance(conversations, (list, tuple)) and bool(conversations)
        good = good and all(_conversation(each) for each in conversations)
        yield given(recipe, "training_conversations", conversations, good, expected)


def cache_salt(recipe: Writing) -> str:
    """What shapes training conversations besides the rows: what the recipe names, and its own code where it has any."""
    cls = type(recipe)
    return (
        f"{recipe.cache_salt}\n{own_code(cls)}"
        if "training_conversations" in overridden(cls, family_of(cls))
        else recipe.cache_salt
    )


def prompts_of(recipe: Writing, rows: Rows) -> Iterator[list[Message]]:
    """The prompt of each row."""
    for conversation in _one_a_row(recipe, "prompts", recipe.prompts(rows), len(rows)):
        yield given(recipe, "prompts", conversation, _conversation(conversation), f"for each row {_CONVERSATION}")


def evaluation_prompts_of(recipe: Writing, rows: Rows, wanted: int | None) -> Prompts:
    """The prompts of held-out rows."""
    made = recipe.evaluation_prompts(rows, wanted)
    expected = "tunebook.families.text_generation.prompts.Prompts, such as super().evaluation_prompts(rows, wanted)"
    found: Prompts = given(recipe, "evaluation_prompts", made, isinstance(made, Prompts), expected)
    counted = {len(each) for each in (found.references, found.rows, found.files, found.lines, found.groups)}
    if counted != {len(found)}:
        what = f"its `evaluation_prompts` have {len(found)} histories, but other fields of a different length"
        raise broken(recipe, "evaluation_prompts", what, "give each history its references, row, file, line and group")
    good = all(_conversation(history) for history in found.histories)
    if not good or not all(each and are_texts(each) for each in found.references):
        what = "its `evaluation_prompts` have an empty history, or references that are not text"
        raise broken(
            recipe,
            "evaluation_prompts",
            what,
            "give each a conversation that ends with a user turn, and references",
        )
    return found


def ranked_of(
    recipe: Writing, rows: Rows, which: Sequence[int], completions: Sequence[Sequence[Completion]]
) -> list[list[Completion]]:
    """The best of several answers first."""
    made = recipe.ranked(rows, which, completions)
    expected = "the completions of each row, a list of lists"
    found: list[list[Completion]] = given(recipe, "ranked", made, isinstance(made, (list, tuple)), expected)
    if len(found) != len(completions):
        what = f"its `ranked` returned completions of {len(found)} rows instead of {len(completions)}"
        raise broken(recipe, "ranked", what, f"return {expected}")
    for each in found:
        if not (
            isinstance(each, (list, tuple)) and each and all(isinstance(completion, Completion) for completion in each)
        ):
            what = f"its `ranked` returned {repr(each)[:60]} for a row"
            raise broken(recipe, "ranked", what, "return at least one of its completions, the best first")
    return found


def measures_of(
    recipe: Writing, rows: Rows, which: Sequence[int], completions: Sequence[Sequence[Completion]], train: Rows | None
) -> dict[str, RowSums]:
    """What a recipe measures of answers."""
    made = recipe.measures(rows, which, completions, train)
    good = isinstance(made, Mapping) and all(isinstance(each, RowSums) for each in made.values())
    expected = "{name: tunebook.statistics.sums.RowSums}; {} for none"
    found: Mapping[str, RowSums] = given(recipe, "measures", made, good, expected)
    for name, measure in found.items():
        if wrong := _misses(name, measure, len(which)):
            raise broken(recipe, "measures", f"its `measures` returned of '{name}' {wrong[0]}", wrong[1])
    return dict(found)


def _misses(name: str, measure: RowSums, rows: int) -> tuple[str, str] | None:
    """What is wrong with a measure, and what to write instead."""
    if name != measure.name or name in TAKEN:
        return f"one with the name '{measure.name}'", "give it one name, different from the measures of all answers"
    sums: Any = measure.sums
    if not isinstance(sums, np.ndarray) or sums.ndim != 2 or not np.issubdtype(sums.dtype, np.number):
        return f"sums of type {type(sums).__name__}", "give numbers in a numpy array `[answers, columns]`"
    if len(sums) != rows:
        return f"{len(sums)} rows for {rows} answers", "give a row of sums for each of `which`"
    if not np.isfinite(sums).all():
        return "sums that are not finite", "give a row of zeros for an answer that cannot be measured"
    if measure.formula is ratio and sums.shape[1] != 2:
        return f"{sums.shape[1]} columns", "give two for the formula `ratio`: what is divided, and by what"
    if measure.share and not ((sums[:, 0] >= 0) & (sums[:, 0] <= sums[:, 1])).all():
        return "a share outside 0 to 1", "leave share=True out, or divide by the full count"
    if np.shape(measure.formula(np.stack([sums.sum(0)] * 3))) != (3,):
        return (
            "a formula that does not map sums `[..., columns]` to `[...]`",
            "write it for the last axis: sums[..., 0]",
        )
    return None


def baselines_of(recipe: Writing, rows: Rows, which: Sequence[int], train: Rows) -> dict[str, list[str]]:
    """A recipe's answers without a model."""
    made = recipe.baselines(rows, which, train)
    good = isinstance(made, Mapping) and all(are_texts(each) for each in made.values())
    found: Mapping[str, list[str]] = given(recipe, "baselines", made, good, "{name: a list of texts}; {} for none")
    for name, texts in found.items():
        if not isinstance(name, str) or name in MODELS:
            raise broken(recipe, "baselines", f"its `baselines` name one {name!r}", "give it a name that no model has")
        if len(texts) != len(which):
            what = f"its `baselines` returned {len(texts)} texts of '{name}' for {len(which)} questions"
            raise broken(recipe, "baselines", what, "return a text for each of `which`")
    return dict(found)


def answers_of(
    recipe: Writing, rows: Rows, prompts: Sequence[Sequence[Message]], completions: Sequence[Sequence[Completion]]
) -> Iterator[dict[str, str | float]]:
    """What `predict` reports of each row, by column."""
    columns = recipe.answer_columns
    for cells in _one_a_row(recipe, "answers", recipe.answers(rows, prompts, completions), len(rows)):
        good = isinstance(cells, (list, tuple)) and all(isinstance(each, CELL) for each in cells)
        given(recipe, "answers", cells, good, f"for each row a text or number for each of: {', '.join(columns)}")
        if len(cells) != len(columns):
            what = f"its `answers` returned {len(cells)} values of a row for the columns {', '.join(columns)}"
            raise broken(recipe, "answers", what, "return a value for each column of `answer_columns`, in that order")
        plain = (each.item() if isinstance(each, np.generic) else each for each in cells)
        yield dict(zip(columns, plain, strict=True))


def bundle_state_of(recipe: Writing, config: TrainConfig, train: Rows) -> dict[str, Any]:
    """What a bundle keeps for a recipe."""
    made = recipe.bundle_state(config, train)
    expected = "{name: value} of JSON values; {} for nothing"
    found: dict[str, Any] = given(recipe, "bundle_state", made, isinstance(made, Mapping), expected)
    try:
        json.dumps(dict(found), allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:  # among the latter what no file can hold
        raise broken(
            recipe, "bundle_state", f"its `bundle_state` returned non-JSON values: {error}", f"return {expected}"
        ) from error
    return found


def _one_a_row(recipe: Writing, part: str, made: Any, rows: int) -> Iterator[Any]:
    """What a part gives for rows, one by one."""
    given(recipe, part, made, isinstance(made, Iterable) and not isinstance(made, (str, Mapping)), "one for each row")
    number, fix = 0, "give one for each row, in order"
    for number, each in enumerate(made, 1):
        if number > rows:
            raise broken(recipe, part, f"its `{part}` gave more than the {rows} rows", fix)
        yield each
    if number < rows:
        raise broken(recipe, part, f"its `{part}` gave {number} of {rows} rows", fix)


def _conversation(value: Any) -> bool:
    good = isinstance(value, (list, tuple)) and bool(value)
    return good and all(isinstance(each, Message) and isinstance(each.content, str) for each in value)
