from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.user_error import user_error
from tunebook.config.schema import DataConfig
from tunebook.data.categories import Categories, rarest_values
from tunebook.data.columns import Column
from tunebook.data.load_and_validate import ValidatedData, load_and_validate
from tunebook.data.rejects import RejectLog

WORDS = ("none", "bad", "good")
KEY = "recipe.values"
Row = dict[str, object]


def columns(*names: str, normalize: bool = False) -> list[Column]:
    words = Categories(WORDS, KEY, normalize, "recipe.normalize=true")
    made = [Column(name, name, "recipe.aspects", "category", gaps=True, categories=words) for name in names]
    return [Column("text", "text", "data.text", "text"), *made]


def gate(folder: Path, rows: list[Row], *, normalize: bool = False, **settings: object) -> ValidatedData:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    data = DataConfig(train=str(file), **settings)  # type: ignore[arg-type]
    rejects = RejectLog(folder / "rejects.jsonl", data.max_rejects)
    names = [name for name in rows[0] if name != "text"]
    read = columns(*names, normalize=normalize)
    return load_and_validate(data, read, samples=None, invalid=None, rejects=rejects, seed=0)


def reviews(count: int, **values: list[object]) -> list[Row]:
    """Rows whose columns go round their values."""
    return [
        {"text": f"lot {i} of {i * 7919} pieces", **{name: of[i % len(of)] for name, of in values.items()}}
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (
            "Good",
            "is 'Good', which is none of none, bad, good (did you mean 'good'?, recipe.normalize=true reads it so)",
        ),
        (" good", "(did you mean 'good'?, recipe.normalize=true reads it so)"),
        ("goood", "is 'goood', which is none of none, bad, good (did you mean 'good'?)"),
        ("1", "is '1', which is none of none, bad, good"),
    ],
)
def test_a_word_that_is_none_of_them_is_rejected_with_the_nearest(written: str, reason: str) -> None:
    assert Categories(WORDS, KEY, lenient="recipe.normalize=true").read(written) == (written, reason) or (
        Categories(WORDS, KEY, lenient="recipe.normalize=true").read(written)[1].endswith(reason)
    )


def test_case_and_spaces_make_no_difference_where_told() -> None:
    lenient = Categories(WORDS, KEY, normalize=True)
    assert [lenient.read(word) for word in ("Good", " BAD ", "none")] == [("good", ""), ("bad", ""), ("none", "")]
    assert lenient.read("goood")[1].endswith("(did you mean 'good'?)")


def test_an_empty_cell_is_no_reject_and_an_unknown_word_is_one(tmp_path: Path) -> None:
    rows = reviews(60, price=["none", "bad", "good", None, "nan", "  "])
    rows[7]["price"] = "Bad"
    found = gate(tmp_path, rows, max_rejects=1)
    assert found.read == 60 and found.kept == 59 and found.rejected == 1
    (entry,) = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert entry["line"] == 8 and entry["field"] == "price" and "did you mean 'bad'?" in entry["reason"]
    held = Counter(value for part in (found.train, found.validation, found.test) for value in part.texts("price"))
    assert held == {"none": 10, "bad": 9, "good": 10, "": 30}


def test_rows_are_stratified_by_their_rarest_value(tmp_path: Path) -> None:
    rows = reviews(200, price=["none", "good"], service=["none", "good", "none", "bad", "good", "none", "bad"])
    for i in (3, 50, 120):  # a value that is nowhere else
        rows[i]["price"] = "bad"
    for seed_rows in (rows, list(reversed(rows))):
        found = gate(tmp_path, seed_rows)
        sides = (found.train, found.validation, found.test)
        assert [part.texts("price").count("bad") for part in sides] == [1, 1, 1]
        assert len(found.train) > 150 and all(20 <= len(part) <= 24 for part in sides[1:])
        assert any("stratified by rarest value" in note for note in found.notes)


def test_many_columns_whose_mixtures_are_all_different_are_split(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows = reviews(60, **{f"a{i}": draw.choice(WORDS, 60).tolist() for i in range(8)})
    found = gate(tmp_path, rows)
    assert len({tuple(row.values())[1:] for row in rows}) == 60
    # 24 pairs of a column and a value, each of which gives a row at least
    assert 4 <= len(found.test) <= 14 and 4 <= len(found.validation) <= 14


def test_the_rarest_value_is_that_of_the_fewest_rows(tmp_path: Path) -> None:
    rows = reviews(8, price=["none", "none", "none", "bad"], service=["good", None])
    rows[1]["price"] = None
    train = gate(tmp_path, reviews(40, price=["none", "bad", "good"], service=["none", "bad", "good"])).train
    assert set(rarest_values(train, ["price", "service"])) <= {f"{c}={v}" for c in ("price", "service") for v in WORDS}
    from tunebook.data.reading import read_rows

    file = tmp_path / "few.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    read = read_rows(str(file), "data.train", columns("price", "service"), RejectLog(tmp_path / "r.jsonl", 0))
    # price: none 5 of 8, bad 2; service: good 4
    assert rarest_values(read, ["price", "service"]).tolist() == [
        *("service=good", "", "service=good", "price=bad"),
        *("service=good", "price=none", "service=good", "price=bad"),
    ]


def test_what_cannot_be_learned_is_refused(tmp_path: Path) -> None:
    with user_error("data.missing-label", where=KEY, match="'bad' in 'price', 'service'"):
        gate(tmp_path, reviews(40, price=["none", "good"], service=["good", "none"]))
    with user_error("data.constant-label", where="recipe.aspects", match="every training row has 'none'"):
        gate(tmp_path, reviews(40, price=["none", "bad", "good"], service=["none"]))
    with user_error("data.constant-label", where="recipe.aspects", match="no training row has a value in"):
        gate(tmp_path, reviews(40, price=["none", "bad", "good"], service=[None]))


def test_what_the_splits_lack_is_said(tmp_path: Path) -> None:
    rows = reviews(60, price=["none", "bad", "good"], service=["none", "good"])
    rows[40]["text"], rows[40]["price"], rows[41]["price"] = rows[38]["text"], "none", None
    assert rows[38]["price"] == "good"
    rows[41]["text"] = rows[36]["text"]  # one of them is unknown, which contradicts nothing
    said = gate(tmp_path, rows).notes
    assert "no training row has 'bad' in 'service': the model will hardly predict it" in said
    lacking = [note for note in said if note.startswith("no test row has ") and " in 'service'" in note]
    assert len(lacking) == 1 and "'bad'" in lacking[0] and lacking[0].endswith(": the scores do not cover it")
    contrary = [note for note in said if "with more than one value of price" in note]
    assert len(contrary) == 1 and contrary[0].startswith("1 text with") and "rows.jsonl:39" in contrary[0]
    assert sum("repeat the text of another" in note for note in said) == 1, "once, not for each column"
