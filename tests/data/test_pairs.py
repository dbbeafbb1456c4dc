from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.user_error import user_error
from tunebook.config.schema import Leaks
from tunebook.data.columns import Column, text_columns
from tunebook.data.load_and_validate import ValidatedData, load_and_validate
from tunebook.data.pairs import example_arguments, example_input, whole_texts
from tunebook.data.rejects import RejectLog
from tunebook.families.text_classification.options import TextData

Row = tuple[str, str, str]


def gate(tmp_path: Path, train: list[Row], test: list[Row] | None = None, **settings: object) -> ValidatedData:
    given: dict[str, object] = {}
    for split, rows in (("train", train), ("test", test)):
        if rows is not None:
            given[split] = str(tmp_path / f"{split}.csv")
            with open(str(given[split]), "w", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerows([("sentence", "aspect", "label"), *rows])
    data = TextData(text="sentence", text_pair="aspect", **given, **settings)  # type: ignore[arg-type]
    columns = [*text_columns(data), Column("label", "label", "data.label", "label")]
    log = RejectLog(tmp_path / "rejects.jsonl", data.max_rejects)
    return load_and_validate(data, columns, samples=None, invalid=None, rejects=log, seed=0)


def opinions(count: int, start: int = 0) -> list[Row]:
    """Each sentence with two aspects that are told apart."""
    return [
        (f"Dish number {i} was served by waiter {i * 7919}.", aspect, label)
        for i in range(start, start + count)
        for aspect, label in (("food", "good"), ("service", "bad"))
    ]


def test_one_sentence_with_two_aspects_is_neither_a_repetition_nor_a_contradiction(tmp_path: Path) -> None:
    checked = gate(tmp_path, opinions(20))
    assert not [note for note in checked.notes if "repeat" in note or "more than one label" in note]
    assert whole_texts(checked.train)[0].split("\n")[1] in ("food", "service")


def test_one_pair_with_two_labels_is_a_contradiction(tmp_path: Path) -> None:
    odd = [("Dish number 3 was served by waiter 23757.", "food", "bad")]
    notes = gate(tmp_path, [*opinions(20), *odd]).notes
    assert [note for note in notes if note.startswith("1 pair with more than one label")]


def test_the_leak_guard_looks_at_the_whole_pair(tmp_path: Path) -> None:
    train, other = opinions(20), opinions(10, start=50)
    sentence = train[0][0]
    gate(tmp_path, train, [*other, (sentence, "price", "good")])  # another aspect of a known sentence
    with user_error("data.shared-rows"):
        gate(tmp_path, train, [*other, (sentence, "food", "good")])
    checked = gate(tmp_path, train, [*other, (sentence, "food", "good")], leaks=Leaks.drop)
    assert (checked.dropped, [leak.kind for leak in checked.leaks]) == (1, ["exact"])


def test_a_row_without_its_second_text_is_rejected(tmp_path: Path) -> None:
    checked = gate(tmp_path, [*opinions(20), ("A sentence about nothing.", " ", "good")], max_rejects=1)
    assert checked.rejected == 1


@pytest.mark.parametrize(
    ("columns", "own", "pipeline", "arguments"),
    [
        ({"text": "t"}, True, "'Arrived", "['Arrived broken, and nobody answers.']"),
        ({"text": "t", "text_pair": "a"}, True, "{'text'", "['Arrived broken, and nobody answers.'], ['service']"),
        ({"text": "t", "text_pair": "a"}, False, "'Arrived", "['Arrived broken, and nobody answers.\\nservice']"),
    ],
)
def test_examples_on_a_card_are_python(columns: dict[str, str], own: bool, pipeline: str, arguments: str) -> None:
    assert repr(eval(example_input(columns, own))).startswith(pipeline)
    found = eval(f"({example_arguments(columns, own)},)")
    assert repr(found).strip("(),").startswith(arguments.split("]")[0])
