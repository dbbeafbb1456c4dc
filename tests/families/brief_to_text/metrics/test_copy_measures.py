from __future__ import annotations

import csv
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sacrebleu import corpus_bleu, sentence_bleu

from tunebook.families.brief_to_text.metrics.baseline import fill_template
from tunebook.families.brief_to_text.metrics.candidates import rank
from tunebook.families.brief_to_text.metrics.check import CopyCheck, check
from tunebook.families.brief_to_text.metrics.constraints import Constraints
from tunebook.families.brief_to_text.metrics.measures import brief_measures, field_coverage
from tunebook.families.brief_to_text.metrics.variety import candidate_distinct, self_bleu
from tunebook.families.brief_to_text.metrics.verbatim import TrainingCopies
from tunebook.families.text_generation.metrics.nearest import NearestCopy
from tunebook.statistics.intervals import wilson
from tunebook.statistics.sums import score

ASKED = Constraints(("24 hours",), ("cheap",), max_words=5)
BRIEF = "Pip lantern, 24 hours, £9"


def checked(*copies: str) -> list[CopyCheck]:
    return [check(copy, BRIEF, ASKED) for copy in copies]


def test_candidates_are_ranked_by_constraints_then_inventions_then_score():
    copies = [
        "cheap, 24 hours",
        "24 hours, £8",
        "24 hours!",
        "24 Hours",
        "lit 24 hours",
        "",
        "nothing cheap",
        "of 24 hours",
    ]
    checks = checked(*copies)
    assert [each.broken for each in checks] == [1, 0, 0, 0, 0, 2, 2, 0]
    # 3 has the words of 2, which is likelier; 7 and 4 are equal; 1 invents; 5 says nothing
    assert rank(copies, checks, [0, 0, -2, -3, -1, 5, 9, -1]) == [4, 7, 2, 1, 0, 6, 3, 5]
    assert rank(copies[2:4], checks[2:4], [float("nan"), -9]) == [1, 0] and rank([], [], []) == []
    with pytest.raises(ValueError, match="a check and a score"):
        rank(copies, checks, [0.0])


def test_shares_by_hand():
    checks = checked("24 hours", "£8 a day", "cheap £8 by Duracell", "lit 24 hours with no end")
    checks.append(check("明るい", "", Constraints()))
    values = {name: measure.value() for name, measure in brief_measures(checks).items()}
    assert values == {
        "must_mention_recall": 2 / 4,
        "within_limits": 3 / 4,
        "forbidden_share": 1 / 4,
        "invented_numbers_share": 2 / 5,
        "invented_names_share": 1 / 4,
        "clean_share": 2 / 5,
    }
    recall = score(brief_measures(checks)["must_mention_recall"])
    assert (recall.n, recall.low, recall.high) == (4, *wilson(2, 4))
    assert not brief_measures(checks)["forbidden_share"].higher_is_better
    grouped = score(brief_measures(checks * 5)["clean_share"], np.repeat(np.arange(5), 5))
    assert grouped.value == 2 / 5 and grouped.method.startswith("group bootstrap")


def test_what_nobody_asked_is_undefined():
    found = brief_measures([check("words", "words", Constraints())])
    reasons = [found[name].reason for name in ("must_mention_recall", "within_limits", "forbidden_share")]
    assert reasons == ["no brief has must-mentions", "no copy has a limit", "no brief forbids a word"]
    assert np.isnan(found["within_limits"].value()) and found["clean_share"].value() == 1
    assert np.isnan(score(brief_measures([])["clean_share"]).value)


def test_field_coverage_by_hand():
    fields = [{"name": "The Mill", "food": ["Thai", "French"], "familyFriendly": "yes"}, {"name": "Strada", "area": ""}]
    assert field_coverage(["The Mill has French food", "here"], fields).value() == 2 / 4
    assert field_coverage([fill_template(each) for each in fields], fields).value() == 1
    assert field_coverage(["x"], [{"family": "no"}]).reason == "no brief has a value"


def test_a_brief_is_read_out():
    assert (
        fill_template({"name": "Pip", "features": ["warm", " dry. "], "tone": ""}) == "Name: Pip. Features: warm, dry."
    )
    assert fill_template({}) == ""


def test_self_bleu_is_that_of_sacrebleu(briefs: list[dict[str, Any]]):
    rows = [row["copy"] for row in briefs[:20]] + [["alone here"], []]
    measure = self_bleu(rows)
    each = [
        np.mean([sentence_bleu(text, [*row[:i], *row[i + 1 :]]).score for i, text in enumerate(row)])
        for row in rows
        if len(row) > 1
    ]
    assert measure.value() == pytest.approx(np.mean(each)) and score(measure).n == len(each) < 22
    assert self_bleu([["the very same words"] * 3]).value() == pytest.approx(100) and not measure.higher_is_better
    assert self_bleu([["alone"]]).reason == "no brief has two candidates" and "eff:yes" in measure.signature
    assert self_bleu([["明るいランタン", "小さなランタン"]]).reason is not None


def test_distinct_words_of_candidates_by_hand():
    rows = [["a b c", "a b d"], ["a b"], ["e", "e"]]
    assert candidate_distinct(rows, 1).value() == (4 + 1) / (6 + 2)
    assert candidate_distinct(rows, 2).value() == 3 / 4
    assert candidate_distinct([["e", "e"]], 2).reason is not None


def test_copied_runs_by_hand():
    copies = TrainingCopies(["One two three, four five!", "six"], order=3)
    outputs = ["two THREE four. seven", "one two", "Six", "one two three four five", ""]
    assert copies.share(outputs).value() == (1 + 3) / (2 + 3)
    assert copies.whole(outputs).value() == 2 / 4
    assert TrainingCopies([]).whole(["a"]).value() == 0 and TrainingCopies([]).share(["a"]).reason is not None


def test_copied_runs_are_those_of_sets(briefs: list[dict[str, Any]]):
    texts = [copy.casefold().replace("\u2019", "'") for row in briefs for copy in row["copy"]]
    words = [[word.strip('.,!?:;"()') for word in text.split()] for text in texts]
    plain = [" ".join(word for word in row if word.isalpha()) for row in words]
    runs = [{tuple(row[i : i + 4]) for i in range(len(row) - 3)} for row in (text.split() for text in plain)]
    train = set().union(*runs[::2])
    found = [[tuple(row[i : i + 4]) in train for i in range(len(row) - 3)] for row in (t.split() for t in plain[1::2])]
    expected = sum(map(sum, found)) / sum(map(len, found))
    copies = TrainingCopies(plain[::2], order=4)
    assert 0 < expected < 0.2 and copies.share(plain[1::2]).value() == pytest.approx(expected)
    mixed = plain[1::2] + plain[:20:2]
    sampled = TrainingCopies(plain[::2], order=4, most=2000)
    assert sampled.every > 1
    assert sampled.share(mixed).value() == pytest.approx(copies.share(mixed).value(), abs=0.05)


def test_nearest_briefs_of_e2e_are_a_floor(e2e: Path):
    def read(name: str) -> list[tuple[str, str]]:
        with (e2e / name).open(encoding="utf-8", newline="") as stream:
            return [(row["mr"], row["ref"]) for row in csv.DictReader(stream)]

    references: dict[str, list[str]] = {}
    for brief, copy in read("test.csv"):
        references.setdefault(brief, []).append(copy)
    sources, copies = zip(*read("train_full.csv"), strict=True)
    outputs = NearestCopy(sources, copies).write(list(references))
    bleu = corpus_bleu(outputs, list(zip_longest(*references.values())), lowercase=True).score
    assert 40 < bleu < 50
    found = [check(copy, brief, Constraints()) for brief, refs in references.items() for copy in refs]
    assert sum(bool(each.invented_numbers) for each in found) < 0.02 * len(found)
