from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.user_error import user_error
from tunebook.data.batch import IGNORE_INDEX
from tunebook.data.columns import Column
from tunebook.families.text_aspects.columns import numbers_of, output_names, unknown_facts, value_facts
from tunebook.families.text_aspects.options import AspectData, TextAspectsConfig
from tunebook.families.text_aspects.recipe import TextAspects


def columns(aspects: Sequence[str], values: Sequence[str] = ("none", "bad", "good"), **data: object) -> list[Column]:
    normalize = bool(data.pop("normalize", False))
    options = TextAspectsConfig("mine", list(aspects), list(values), normalize)
    return list(TextAspects(options).columns(AspectData(**data)))  # type: ignore[arg-type]


def test_each_aspect_is_a_column_that_may_have_gaps() -> None:
    text, group, price, service = columns(["price", "service"], group="customer")
    assert (text.role, group.role) == ("text", "group")
    assert [(c.role, c.name, c.kind, c.gaps) for c in (price, service)] == [
        ("aspect 0", "price", "category", True),
        ("aspect 1", "service", "category", True),
    ]
    assert service.chosen("staff") == "recipe.aspects=[price,staff]"
    options = TextAspectsConfig("mine", ["price", "service"], ["none", "bad"])
    assert output_names(options) == ["price: none", "price: bad", "service: none", "service: bad"]


@pytest.mark.parametrize(
    ("aspects", "more", "code", "where"),
    [
        ([], {}, "config.missing-value", "recipe.aspects"),
        (["price", " "], {}, "config.missing-value", "recipe.aspects"),
        ([["price"]], {}, "config.wrong-type", "recipe.aspects"),
        (["price"], {"values": ["none", ["good"]]}, "config.wrong-type", "recipe.values"),
        (["price", "price"], {}, "config.duplicate", "recipe.aspects"),
        (["price", "text"], {}, "config.conflict", "recipe.aspects"),
        (["price", "review"], {"text": "review"}, "config.conflict", "recipe.aspects"),
        (["price", "shop"], {"group": "shop"}, "config.conflict", "recipe.aspects"),
        (["price", "shop"], {"text_with": ["shop"]}, "config.conflict", "recipe.aspects"),
        (["price"], {"values": ["none"]}, "config.missing-value", "recipe.values"),
        (["price"], {"values": ["none", ""]}, "config.missing-value", "recipe.values"),
        (["price"], {"values": ["none", "good", "none"]}, "config.duplicate", "recipe.values"),
        (["price"], {"values": ["none", "good", "Good "], "normalize": True}, "config.duplicate", "recipe.values"),
        (["a", "a: b"], {"values": ["c", "b: c"]}, "config.duplicate", "recipe.values"),
    ],
)
def test_options_that_cannot_be_are_refused(aspects: list[str], more: dict[str, object], code: str, where: str) -> None:
    with user_error(code, where=where):
        columns(aspects, **more)  # type: ignore[arg-type]


def test_values_that_differ_by_case_are_two_unless_it_is_ignored() -> None:
    assert columns(["price"], ["none", "good", "Good"])[-1].categories is not None


def test_a_row_needs_a_value_of_some_aspect() -> None:
    recipe = TextAspects(TextAspectsConfig("mine", ["price"]))
    assert recipe.invalid({"text": "fine", "group": "a"}) == "has no value of any aspect"
    assert recipe.invalid({"text": "fine", "aspect 0": "none"}) is None


def test_values_become_numbers_and_are_counted() -> None:
    options = TextAspectsConfig("mine", ["price", "service"], ["none", "bad", "good"])
    targets = numbers_of([["good", "", "none"], ["bad", "bad", "none"]], options.values)
    assert targets.tolist() == [[2, 1], [IGNORE_INDEX, 1], [0, 0]]
    assert value_facts(targets, options) == {
        "price of train rows": "1 none, 0 bad, 1 good",
        "service of train rows": "1 none, 2 bad, 0 good",
    }
    assert unknown_facts({"train": targets, "test": targets[2:]}, options.aspects) == {
        "rows without a value of price": "1 train, 0 test (not learned from, not scored)"
    }
    assert numbers_of([[], []], options.values).shape == (0, 2)
    with pytest.raises(KeyError):
        numbers_of([["grand"]], options.values)
    assert np.issubdtype(targets.dtype, np.int64)
