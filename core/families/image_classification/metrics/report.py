"""The report of an image classifier: how well each finding is detected, at which thresholds, and where it is missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tunebook.families.image_classification.metrics.curves import reliability_figure, roc_figure
from tunebook.families.image_classification.metrics.operating import OperatingPoint
from tunebook.families.image_classification.metrics.operating_scores import PointScores
from tunebook.families.image_classification.metrics.subgroups import SubgroupRow
from tunebook.report import figures
from tunebook.report.finding_curves import pr_figure
from tunebook.report.report import Cell, Figure, Gallery, Picture, Report, Section, Table, Text, show_name
from tunebook.report.subgroups import NOTE, few, left_out_note, score_cell
from tunebook.report.tables import counts_table, facts_tables, scores_table
from tunebook.report.verdicts import verdict
from tunebook.statistics.difference import Difference
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import Score
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.subgroups import LEAST

FEW = 20
"""Fewest validation rows with a finding, or without it, for its thresholds to be trusted at all."""
_SUBGROUP_SCORES = ("auroc", "sensitivity", "specificity")


@dataclass(frozen=True)
class FindingEvidence:
    """All that was measured of an image classifier on some rows.

    Attributes:
        predictions: Its probabilities of each finding.
        answers: Its one answer a row; None where a row may have several findings.
        scores: Of the model as a whole.
        baselines: Baseline -> its scores.
        differences: Baseline -> metric -> model minus baseline.
        by_finding: Finding -> its scores.
        at_points: Scores at each operating point.
        subgroups: Scores of each subgroup.
        gallery: The worst mistakes.
    """

    predictions: FindingPredictions
    answers: Predictions | None
    scores: Sequence[Score]
    baselines: Mapping[str, Sequence[Score]]
    differences: Mapping[str, Mapping[str, Difference]]
    by_finding: Mapping[str, Sequence[Score]]
    at_points: Sequence[PointScores] = ()
    subgroups: Sequence[SubgroupRow] = ()
    gallery: Sequence[Picture] = field(default_factory=list)


def findings_report(
    title: str,
    evidence: FindingEvidence,
    *,
    watch: str,
    subtitle: str = "",
    cautions: Sequence[str] = (),
    notes: Sequence[str] = (),
    history: Sequence[Mapping[str, Any]] = (),
    split_counts: Mapping[str, Mapping[str, int]] | None = None,
    data_facts: Mapping[str, str] | None = None,
    config_facts: Mapping[str, str] | None = None,
    name: str = "tuned",
    own: Sequence[Section] = (),
) -> Report:
    """Put the evidence about an image classifier together.

    Args:
        title: Name of the recipe.
        evidence: What was measured.
        watch: Metric that the verdict speaks of.
        subtitle: Model, adaptation, time: one line.
        cautions: What must be said of the model's use.
        notes: Anything a reader must know, one paragraph each.
        history: Rows for `figures.learning_curve`.
        split_counts: Split -> label -> rows.
        data_facts: What became of the rows: what -> how many.
        config_facts: Config key -> value.
        name: What the model is called.
        own: Further sections about groups of rows.
    """
    found = evidence.predictions
    sections: list[Section] = []
    if cautions:
        sections.append(Text("Use", cautions))
    sections.append(_scores_table(evidence, name))
    if notes:
        sections.append(Text("Notes", notes))
    sections.append(_finding_table(evidence))
    if evidence.at_points:
        sections.append(_points_table(evidence.at_points))
    if len(found):
        points = [scored.point for scored in evidence.at_points]
        sections += [
            Figure("ROC curves", roc_figure(found, points), "Marks are the operating points, on these test rows."),
            Figure("Precision and recall", pr_figure(found), "Recall is the sensitivity; precision falls with rarity."),
            Figure(
                "Reliability",
                reliability_figure(found),
                "On the dashed line probabilities match frequencies.",
            ),
        ]
    if evidence.answers is not None:
        confusion = figures.confusion_matrix(evidence.answers.confusion(), evidence.answers.labels)
        sections.append(Figure("Confusion matrix", confusion, "Rows are the truth, columns the answers."))
    if evidence.subgroups:
        sections.append(_subgroup_table(evidence.subgroups))
    sections += own
    if evidence.gallery:
        note = (
            "The most confident wrong answers, with Grad-CAM heat maps of the finding named (Selvaraju et al., 2017): "
            "a hint, not an explanation."
        )
        sections.append(Gallery("Worst mistakes", evidence.gallery, note))
    if history:
        sections.append(Figure("Learning curve", figures.learning_curve(history)))
    if split_counts:
        sections.append(counts_table("Rows of each label", "label", split_counts))
    sections += facts_tables(data_facts, config_facts)
    summary = verdict(evidence.scores, evidence.baselines, evidence.differences, watch)
    return Report(title, subtitle, [*summary, *cautions[:1]], sections)


def _scores_table(evidence: FindingEvidence, name: str) -> Table:
    several = len(evidence.predictions.findings) > 1
    notes = ["AUROC and average precision are means over the findings."] if several else []
    return scores_table({name: evidence.scores, **evidence.baselines}, notes)


def _finding_table(evidence: FindingEvidence) -> Table:
    found = evidence.predictions
    names = [score.name for score in next(iter(evidence.by_finding.values()), ())]
    rows: list[list[Cell]] = []
    for i, finding in enumerate(found.findings):
        positives = int(found.target[:, i].sum())
        rows.append([finding, positives, len(found) - positives, *evidence.by_finding[finding]])
    reasons = sorted({s.reason for scores in evidence.by_finding.values() for s in scores if s.reason})
    columns = ["finding", "with", "without", *(show_name(name) for name in names)]
    note = "The calibration error here is of the finding's own probability; above, of the answer that was given."
    return Table("Finding by finding", columns, rows, "; ".join([note, *reasons]))


def point_in_words(point: OperatingPoint) -> str:
    """An operating point as a person reads it."""
    where = (
        f"from {point.high:.4f}" if point.low == point.high else f"below {point.low:.4f} no, from {point.high:.4f} yes"
    )
    chosen = f"{point.n_positive} validation rows with and {point.n_negative} without it"
    return f"{point.name}, {point.finding}: {point.rule}, {where}; chosen on {chosen}" + (
        f" ({point.note})" if point.note else ""
    )


def scores_in_words(scored: PointScores) -> str:
    """What an operating point gives on the test rows, in a line."""
    point = scored.point
    reported = [scored.sensitivity, scored.specificity] + ([scored.answered] if point.low < point.high else [])
    shares = [
        f"{show_name(s.name)} {s.value:.3f} ({s.low:.3f} to {s.high:.3f}, n = {s.n})"
        if s.defined
        else f"{show_name(s.name)} undefined ({s.reason})"
        for s in reported
    ]
    return f"{point.name} ({point.finding}, {point.rule}): {', '.join(shares)}"


def _points_table(at_points: Sequence[PointScores]) -> Table:
    rows: list[list[Cell]] = []
    for scored in at_points:
        point = scored.point
        threshold = f"{point.high:.3f}" if point.low == point.high else f"{point.low:.3f}, {point.high:.3f}"
        shares = [scored.sensitivity, scored.specificity, scored.ppv, scored.npv, scored.answered]
        rows.append([f"{point.name}: {point.rule}", point.finding, threshold, *shares])
    notes = dict.fromkeys(f"{s.point.name}, {s.point.finding}: {s.point.note}." for s in at_points if s.point.note)
    reasons = dict.fromkeys(
        f"{s.name}: {s.reason}." for p in at_points for s in (p.sensitivity, p.specificity, p.ppv, p.npv) if s.reason
    )
    note = (
        "Thresholds were chosen on the validation rows; these are their results on the test rows. "
        "Predictive values hold at the prevalence of these rows."
    )
    columns = ["point", "finding", "threshold", "sensitivity", "specificity", "PPV", "NPV", "answered"]
    return Table("Operating points", columns, rows, " ".join([note, *notes, *reasons]))


def _subgroup_table(subgroups: Sequence[SubgroupRow]) -> Table:
    rows: list[list[Cell]] = []
    shown = [row for row in subgroups if row.n >= LEAST]
    for row in shown:
        n, positives = (few(count) for count in (row.n, row.positives))
        rows.append(
            [
                row.column,
                row.value,
                row.finding,
                n,
                positives,
                *(score_cell(getattr(row, score)) for score in _SUBGROUP_SCORES),
            ]
        )
    note = NOTE + left_out_note(len(subgroups) - len(shown))
    columns = ["column", "value", "finding", "rows", "with it", "AUROC", "sensitivity", "specificity"]
    return Table("Subgroups", columns, rows, note)


def subgroups_to_json(subgroups: Sequence[SubgroupRow]) -> list[dict[str, Any]]:
    """Scores of subgroups as plain values; counts of few rows are None, as the report hides them."""
    cells = []
    for row in subgroups:
        plain = asdict(row)
        for counted, key in ((plain, "n"), (plain, "positives"), *((plain[s] or {}, "n") for s in _SUBGROUP_SCORES)):
            if counted.get(key, LEAST) < LEAST:
                counted[key] = None
        cells.append(plain)
    return cells
