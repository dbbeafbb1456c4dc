"""What is particular to sentiment: the order of labels, stars, descriptions, and the rows that ship."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tests.user_error import user_error
from tunebook.data.labels import Labels
from tunebook.data.load_and_validate import SAMPLES, ValidatedData, load_and_validate
from tunebook.data.rejects import RejectLog
from tunebook.families.text_classification.options import TextData
from tunebook.families.text_classification.wording import descriptions
from tunebook.plugins import load_recipe_class
from tunebook.plugins.options import typed_recipe_options

STARS = ("1", "2", "3", "4", "5")


def recipe(head: str = "softmax", descriptions: dict[str, str] | None = None) -> Any:
    """The recipe as the command line makes it: found by its entry point, with typed options."""
    found = load_recipe_class("review_sentiment")
    options = {"name": "review_sentiment", "head": head, "descriptions": descriptions}
    return found(typed_recipe_options(options, found.Config, "review_sentiment"))


def labels(*names: str) -> Labels:
    return Labels(names, {})


def gate(tmp_path: Path, data: TextData) -> ValidatedData:
    made = recipe()
    rejects = RejectLog(tmp_path / "rejects.jsonl", 0)
    samples = made.samples(Path())
    return load_and_validate(data, made.columns(data), samples=samples, invalid=made.invalid, rejects=rejects, seed=0)


def test_the_sample_rows_pass_the_gate_whole(tmp_path: Path) -> None:
    checked = gate(tmp_path, TextData(label="stars"))
    assert checked.source == SAMPLES
    assert (checked.rejected, checked.dropped, checked.leaks) == (0, 0, ())
    assert checked.kept == checked.read
    assert checked.labels is not None
    assert checked.labels.names == STARS
    assert all(count > 10 for split in checked.labels.counts.values() for count in split.values())
    assert not (tmp_path / "rejects.jsonl").exists()


def test_stars_are_ordered_by_value_and_words_by_the_alphabet(tmp_path: Path) -> None:
    def names(found: Sequence[str]) -> tuple[str, ...]:
        path = tmp_path / "rows.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = [(f"review {i} of thing {i * 7919}", found[i % len(found)]) for i in range(60)]
            csv.writer(file).writerows([("text", "label"), *rows])
        checked = gate(tmp_path, TextData(train=str(path)))
        assert checked.labels is not None
        return checked.labels.names

    assert names(["10", "9", "2"]) == ("2", "9", "10")
    assert names(["positive", "negative"]) == ("negative", "positive")


def test_an_ordinal_head_refuses_words_without_an_order() -> None:
    with user_error("data.unordered-labels", where="recipe.head=ordinal") as caught:
        recipe("ordinal").check_labels(labels("bad", "fair", "good"), TextData())
    assert "needs ordered labels, and these are words: bad, fair, good" in caught.value.what
    assert "data.labels=[bad,fair,good]" in str(caught.value.fix)


def test_an_ordinal_head_takes_numbers_and_words_in_a_given_order() -> None:
    recipe("ordinal").check_labels(labels(*STARS), TextData())
    recipe("ordinal").check_labels(labels("bad", "good"), TextData(labels=["bad", "good"]))
    recipe("softmax").check_labels(labels("bad", "good"), TextData())


def test_the_ordinal_head_has_one_output_a_step() -> None:
    assert recipe("ordinal").head(STARS).outputs == 4
    assert recipe("softmax").head(STARS).outputs == 5


def test_the_ordinal_head_answers_with_the_median_label() -> None:
    head = recipe("ordinal").head(STARS)
    # P(>1) = .9, then given that .8, .6, .5: P(>k) = .9, .72, .432, .216, so two steps are exceeded.
    given = torch.tensor([[0.9, 0.8, 0.6, 0.5]], dtype=torch.float64)
    probabilities = head.probabilities(torch.logit(given))
    torch.testing.assert_close(probabilities, torch.tensor([[0.1, 0.18, 0.288, 0.216, 0.216]]))
    assert head.decide(probabilities).tolist() == [2]


def test_stars_are_measured_by_how_far_off_and_words_are_not() -> None:
    assert set(recipe().metrics(STARS)) == {"accuracy", "macro_f1", "mean_absolute_error", "quadratic_kappa"}
    assert set(recipe().metrics(("negative", "positive"))) == {"accuracy", "macro_f1"}
    assert set(recipe().metrics(("0", "1"))) == {"accuracy", "macro_f1"}
    assert "mean_absolute_error" in recipe("ordinal").metrics(("bad", "fair", "good"))
    assert recipe().watch in recipe().metrics(STARS)


def test_descriptions_follow_the_stars_whatever_their_number() -> None:
    five = descriptions(recipe(), STARS)
    assert "terrible" in five[0] and "excellent" in five[4] and len(set(five)) == 5
    assert descriptions(recipe(), ("0", "1", "2")) == [five[0], five[2], five[4]]
    assert descriptions(recipe(), ("Negative", "Positive")) == [five[0], five[4]]
    assert descriptions(recipe(), ("sarcastic", "sincere"))[0] == "This review is sarcastic."


def test_own_descriptions_come_in_the_order_of_the_labels() -> None:
    own = {"1": "I recommend it.", "0": "Never again."}
    assert descriptions(recipe(descriptions=own), ("0", "1")) == ["Never again.", "I recommend it."]


def test_own_descriptions_must_fit_the_labels() -> None:
    with user_error("data.descriptions-mismatch", where="recipe.descriptions", match="missing: 1"):
        descriptions(recipe(descriptions={"0": "Never again."}), ("0", "1"))
    with user_error("data.descriptions-mismatch", match="no such label: 2"):
        descriptions(recipe(descriptions={"0": "No.", "1": "Yes.", "2": "Maybe."}), ("0", "1"))
