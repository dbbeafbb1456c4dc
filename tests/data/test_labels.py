from __future__ import annotations

import pytest

from tests.user_error import user_error
from tunebook.data.labels import Labels, absence_notes, comma_notes, find_labels, same_number, sort_labels
from tunebook.errors import UserError


def test_numbers_are_ordered_by_value_and_words_by_alphabet() -> None:
    assert sort_labels(["10", "9", "-1", "2.5"]) == ("-1", "2.5", "9", "10")
    assert sort_labels(["neutral", "good", "10"]) == ("10", "good", "neutral")


def test_order_does_not_depend_on_the_rows() -> None:
    one = find_labels({"train": {"b": 2, "a": 3}}, None)
    other = find_labels({"train": {"a": 3, "b": 2}}, None)
    assert one == other == ("a", "b")


def test_wanted_labels_keep_their_order() -> None:
    assert find_labels({"train": {"good": 2, "bad": 3}}, ["good", "bad"]) == ("good", "bad")


def test_labels_know_their_number_and_whether_they_are_ordered() -> None:
    stars = Labels(("1", "2", "3"), {"train": {"1": 1}})
    assert stars.index("3") == 2
    assert stars.is_ordered_numeric
    assert not Labels(("3", "1", "2"), {}).is_ordered_numeric
    assert not Labels(("bad", "good"), {}).is_ordered_numeric
    with pytest.raises(KeyError):
        stars.index("4")


@pytest.mark.parametrize(
    "pair",
    [("Good", "good"), ("good", "good "), ("4", "4.0"), ("4", "4,0"), ("4.5", "4,50"), ("very good", "very  good")],
)
def test_labels_that_differ_by_spelling_alone_are_refused_with_their_counts(pair: tuple[str, str]) -> None:
    with user_error("data.confusable-labels", where="data.label") as caught:
        find_labels({"train": {pair[0]: 7, "other": 2}, "test": {pair[1]: 3}}, None)
    assert f"{pair[0]!r} (7 rows)" in str(caught.value) and f"{pair[1]!r} (3 rows)" in str(caught.value)


def test_labels_with_a_decimal_comma_are_said_to_be_names() -> None:
    (note,) = comma_notes(Labels(("1,0", "2,5"), {}))
    assert note.startswith("the labels look like numbers with a decimal comma ('1,0', '2,5') and are taken as names")
    for names in (("1", "2"), ("1,0", "good"), ("1,000", "2,000"), ("a,1", "b,2"), ()):
        assert comma_notes(Labels(names, {})) == []
    assert find_labels({"train": {"1,000": 5, "1": 5}}, None) == ("1", "1,000")


@pytest.mark.parametrize(
    ("value", "names", "same"),
    [
        ("3.0", ["1", "3"], "3"),
        ("3", ["3.0", "1.0"], "3.0"),
        ("3.0", ["3", "3.0"], None),
        ("3.0", ["3", "03"], None),
        ("3.5", ["3", "4"], None),
        ("good", ["3"], None),
        ("nan", ["inf"], None),
    ],
)
def test_the_same_number_is_found(value: str, names: list[str], same: str | None) -> None:
    assert same_number(value, names) == same


@pytest.mark.parametrize(
    ("counts", "wanted", "message"),
    [
        ({"train": {"a": 9}}, None, "one class only: every row is 'a'"),
        ({"train": {"a": 1, "b": 1}}, ["a", "b", "c"], r"fewer training rows \(2\) than classes \(3\)"),
        ({"train": {"a": 5, "b": 1}}, ["a", "b", "c"], "no training row has the label 'c'"),
        ({"train": {"a": 5, "b": 1}}, ["a", "b", "a"], "names a label twice"),
        ({"train": {"good": 5, "bad": 5}, "test": {"goood": 1}}, None, r"'goood'(.|\n)*is it 'good'\?"),
    ],
)
def test_label_sets_nobody_means_are_refused(counts: dict, wanted: list[str] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        find_labels(counts, wanted)


def test_a_single_row_of_a_class_cannot_be_split() -> None:
    counts = {"train": {"positive": 5, "negative": 5, "positve": 1}}
    assert len(find_labels(counts, None)) == 3
    with user_error(
        "data.rare-label", where="data.train", match=r"only one row has the label 'positve'(.|\n)*misspelt 'positive'"
    ):
        find_labels(counts, None, will_split=True)


def test_a_column_of_unique_values_is_not_taken_for_labels() -> None:
    with user_error("data.unique-labels", where="data.label", match="every row has a different label"):
        find_labels({"train": {"x1": 1, "x2": 1, "x3": 1}}, None, will_split=True)


def test_labels_absent_from_a_split_are_noted() -> None:
    counts = {"train": {"a": 3, "b": 3}, "validation": {"a": 1, "b": 1}, "test": {"a": 1}}
    assert absence_notes(Labels(("a", "b"), counts)) == ["no test row has the label 'b': the scores do not cover it"]
