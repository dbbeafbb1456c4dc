"""What the methods of a recipe that writes must return, looked at where their answers come in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any

from tunebook.plugins.answers import given
from tunebook.plugins.contract import broken

if TYPE_CHECKING:
    from tunebook.config import TrainConfig
    from tunebook.data.conversations.message import Message
    from tunebook.data.rows import Rows
    from tunebook.evaluation.generation.sums import RowSums
    from tunebook.models.generate import Generation
    from tunebook.tasks.exchanges import Exchanges
    from tunebook.tasks.text_generation import TextGeneration
    from tunebook.tasks.writer import Draft

    Writing = TextGeneration[Any]

_CONVERSATION = "a list of tunebook.data.conversations.message.Message"


def check_properties(recipe: Writing) -> None:
    """Refuse what a recipe says of its answers, before a row is read or a model loaded.

    Raises:
        BrokenContract: One of its properties is of another kind.
    """
    candidates, columns, by = recipe.candidates, recipe.answer_columns, recipe.learnt_by
    given(recipe, "candidates", candidates, isinstance(candidates, int), "a whole number, at least 1")
    given(recipe, "answer_columns", columns, _texts(columns) and bool(columns), "a list of names")
    given(recipe, "learnt_by", by, isinstance(by, str), "a text; an empty one where the rows alone count")


def generation_of(recipe: Writing) -> Generation:
    """How a recipe's answers are chosen."""
    from tunebook.models.generate import Generation

    made = recipe.generation()
    asked = "a tunebook.models.generate.Generation"
    found: Generation = given(recipe, "generation", made, isinstance(made, Generation), asked)
    return found


def learnt_of(recipe: Writing, rows: Rows) -> Iterator[list[list[Message]]]:
    """The conversations to learn from, of each row."""
    asked = f"for each row a list of conversations, each {_CONVERSATION}"
    for conversations in _one_a_row(recipe, "learnt", recipe.learnt(rows), len(rows)):
        good = isinstance(conversations, (list, tuple)) and all(_conversation(each) for each in conversations)
        yield given(recipe, "learnt", conversations, good, asked)


def asked_of(recipe: Writing, rows: Rows) -> Iterator[list[Message]]:
    """What a model is asked for each row."""
    for conversation in _one_a_row(recipe, "asked", recipe.asked(rows), len(rows)):
        yield given(recipe, "asked", conversation, _conversation(conversation), f"for each row {_CONVERSATION}")


def exchanges_of(recipe: Writing, rows: Rows, wanted: int | None) -> Exchanges:
    """What a model is asked on held-out rows."""
    from tunebook.tasks.exchanges import Exchanges

    made = recipe.exchanges(rows, wanted)
    asked = "tunebook.tasks.exchanges.Exchanges, such as super().exchanges(rows, wanted)"
    found: Exchanges = given(recipe, "exchanges", made, isinstance(made, Exchanges), asked)
    return found


def ranked_of(
    recipe: Writing, rows: Rows, which: Sequence[int], drafts: Sequence[Sequence[Draft]]
) -> list[list[Draft]]:
    """The best of several answers first."""
    from tunebook.tasks.writer import Draft

    made = recipe.ranked(rows, which, drafts)
    good = isinstance(made, (list, tuple)) and len(made) == len(drafts)
    good = good and all(
        isinstance(each, (list, tuple)) and each and all(isinstance(draft, Draft) for draft in each) for each in made
    )
    found: list[list[Draft]] = given(recipe, "ranked", made, good, "the drafts of each row, a list of lists")
    return found


def measures_of(
    recipe: Writing, rows: Rows, which: Sequence[int], drafts: Sequence[Sequence[Draft]], train: Rows | None
) -> dict[str, RowSums]:
    """What a recipe measures of answers."""
    from tunebook.evaluation.generation.sums import RowSums

    made = recipe.measures(rows, which, drafts, train)
    good = isinstance(made, dict) and all(isinstance(each, RowSums) for each in made.values())
    asked = "{name: tunebook.evaluation.generation.sums.RowSums}; {} for none"
    found: dict[str, RowSums] = given(recipe, "measures", made, good, asked)
    for name, measure in found.items():
        if len(measure.sums) != len(which):
            what = f"its `measures` returned {len(measure.sums)} rows of '{name}' for {len(which)} answers"
            raise broken(recipe, "measures", what, "return a row of sums for each of `which`")
    return found


def baselines_of(recipe: Writing, rows: Rows, which: Sequence[int], train: Rows) -> dict[str, list[str]]:
    """A recipe's answers without a model."""
    made = recipe.baselines(rows, which, train)
    good = isinstance(made, dict) and all(_texts(each) for each in made.values())
    found: dict[str, list[str]] = given(recipe, "baselines", made, good, "{name: a list of texts}; {} for none")
    for name, texts in found.items():
        if len(texts) != len(which):
            what = f"its `baselines` returned {len(texts)} texts of '{name}' for {len(which)} questions"
            raise broken(recipe, "baselines", what, "return a text for each of `which`")
    return found


def answers_of(
    recipe: Writing, rows: Rows, asked: Sequence[Sequence[Message]], drafts: Sequence[Sequence[Draft]]
) -> Iterator[dict[str, str | float]]:
    """What `predict` tells of each row, by column."""
    columns = recipe.answer_columns
    for told in _one_a_row(recipe, "answers", recipe.answers(rows, asked, drafts), len(rows)):
        good = isinstance(told, (list, tuple)) and all(isinstance(value, (str, Number)) for value in told)
        given(recipe, "answers", told, good, f"for each row a text or number for each of: {', '.join(columns)}")
        if len(told) != len(columns):
            what = f"its `answers` returned {len(told)} values of a row for the columns {', '.join(columns)}"
            raise broken(recipe, "answers", what, "return a value for each column of `answer_columns`, in that order")
        yield dict(zip(columns, told, strict=True))


def kept_of(recipe: Writing, config: TrainConfig, train: Rows) -> dict[str, Any]:
    """What a bundle keeps for a recipe."""
    made = recipe.kept(config, train)
    asked = "{name: value} of plain values, such as JSON has them; {} for nothing"
    found: dict[str, Any] = given(recipe, "kept", made, isinstance(made, Mapping), asked)
    try:
        json.dumps(dict(found), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise broken(recipe, "kept", f"its `kept` returned what JSON has not: {error}", f"return {asked}") from error
    return found


def _one_a_row(recipe: Writing, part: str, made: Any, rows: int) -> Iterator[Any]:
    """What a part gives for rows, one by one."""
    given(recipe, part, made, isinstance(made, Iterable) and not isinstance(made, (str, Mapping)), "one for each row")
    number, mend = 0, "give one for each row, in order"
    for number, each in enumerate(made, 1):
        if number > rows:
            raise broken(recipe, part, f"its `{part}` gave more than the {rows} rows", mend)
        yield each
    if number < rows:
        raise broken(recipe, part, f"its `{part}` gave {number} of {rows} rows", mend)


def _conversation(value: Any) -> bool:
    from tunebook.data.conversations.message import Message

    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(each, Message) for each in value)


def _texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)
