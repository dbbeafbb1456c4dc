from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from tunebook.families.text_classification.report import classification_sections, splits_table
from tunebook.report.page import evidence_page
from tunebook.report.report import Report, Table, Text, render
from tunebook.report.verdicts import verdict
from tunebook.statistics.difference import Difference
from tunebook.statistics.differences import differences
from tunebook.statistics.intervals import Score
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.scores import majority, per_class, score_predictions

MakePredictions = Callable[..., Predictions]


def _report(rows: Predictions) -> Report:
    metrics = MetricCollection(
        {
            "accuracy": MulticlassAccuracy(3, average="micro"),
            "macro_f1": MulticlassF1Score(3, average="macro"),
        }
    )
    baseline = majority([5, 3, 2], rows)
    return evidence_page(
        "review_sentiment",
        {
            "tuned": score_predictions(metrics, rows, resamples=200),
            "majority": score_predictions(metrics, baseline, resamples=200),
        },
        "macro_f1",
        own=classification_sections(rows, per_class(rows), resamples=100),
        differences={"majority": differences(metrics, rows, baseline, resamples=200)} if len(rows) else {},
        history=[{"step": 1, "train_loss": 1.0}, {"step": 2, "train_loss": 0.5, "macro_f1": 0.6}],
        splits=splits_table(rows.labels, {"train": [5, 3, 2], "test": np.bincount(rows.target, minlength=3).tolist()}),
        data_facts={"rows read": "92", "rejected": "2"},
        config_facts={"optim.lr": "5e-05"},
        notes=["2 texts were truncated."],
    )


def _sections(report: Report) -> Mapping[str, object]:
    return {section.title: section for section in report.sections}


def test_a_report_holds_every_piece_of_evidence(make_predictions: MakePredictions) -> None:
    rows = make_predictions()
    found = _report(rows)
    assert list(_sections(found)) == [
        "Scores",
        "Scores compared with baselines",
        "Notes",
        "Label by label",
        "Confusion matrix",
        "Confidence",
        "Worst mistakes",
        "Learning curve",
        "Rows of each label",
        "Data",
        "Configuration",
    ]
    scores = _sections(found)["Scores"]
    assert isinstance(scores, Table)
    assert list(scores.columns) == ["metric", "tuned", "majority", "interval by"]
    splits = _sections(found)["Rows of each label"]
    assert isinstance(splits, Table)
    assert list(splits.rows[-1]) == ["all", 10, 80]
    page = render(found)
    assert "5e-05" in page
    assert "2 texts were truncated." in page


def test_the_worst_mistakes_are_the_surest_and_can_be_found(make_predictions: MakePredictions) -> None:
    rows = make_predictions()
    rows = replace(rows, texts=["<script>alert(1)</script> " + "long " * 100 + "end"] * len(rows))
    table = _sections(_report(rows))["Worst mistakes"]
    assert isinstance(table, Table)
    wrong = np.flatnonzero(rows.predicted != rows.target)
    surest = wrong[np.argmax(rows.confidence()[wrong])]
    place, text, truth, answer, probability = table.rows[0]
    assert place == f"rows.csv:{surest + 2}"
    assert (truth, answer) == (rows.labels[rows.target[surest]], rows.labels[rows.predicted[surest]])
    assert probability == rows.confidence()[surest]
    assert isinstance(text, str)
    assert len(text) <= 300
    assert text.endswith("…")
    assert "<script" not in render(_report(rows))


def test_no_mistakes_are_said_in_words(make_predictions: MakePredictions) -> None:
    rows = make_predictions()
    section = _sections(_report(replace(rows, predicted=rows.target.copy())))["Worst mistakes"]
    assert section == Text("Worst mistakes", ["None of the 80 test rows was misclassified."])


def test_no_test_rows_make_a_report_that_says_so(make_predictions: MakePredictions) -> None:
    found = _report(make_predictions(n=0))
    assert found.verdict == ["Macro F1 is undefined on these test rows: there are no test rows."]
    assert "<table>" in render(found)


def _verdict(difference: Difference | None, *, higher_is_better: bool = True) -> list[str]:
    tuned = Score("macro_f1", 0.81, 0.77, 0.85, 160, higher_is_better=higher_is_better)
    other = replace(tuned, value=0.35)
    compared = {"majority": {"macro_f1": difference}} if difference else {}
    return verdict([tuned], {"majority": [other]}, compared, "macro_f1")


def test_the_verdict_claims_only_what_the_rows_show() -> None:
    clear = Difference(0.46, 0.4, 0.52, 160, distinguishable=True, p_value=0.001)
    assert _verdict(clear) == [
        "Macro F1 0.81 (95 % CI 0.77 to 0.85, n = 160).",
        "Compared with 0.35 for always predicting the most frequent training label, 0.46 better (95 % CI 0.40 to 0.52; "
        "160 test rows): significant.",
    ]
    chance = Difference(0.02, -0.01, 0.05, 160, distinguishable=False, p_value=0.3)
    assert _verdict(chance)[1].endswith(
        "difference +0.02 (95 % CI -0.01 to +0.05; 160 test rows): not significant with these test rows."
    )
    assert _verdict(None)[1].endswith("not tested for significance.")


@pytest.mark.parametrize("value,word", [(-0.3, "better"), (0.3, "worse")])
def test_the_verdict_knows_which_way_is_better(value: float, word: str) -> None:
    difference = Difference(value, value - 0.1, value + 0.1, 160, distinguishable=True, p_value=0.001)
    sentences = _verdict(difference, higher_is_better=False)
    assert "(lower is better)" in sentences[0]
    assert f"0.30 {word} (95 % CI 0.20 to 0.40; 160 test rows): significant." in sentences[1]


def test_a_model_without_the_metric_is_passed_over() -> None:
    perplexity = Score("perplexity", 41.234, 39.0, 44.0, 50, higher_is_better=False)
    others = {"before tuning": [replace(perplexity, value=1412.6)], "template": [Score("bleu", 3.0, 2.0, 4.0, 50)]}
    clear = Difference(-1371.4, -1500.2, -1290.4, 50, distinguishable=True, p_value=0.001)
    assert verdict([perplexity], others, {"before tuning": {"perplexity": clear}}, "perplexity") == [
        "Perplexity (lower is better) 41.23 (95 % CI 39.00 to 44.00, n = 50).",
        "Compared with 1\N{NARROW NO-BREAK SPACE}413 for the same model before tuning, 1\N{NARROW NO-BREAK SPACE}371 "
        "better (95 % CI 1\N{NARROW NO-BREAK SPACE}290 to 1\N{NARROW NO-BREAK SPACE}500; 50 test rows): significant.",
    ]
    assert verdict([Score("chrf", 9.0, 8.0, 10.0, 50)], {}, {}, "chrf")[0].startswith("chrF (0 to 100) 9.00")
