from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunebook.families.text_generation.metrics.facts import normalised, stated, states

SAMPLES = Path(__file__).parents[3] / "rows/customer_chat"


@pytest.mark.parametrize(
    "text,fact",
    [
        ("It costs £42.", "£42"),
        ("It costs £ 42, or 42 €", "42€"),
        ("that is 42\u00a0\u20ac in all", "€42"),
        ("**£42.00** each way", "£42 each way"),
        ("We refund €1,500 today", "€1500"),
        ("We refund 1\u202f500 kr", "1500 kr"),
        ("WITHIN 3\n  working days,", "within 3 working days"),
        ("a 10cm foam", "10 cm"),
        ("on the 11th of May", "11th of May"),
        ("code NB\u2011R\u201104; keep it", "NB-R-04"),
        ("you\u2019ve 30 days' notice", "30 days\u2019 notice"),
        ("between 3 - 5 days", "3\u20135 days"),
        ("Open from 9:00 to 13:00.", "9:00 to 13:00"),
        ("caf\u00e9 voucher", "cafe\u0301 voucher"),
        ("only 0% alcohol", "0% alcohol"),
        ("about 6%, no more", "about 6%"),
        ("form A5 is enough", "form A5"),
        ("_£42_ in italics", "£42"),
        ("from 5.50 to 6", "5.50"),
    ],
)
def test_a_fact_is_found(text: str, fact: str) -> None:
    assert states(text, fact)


@pytest.mark.parametrize(
    "text,fact",
    [
        ("It costs 42 pounds.", "£42"),
        ("It costs $42.", "£42"),
        ("It costs US$42.", "$42"),
        ("It costs £42.50", "£42"),
        ("It costs £42k", "£42"),
        ("It costs £420", "£42"),
        ("It costs £4,200", "£4"),
        ("It costs £42", "42"),
        ("It is 42 %", "42"),
        ("within 14 days", "4 days"),
        ("within 3-5 days", "5 days"),
        ("a 14-day trial", "14 days"),
        ("a fortnight", "14 days"),
        ("at 19:30", "30"),
        ("version 1.20", "20"),
        ("code MED-3A", "MED-3"),
        ("code MED-317", "MED-31"),
        ("the formal A5", "form A5"),
        ("days 3", "3 days"),
        ("", "£42"),
    ],
)
def test_what_is_not_the_fact_is_not_found(text: str, fact: str) -> None:
    assert not states(text, fact)


def test_facts_are_counted() -> None:
    assert stated("£9 a month until 19 May", ["£9 a month", "19 May", "£90"]) == 2
    assert normalised("  £ 1,042.00 \n\u2013 Item 10cm ") == "£1042 - item 10 cm"


def test_every_fact_of_the_samples_is_found_in_the_answers_that_it_was_taken_from() -> None:
    rows = [json.loads(line) for file in SAMPLES.glob("*.jsonl") for line in file.read_text("utf-8").splitlines()]
    for row in rows:
        said = " / ".join(message["content"] for message in row["messages"] if message["role"] == "assistant")
        assert stated(said, row["facts"]) == len(row["facts"]), row["id"]
    assert sum(len(row["facts"]) for row in rows) > 100
