"""What is particular to the topics of reviews: the columns that it reads by itself, and the rows that ship."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Tunebook
from tests.light import said_lightly
from tests.topical import SAMPLES, TOPICS, listed_samples, rows_of
from tunebook.data.load_and_validate import SAMPLES as SAMPLE_ROWS
from tunebook.data.load_and_validate import load_and_validate
from tunebook.data.rejects import RejectLog
from tunebook.families.text_labels.options import TextLabelsData
from tunebook.plugins import load_recipe_class
from tunebook.plugins.options import typed_recipe_options

SPLITS = ("train", "validation", "test")


def recipe() -> Any:
    """The recipe as the command line makes it: found by its entry point, with typed options."""
    found = load_recipe_class("review_topics")
    return found(typed_recipe_options({"name": "review_topics"}, found.Config, "review_topics"))


def test_the_sample_rows_pass_the_gate_whole(tmp_path: Path) -> None:
    made, data, rejects = recipe(), TextLabelsData(), RejectLog(tmp_path / "rejects.jsonl", 0)
    found = load_and_validate(
        data, made.columns(data), samples=made.samples(Path()), invalid=made.invalid, rejects=rejects, seed=0
    )
    assert (found.source, found.rejected, found.dropped, found.leaks) == (SAMPLE_ROWS, 0, 0, ())
    assert found.labels is not None and found.labels.names == TOPICS
    assert all(count >= 15 for split in found.labels.counts.values() for count in split.values())


def test_the_samples_have_every_kind_of_row() -> None:
    rows = {split: rows_of(SAMPLES / f"{split}.csv") for split in SPLITS}
    assert sum(map(len, rows.values())) >= 300
    for split in rows.values():
        flags = np.array([[int(row[topic]) for topic in TOPICS] for row in split])
        assert 0.1 <= (flags.sum(axis=1) == 0).mean() <= 0.2
        assert (flags.sum(axis=1) >= 2).mean() >= 0.3
        for first, second in combinations(range(len(TOPICS)), 2):
            assert (flags[:, first] & flags[:, second]).any(), "every two topics occur together"


def test_no_sentence_of_the_samples_is_in_two_splits() -> None:
    def sentences(split: str) -> set[str]:
        marked = " ".join(row["text"] for row in rows_of(SAMPLES / f"{split}.csv")).replace("!", ".").replace("?", ".")
        return {part.strip() for part in marked.split(". ") if len(part.split()) > 3}

    for one, other in combinations(SPLITS, 2):
        assert not sentences(one) & sentences(other)


def test_columns_or_a_list_are_checked_alike(tmp_path: Path, tunebook: Tunebook) -> None:
    listed = listed_samples("train", tmp_path / "listed.csv")
    quick = ["trainer.rehearse=false", "trainer.progress=false"]
    flags = tunebook("check", "recipe=review_topics", f"data.train={SAMPLES / 'train.csv'}", *quick)
    lists = tunebook("check", "recipe=review_topics", f"data.train={listed}", "data.label=topics", *quick)
    for done in (flags, lists):
        assert done.returncode == 0 and "ready to train" in done.stdout, done.stderr

    def counts(said: str) -> set[str]:
        return {
            " ".join(line.split()[:1]) for line in said.splitlines() if line.split()[:1] and line.split()[0] in TOPICS
        }

    assert counts(flags.stdout) == counts(lists.stdout) == set(TOPICS)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["recipe.topics=[delivery]"], "'delivery' is the only label: several are wanted"),
        (["recipe.topics=[delivery,price]", "data.label=topics"], "data.label is one column that lists labels"),
        (["data.separator=;"], "data.separator is about the labels that data.label lists"),
        (["recipe.topics=[delivery,colour]"], "has no column 'colour'"),
        (["recipe.topics=[delivery,delivery]"], "topic is named twice"),
        (["adapt=none"], "An untrained model cannot decide which labels a text has."),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, tunebook: Tunebook, given: list[str], said: str
) -> None:
    done = tunebook("train", "recipe=review_topics", *given, f"run_dir={tmp_path / 'run'}")
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert not (tmp_path / "run").exists()


def test_a_conflict_is_told_before_torch_loads(tmp_path: Path) -> None:
    rows = f"data.train={SAMPLES / 'train.csv'}"
    said = said_lightly(tmp_path, "train", "recipe=review_topics", rows, "recipe.topics=[a,b]", "data.label=topics")
    assert "both are given" in said
