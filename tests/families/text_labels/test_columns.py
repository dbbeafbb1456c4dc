"""Where the labels are: both ways, none, or such that answers could not be told apart, are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.user_error import user_error
from tunebook import LabelsHead
from tunebook.families.text_labels.columns import check_names, in_words, listing, training_columns
from tunebook.families.text_labels.options import TextLabelsData


@pytest.mark.parametrize(
    ("topics", "data", "code", "where", "said"),
    [
        (["a", "b"], {"label": "c"}, "config.conflict", "recipe.topics, data.label", "both are given"),
        (["a", "b"], {"separator": ";"}, "config.conflict", "data.separator", "there is no data.label"),
        (["a", "b"], {"labels": ["a"]}, "config.conflict", "data.labels", "there is no data.label"),
        (None, {}, "config.missing-value", "recipe.topics, data.label", "nothing says where the labels are"),
        ([], {}, "config.missing-value", "recipe.topics", "nothing says where the labels are"),
        (["a"], {}, "data.single-class", "recipe.topics", "'a' is the only label"),
        (["a", "b"], {"text": "b"}, "config.conflict", "recipe.topics", "'b' is a label, and is read with the text"),
        (["a", "b"], {"text_with": ["a"]}, "config.conflict", "recipe.topics", "'a' is a label, and is read"),
        (None, {"label": "c", "separator": ""}, "config.out-of-range", "data.separator", "is empty"),
    ],
)
def test_what_does_not_say_where_the_labels_are_is_refused(
    topics: list[str] | None, data: dict[str, Any], code: str, where: str, said: str
) -> None:
    with user_error(code, where=where, match=said):
        training_columns(topics, (), TextLabelsData(**data))


def test_the_recipes_own_columns_give_way_to_the_users() -> None:
    own = ("x", "y")
    assert [each.name for each in training_columns(None, own, TextLabelsData())] == ["x", "y"]
    assert [each.name for each in training_columns(["b", "a"], own, TextLabelsData())] == ["b", "a"]
    (only,) = training_columns(None, own, TextLabelsData(label="c", separator="|"))
    assert (only.name, only.kind, only.separator, only.gaps) == ("c", "labels", "|", True)
    assert listing("c", None).separator == ";"


@pytest.mark.parametrize(("name", "said"), [("None", "an answer without any label"), ("a; b", "holds a semicolon")])
def test_labels_that_answers_could_not_be_told_apart_by_are_refused(name: str, said: str) -> None:
    check_names(["nonetheless", "a, b"], "data.label")
    with user_error("data.reserved-label", where="data.label", match=said):
        check_names(["a", name], "data.label")


def test_an_answer_names_its_labels_or_says_that_there_is_none() -> None:
    assert in_words(np.array([1, 0, 1]), ["b", "a", "c"]) == "b; c"
    assert in_words(np.zeros(3, dtype=np.int64), ["b", "a", "c"]) == "none"


def test_the_head_gives_each_label_from_its_own_threshold_on() -> None:
    head, probabilities = LabelsHead(3), torch.tensor([[0.5, 0.4, 0.9], [0.2, 0.6, 0.1]])
    assert head.decide(probabilities).tolist() == [[1, 0, 1], [0, 1, 0]]
    chosen = head.at([0.2, 0.4, 0.95])
    assert chosen.decide(probabilities.double()).tolist() == [[1, 1, 0], [1, 1, 0]]
    assert head.decide(probabilities).tolist() == [[1, 0, 1], [0, 1, 0]], "the first is as it was"


def test_the_loss_is_the_mean_over_labels() -> None:
    # Logits 0 are ln 2 each; a right one of ln 3 is ln(4/3), a wrong one ln 4.
    three = float(np.log(3))
    logits, target = torch.tensor([[0.0, 0.0], [three, three]]), torch.tensor([[1, 0], [1, 0]])
    wanted = [np.log(2), (np.log(4 / 3) + np.log(4)) / 2]
    assert LabelsHead(2).loss(logits, target).tolist() == pytest.approx(wanted)
