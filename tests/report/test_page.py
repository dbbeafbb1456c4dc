"""The page that any family's evidence has."""

from __future__ import annotations

from tunebook.report.page import evidence_page
from tunebook.report.report import Table, render
from tunebook.report.tables import counts_table
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score

OWN = Score("span_f1", 0.7, 0.6, 0.8, 40)
OTHER = Score("span_f1", 0.5, 0.4, 0.6, 40)


def test_sections_stand_in_one_order_and_the_familys_own_in_the_middle() -> None:
    page = evidence_page(
        "names",
        {"tuned": [OWN], "memorised": [OTHER]},
        "span_f1",
        differences={"memorised": {"span_f1": Difference(0.2, 0.1, 0.3, 40, True, 0.001)}},
        own=[Table("Kinds of names", ["kind"], [["PER"]])],
        history=[{"step": 1, "train loss": 2.0}, {"step": 2, "train loss": 1.0}],
        splits=counts_table("Splits", "what", {"train": {"rows": 80}, "test": {"rows": 40}}),
        data_facts={"rows read": "120"},
        config_facts={"seed": "0"},
        notes=["Two sentences were cut."],
    )
    assert [section.title for section in page.sections] == [
        *("Scores", "Scores compared with baselines", "Notes", "Kinds of names", "Learning curve", "Splits"),
        *("Data", "Configuration"),
    ]
    assert page.verdict[0].startswith("Span F1 0.70") and "memorised" in page.verdict[1]
    assert "Two sentences were cut." in render(page)


def test_a_model_alone_has_neither_baselines_nor_what_is_not_known() -> None:
    page = evidence_page("names", {"tuned": [OWN]}, "span_f1", counted="test blocks")
    assert [section.title for section in page.sections] == ["Scores", "Scores"]
    assert len(page.verdict) == 1 and "40 test blocks" in page.sections[0].note  # type: ignore[union-attr]
