from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tunebook.data.columns import Column
from tunebook.data.load_and_validate import ValidatedData, load_and_validate
from tunebook.data.numbers import number_text, numbers_of
from tunebook.data.rejects import RejectLog
from tunebook.families.text_regression.options import NumberData

COLUMNS = [Column("text", "text", "data.text", "text"), Column("label", "price", "data.label", "number")]


@pytest.mark.parametrize(
    ("written", "kept"),
    [("3", "3"), (" 3.50 ", "3.5"), ("-.5", "-0.5"), ("+7.", "7"), ("1e3", "1000"), ("-0", "0"), ("2.5E-3", "0.0025")],
)
def test_a_number_is_kept_written_one_way(written: str, kept: str) -> None:
    assert number_text(written) == (kept, "")
    assert float(kept) == float(written)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("seven", "is 'seven', which is not a number"),
        ("1,234", "without separators of thousands and with a decimal point"),
        ("3,5", "without separators of thousands and with a decimal point"),
        ("1.234,5", "without separators of thousands"),
        ("12%", "without the sign"),
        ("$5", "is '$5', which is not a number"),
        ("1_000", "which is not a number"),
        ("0x10", "which is not a number"),
        ("٣", "which is not a number"),
        ("inf", "which is not a number"),
        ("1e999", "too large"),
        ("NaN", "a missing number"),
        ("n/a", "a missing number"),
        ("true", "which is not a number"),
    ],
)
def test_what_is_no_number_is_told_why(written: str, reason: str) -> None:
    assert reason in number_text(written)[1]


def gate(tmp_path: Path, rows: list[dict[str, object]], **settings: object) -> ValidatedData:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    data = NumberData(train=str(file), label="price", **settings)  # type: ignore[arg-type]
    rejects = RejectLog(tmp_path / "rejects.jsonl", data.max_rejects)
    return load_and_validate(data, COLUMNS, samples=None, invalid=None, rejects=rejects, seed=0)


def offers(count: int) -> list[dict[str, object]]:
    return [{"text": f"lot {i} of {i * 7919} pieces", "price": i / 4} for i in range(count)]


def test_rows_without_a_number_are_rejected_with_the_reason(tmp_path: Path) -> None:
    bad: list[dict[str, object]] = [{"text": f"odd {i}", "price": p} for i, p in enumerate(["1,5", None, float("nan")])]
    checked = gate(tmp_path, [*offers(40), *bad], max_rejects=3)
    assert (checked.kept, checked.rejected, checked.labels) == (40, 3, None)
    reasons = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert sorted(entry["line"] for entry in reasons) == [41, 42, 43]
    parts = [numbers_of(rows, "label") for rows in (checked.train, checked.validation, checked.test)]
    assert np.sort(np.concatenate(parts)) == pytest.approx(np.arange(40) / 4)


def test_one_text_with_two_numbers_is_noted(tmp_path: Path) -> None:
    twice: list[dict[str, object]] = [{"text": "a lamp", "price": 5}, {"text": "a lamp", "price": 6.5}]
    same: list[dict[str, object]] = [{"text": "a rug", "price": "7.0"}, {"text": "a rug", "price": 7}]
    notes = gate(tmp_path, [*offers(40), *twice, *same]).notes
    assert [note for note in notes if "more than one number" in note] == [
        "1 text with more than one number, such as rows.jsonl:41 and rows.jsonl:42"
    ]
