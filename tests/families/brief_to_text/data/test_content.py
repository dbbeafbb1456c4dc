from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.user_error import user_error
from tunebook.config.schema import DataConfig, Leaks
from tunebook.data.load_and_validate import ValidatedData, load_and_validate
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.brief_to_text.data.brief import Brief, UnusableBrief, from_text, to_text
from tunebook.families.brief_to_text.data.check import check_copies, faults
from tunebook.families.brief_to_text.data.content import BriefContent
from tunebook.families.brief_to_text.data.forms import BriefForm, brief_columns, brief_form
from tunebook.families.brief_to_text.data.merge import merge_references
from tunebook.families.brief_to_text.metrics.phrases import says

ROOT = Path(__file__).parents[4]
SAMPLES = {name: ROOT / f"tests/rows/marketing_copy/{name}.jsonl" for name in ("train", "validation", "test")}
FIELDS = BriefForm(("name", "audience", "features", "tone"))
E2E = ROOT.parent / "shared" / "data" / "e2e"
WHOLE = BriefForm(brief="mr", copy="ref")


def gate(folder: Path, config: DataConfig, form: BriefForm, samples: dict[str, Path] | None = None) -> ValidatedData:
    return load_and_validate(
        config,
        brief_columns(form),
        samples=samples,
        invalid=None,
        rejects=RejectLog(folder / "rejects.jsonl", config.max_rejects),
        seed=0,
        content=BriefContent(form),
    )


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def inspected(
    folder: Path, rows: list[dict[str, Any]], form: BriefForm, answered: bool = True
) -> tuple[Rows, RejectLog]:
    rejects = RejectLog(folder / "rejects.jsonl", 0)
    path = write(folder / "rows.jsonl", rows)
    read = read_rows(path, "data.train", brief_columns(form, answered=answered), rejects)
    return BriefContent(form, answered).inspect(read, rejects), rejects


def reasons(rejects: RejectLog) -> list[tuple[int, str, str]]:
    rejects.write()
    entries = map(json.loads, rejects.path.read_text().splitlines())
    return [(entry["line"], entry["field"], entry["reason"]) for entry in entries]


def test_all_samples_are_good(tmp_path: Path) -> None:
    checked = gate(tmp_path, DataConfig(), FIELDS, SAMPLES)
    assert (checked.read, checked.kept, checked.rejected, checked.leaks) == (224, 224, 0, ())
    assert checked.train.roles == ("brief", "copy", "text")
    row = json.loads(SAMPLES["test"].read_text().splitlines()[0])
    assert from_text(checked.test.texts("brief")[0]) == Brief(
        (
            ("name", "Tollgate Pepper Mill"),
            ("audience", "people who season at the table"),
            ("features", tuple(row["features"])),
            ("tone", "plain"),
        ),
        must_mention=("21 cm",),
        channel="product_page",
    )
    assert json.loads(checked.test.texts("copy")[0]) == row["copy"]
    assert checked.test.where(0) == "test.jsonl:1"


MILL = Brief((("name", "Tollgate mill"), ("features", ("21 cm", "six settings"))), channel="tweet")


@pytest.mark.parametrize(
    ("copy", "phrase", "found"),
    [
        ("10 minutes a day", "10 minute", True),
        ("A 10 minute drill", "10 minutes", False),
        ("Ten minutes a day", "10 minute", False),
        ("110 minutes", "10 minute", False),
        ("It costs £42.00.", "£42", True),
        ("It costs £42.50.", "£42", False),
        ("SPF 501", "SPF 50", False),
        ("SPF 50!", "spf 50", True),
    ],
)
def test_a_phrase_is_mentioned_whole_and_perhaps_in_the_plural(copy: str, phrase: str, found: bool) -> None:
    assert says(copy, phrase) is found


def test_a_phrase_to_avoid_is_looked_for_whole() -> None:
    assert says("An App for that", "app")
    assert not says("You apply once", "app")
    assert not says("A second of peace", "eco")


def test_all_that_a_copy_breaks_is_told() -> None:
    brief = Brief((("name", "A"),), must_mention=("b", "c d"), must_avoid=("e",), max_characters=8, max_words=3)
    assert faults(brief, "b: c d") == []
    assert faults(brief, "b e f g h") == [
        "lacks 'c d', which it must mention",
        "holds 'e', which it must avoid",
        "has 9 characters (at most 8 are allowed)",
        "has 5 words (at most 3 are allowed)",
    ]
    with pytest.raises(UnusableBrief) as caught:
        check_copies(brief, ["b, c d", "b c d e"])
    assert str(caught.value) == "copy 2 of 2 holds 'e', which it must avoid; it has 4 words (at most 3 are allowed)"


@pytest.mark.parametrize(
    "copy",
    [
        "name: Tollgate mill; features: 21 cm, six settings",
        "NAME:  Tollgate Mill\nFeatures: 21 cm / six settings",
        "name: Tollgate mill; features: 21 cm, six settings; channel: tweet",
        "Tollgate mill, 21 cm, six settings.",
        'name[Tollgate mill], features["21 cm", "six settings"]',
    ],
)
def test_copy_that_is_its_brief_is_refused(copy: str) -> None:
    with pytest.raises(UnusableBrief, match=r"^it is equal to the brief$"):
        check_copies(MILL, [copy])
    check_copies(MILL, ["Tollgate mill: 21 cm, and six settings."])


def test_signs_are_compared_where_there_are_no_words() -> None:
    check_copies(Brief((("name", "🎉"),)), ["🎈"])
    with pytest.raises(UnusableBrief):
        check_copies(Brief((("name", "🎉"),)), [" 🎉"])


def test_bad_rows_are_rejected_with_column_and_reason(tmp_path: Path) -> None:
    good = {"name": "Tollgate", "features": ["21 cm"], "copy": ["Grind on.", "Turn it."]}
    rows = [
        good,
        {**good, "name": None, "features": []},
        {**good, "copy": " "},
        {**good, "copy": ["Grind on.", "tollgate: 21 CM"]},
        {**good, "copy": ["Grind on: 21 cm.", "Turn it."], "must_mention": ["21 cm"]},
        {**good, "copy": "Gourmet pepper.", "must_avoid": "artisan; gourmet"},
        {**good, "copy": "Turn it now.", "max_words": 2},
        {**good, "features": {"size": "21 cm"}},
        {**good, "copy": "Turn it.", "max_words": 2},
    ]
    kept, rejects = inspected(tmp_path, rows, BriefForm(("name", "features")))
    assert kept.column("line").to_pylist() == [1, 9]
    assert [json.loads(copies) for copies in kept.texts("copy")] == [["Grind on.", "Turn it."], ["Turn it."]]
    assert kept.texts("text") == ["name: Tollgate; features: 21 cm", "name: Tollgate; features: 21 cm; at most 2 words"]
    assert (rejects.read, rejects.count) == (9, 7)
    assert sorted(reasons(rejects)) == [
        (2, "", "has no usable brief: it is empty"),
        (3, "copy", "is only white space"),
        (4, "copy", "has no usable copy: copy 2 of 2 is equal to the brief"),
        (5, "copy", "has no usable copy: copy 2 of 2 lacks '21 cm', which it must mention"),
        (6, "copy", "has no usable copy: it holds 'gourmet', which it must avoid"),
        (7, "copy", "has no usable copy: it has 3 words (at most 2 are allowed)"),
        (8, "", "has no usable brief: 'features' is an object, but a field is a text or a list of texts"),
    ]


def test_briefs_in_one_column_are_rejected_by_its_name(tmp_path: Path) -> None:
    mr = "name[Café Loup], food[French]"
    rows = [{"mr": mr, "ref": "Eat."}, {"mr": mr, "ref": mr.upper()}, {"mr": "name[Café", "ref": "Eat."}]
    kept, rejects = inspected(tmp_path, rows, WHOLE)
    assert kept.texts("brief") == ['{"fields":{"name":"Café Loup","food":"French"}}']
    assert reasons(rejects) == [
        (2, "ref", "has no usable copy: it is equal to the brief"),
        (3, "mr", "has no usable brief: the '[' at character 5 is never closed"),
    ]


def test_briefs_whose_copy_is_still_to_be_written_need_none(tmp_path: Path) -> None:
    rows = [{"mr": "name[A]"}, {"mr": "name[B]", "ref": "name[B]", "must_mention": ["C"]}, {"mr": "B"}]
    kept, rejects = inspected(tmp_path, rows, WHOLE, answered=False)
    assert (kept.roles, kept.texts("text")) == (("brief", "text"), ["name: A", "name: B; must mention: C"])
    assert [line for line, _, _ in reasons(rejects)] == [3]


def test_all_copies_of_a_brief_stay_in_one_split(tmp_path: Path) -> None:
    rows = [{"mr": f"name[Shop {i % 30}], food[Thai]", "ref": f"Go there, for reason {i}."} for i in range(120)]
    rows += [{"mr": f"food[THAI],  name[Shop {i}]", "ref": "It is Thai."} for i in range(30)]  # the same, turned round
    checked = gate(tmp_path, DataConfig(train=write(tmp_path / "rows.jsonl", rows), near_duplicate=1.0), WHOLE)
    shops = [
        {dict(from_text(text).fields)["name"] for text in part.texts("brief")}
        for part in (checked.train, checked.validation, checked.test)
    ]
    assert sum(map(len, shops)) == 30 and all(shops)
    assert sum(map(len, (checked.train, checked.validation, checked.test))) == 150
    assert any("120 of 150 rows repeat the brief of another" in note for note in checked.notes)


def test_a_brief_that_two_given_splits_share_is_a_leak(tmp_path: Path) -> None:
    def part(name: str, *rows: dict[str, Any]) -> str:
        return write(tmp_path / f"{name}.jsonl", [{"ref": f"{name} {i}.", **row} for i, row in enumerate(rows)])

    config = DataConfig(
        train=part(
            "train", {"mr": "name[A]"}, {"mr": "name[B]"}, {"mr": "near[A]"}, {"mr": "name[B]", "channel": "mail"}
        ),
        validation=part("validation", {"mr": "name[C]", "ref": "train 0."}),  # the same copy for another brief
        test=part("test", {"mr": '{"name": "b"}'}, {"mr": "name[D]"}),
    )
    with user_error("data.shared-rows"):
        gate(tmp_path, config, WHOLE)
    config.leaks = Leaks.drop
    checked = gate(tmp_path, config, WHOLE)
    assert [(leak.left, leak.right) for leak in checked.leaks] == [
        ("train.jsonl:2", "test.jsonl:1"),
        ("train.jsonl:4", "test.jsonl:1"),
    ]


def test_long_briefs_that_differ_in_a_word_are_nearly_alike(tmp_path: Path) -> None:
    words = [f"word{i}" for i in range(40)]
    train = [{"name": " ".join(words), "copy": "One."}, {"name": "quite another thing altogether", "copy": "Two."}]
    test = [{"name": " ".join([*words[:-1], "else"]), "copy": "Three."}]
    config = DataConfig(
        train=write(tmp_path / "train.jsonl", train),
        validation=write(tmp_path / "v.jsonl", [{"name": "a third one", "copy": "Four."}]),
        test=write(tmp_path / "test.jsonl", test),
        leaks=Leaks.drop,
    )
    form = BriefForm(("name",))
    checked = gate(tmp_path, config, form)
    # 38 word 3-grams each, of which the last differs.
    assert [(leak.kind, leak.left, leak.similarity) for leak in checked.leaks] == [("near", "train.jsonl:1", 37 / 39)]
    config.near_duplicate = 1.0
    assert gate(tmp_path, config, form).leaks == ()


def test_rows_of_one_brief_become_one_with_all_references(tmp_path: Path) -> None:
    rows = [
        {"mr": "name[A]", "ref": "One."},
        {"mr": "name[B]", "ref": ["Two.", "Three."]},
        {"mr": "name[A]", "ref": "One."},
        {"mr": "name[A]", "ref": "Four.", "channel": "tweet"},
        {"mr": '{"name": "A"}', "ref": "Five."},
    ]
    kept, _ = inspected(tmp_path, rows, WHOLE)
    merged = merge_references(kept)
    assert merged.first.tolist() == [0, 1, 3]
    assert merged.brief.tolist() == [0, 1, 0, 2, 0]
    assert merged.references == [["One.", "One.", "Five."], ["Two.", "Three."], ["Four."]]
    assert [kept.take(merged.first).where(i) for i in range(3)] == ["rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:4"]


@pytest.mark.skipif(not E2E.is_dir(), reason="the E2E data is not there")
def test_the_briefs_of_e2e_are_good_and_no_brief_of_test_is_in_validation(tmp_path: Path) -> None:
    paths = {"train": E2E / "valid.csv", "test": E2E / "test.csv"}
    form = brief_form(None, None, "ref", paths=list(paths.values()))
    assert form == WHOLE
    config = DataConfig(**{name: str(path) for name, path in paths.items()})
    checked = gate(tmp_path, config, form)
    assert (checked.read, checked.rejected, checked.leaks) == (4672 + 4693, 0, ())
    merged = merge_references(checked.test)
    with paths["test"].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    by_brief: dict[str, list[str]] = {}
    for row in rows:
        by_brief.setdefault(row["mr"], []).append(row["ref"].strip())
    assert len(merged.first) == 630
    assert merged.references == list(by_brief.values())
    assert np.bincount(merged.brief).tolist() == [len(references) for references in by_brief.values()]


def test_personal_data_is_looked_for_in_all_that_a_model_reads() -> None:
    """The documents beside a brief stand in its prompt too."""
    brief = Brief((("name", "Hook"),), must_mention=("$58",), context=("Call jane.doe@example.com", "Second"))
    found = BriefContent(BriefForm(("name",), context="docs")).passages["brief"](to_text(brief))
    assert [*found] == [
        ("name", "Hook"),
        ("must_mention", "$58"),
        ("context", "Call jane.doe@example.com"),
        ("context", "Second"),
    ]
