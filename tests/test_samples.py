"""The sample rows of all recipes: enough, small, well formed, and none on two sides of a split."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tunebook.config.schema import DataConfig
from tunebook.data.columns import Column
from tunebook.data.load_and_validate import ValidatedData, load_and_validate
from tunebook.data.rejects import RejectLog

RECIPES = Path(__file__).parent.parent / "recipes"
SPLITS = ("train", "validation", "test")
# Characters, as advertisers and posts count them; words for pages.
LIMITS = {"ad_headline": 30, "email_subject": 60, "tweet": 280}


def read(recipe: str) -> dict[str, list[dict[str, Any]]]:
    folder = RECIPES / recipe / "samples"
    found = {}
    for split in SPLITS:
        lines = (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        found[split] = [json.loads(line) for line in lines]
    return found


def varied(recipe: str) -> list[dict[str, Any]]:
    """Rows that were written by hand for the tests, about many things."""
    files = sorted((Path(__file__).parent / "rows" / recipe).glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def everything(recipe: str) -> list[dict[str, Any]]:
    return [row for rows in read(recipe).values() for row in rows]


def through_the_gate(folder: Path, texts: dict[str, list[tuple[str, str]]]) -> ValidatedData:
    """Each split's (text, group) rows through the guard that users' rows go through."""
    paths = {}
    for split, rows in texts.items():
        paths[split] = folder / f"{split}.csv"
        with paths[split].open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("text", "group"), *rows])
    config = DataConfig(**{split: str(path) for split, path in paths.items()}, group="group")
    columns = [Column("text", "text", "data.text", "text"), Column("group", "group", "data.group", "any")]
    rejects = RejectLog(folder / "rejects.jsonl", 0)
    return load_and_validate(config, columns, samples=None, invalid=None, rejects=rejects, seed=0)


def test_all_samples_together_are_small():
    files = [p for p in RECIPES.rglob("samples/*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 3 * 2**20
    for folder in {p.parent for p in files}:
        assert "CC0-1.0" in (folder / "LICENSE.md").read_text(encoding="utf-8")


def test_reviews_are_many_and_of_many_products_and_lengths():
    rows = []
    for split in SPLITS:
        with (RECIPES / "review_sentiment" / "samples" / f"{split}.csv").open(encoding="utf-8", newline="") as stream:
            rows += list(csv.DictReader(stream))
    words = [len(row["text"].split()) for row in rows]
    assert len(rows) >= 600 and len({row["product"] for row in rows}) >= 100
    assert min(words) <= 5 and max(words) >= 100
    assert set(Counter(row["stars"] for row in rows)) == set("12345")


def test_conversations_are_many_and_of_many_topics_and_well_formed():
    rows = everything("customer_chat")
    assert len({row["id"] for row in rows}) == len(rows)
    topics = Counter(row["topic"] for row in rows)
    assert len(topics) >= 15 and max(topics.values()) - min(topics.values()) <= len(SPLITS)
    turns = []
    for row in rows:
        messages = row["messages"]
        assert [m["role"] for m in messages] == ["user", "assistant"] * (len(messages) // 2), row["id"]
        assert all(m["content"].strip() for m in messages), row["id"]
        said = [m["content"] for m in messages if m["role"] == "assistant"]
        assert row["facts"] and all(any(fact in text for text in said) for fact in row["facts"]), row["id"]
        turns.append(len(said))
    assert set(turns) == {1, 2} and 0.2 < turns.count(2) / len(turns) < 0.4


def test_no_conversation_or_customer_is_in_two_splits(tmp_path: Path):
    texts = {
        split: [
            (" ".join(m["content"] for m in row["messages"] if m["role"] != "system"), row["customer"]) for row in rows
        ]
        for split, rows in read("customer_chat").items()
    }
    checked = through_the_gate(tmp_path, texts)
    assert not checked.leaks and checked.kept == checked.read == len(everything("customer_chat"))
    customers = {split: {row["customer"] for row in rows} for split, rows in read("customer_chat").items()}
    assert not any(customers[a] & customers[b] for a, b in [*pairwise(SPLITS), ("train", "test")])


def test_briefs_are_many_and_their_copy_says_all_of_them():
    rows = everything("marketing_copy")
    assert len({(row["name"], *row["features"]) for row in rows}) == len(rows) >= 300
    for row in rows:
        assert 1 <= len(row["copy"]) <= 2
        material, _, _, price = row["features"]
        for copy in row["copy"]:
            assert row["name"] in copy and material in copy.casefold().replace("damascus", "Damascus"), row["id"]
            assert price in row["must_mention"]
            # The number of the size, and nothing that the brief does not say.
            assert set(re.findall(r"\d+", copy)) == set(re.findall(r"\d+", " ".join(row["features"]))), row["id"]


def test_varied_briefs_keep_to_their_constraints():
    rows = varied("marketing_copy")
    assert len(rows) >= 200 and len({row["name"] for row in rows}) == len(rows)
    for row in rows:
        assert 1 <= len(row["copy"]) <= 3
        known = " ".join([row["name"], *row["features"]])
        for copy in row["copy"]:
            assert all(each in copy for each in row["must_mention"]), row["id"]
            words = set(re.findall(r"[\w'-]+", copy.casefold()))
            assert not any(each.casefold() in words for each in row["must_avoid"]), row["id"]
            assert len(copy) <= LIMITS.get(row["channel"], 10_000), row["id"]
            for number in re.findall(r"\d[\d.,]*", copy):
                assert number.rstrip(".,") in known, (row["id"], number)


def test_no_brief_is_in_two_splits(tmp_path: Path):
    texts = {
        split: [(" ".join([row["name"], *row["features"], *row["copy"]]), row["id"]) for row in rows]
        for split, rows in read("marketing_copy").items()
    }
    checked = through_the_gate(tmp_path, texts)
    assert not checked.leaks and checked.kept == checked.read


@pytest.mark.parametrize("recipe", ["customer_chat", "marketing_copy"])
def test_every_split_is_large_enough_to_say_something(recipe: str):
    sizes = {split: len(rows) for split, rows in read(recipe).items()}
    assert sizes["train"] >= 100 and sizes["validation"] >= 15 and sizes["test"] >= 40


def test_reviews_with_aspects_mention_them_in_all_ways():
    rows = []
    for split in SPLITS:
        with (RECIPES / "review_aspects" / "samples" / f"{split}.csv").open(encoding="utf-8", newline="") as stream:
            rows += list(csv.DictReader(stream))
    words = [len(row["text"].split()) for row in rows]
    assert len(rows) >= 300 and len({row["product"] for row in rows}) >= 30 and min(words) <= 8 and max(words) >= 35
    for aspect in ("delivery", "quality", "price"):
        counts = Counter(row[aspect] for row in rows)
        assert set(counts) == {"none", "negative", "neutral", "positive"} and min(counts.values()) >= 40
    mixtures = {(row["delivery"], row["quality"], row["price"]) for row in rows}
    assert len(mixtures) >= 55, "of 64"
