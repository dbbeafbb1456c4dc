from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np
import pytest
import sacrebleu
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, cohen_kappa_score, f1_score, roc_auc_score
from torchmetrics.classification import MulticlassAUROC, MulticlassF1Score

from tunebook.compare.statistics.rung_score import score_of_rung
from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.overlap import bleu
from tunebook.families.text_generation.metrics.perplexity import perplexity
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.metric_outcome import MetricOutcome, metric_outcomes
from tunebook.statistics.outcomes import ConfusionOutcome, confusion_outcome, label_outcomes, sums_outcome
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.ranking import midranks
from tunebook.statistics.ranking_outcome import ranking_outcome

MakePredictions = Callable[..., Predictions]
REFERENCES: dict[str, Callable[[Any, Any], float]] = {
    "macro_f1": lambda truth, answers: f1_score(truth, answers, average="macro"),
    "quadratic_kappa": lambda truth, answers: cohen_kappa_score(truth, answers, weights="quadratic"),
    "accuracy": lambda truth, answers: np.mean(truth == answers),
    "mean_absolute_error": lambda truth, answers: np.mean(abs(truth - answers)),
}


def drawn(units: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=3)


def swapped(units: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 2, size=(3, units))


@pytest.mark.parametrize("name", list(REFERENCES))
def test_resampled_and_exchanged_answers_are_scored_as_scikit_learn_scores_the_rows(
    make_predictions: MakePredictions, name: str
) -> None:
    one = make_predictions(seed=0)
    other = replace(one, predicted=make_predictions(seed=5).predicted)
    run, theirs = confusion_outcome(one, name), confusion_outcome(other, name)
    for counts, value in zip(drawn(80), run.scores(drawn(80)), strict=True):
        rows = np.repeat(np.arange(80), counts)
        assert value == pytest.approx(REFERENCES[name](one.target[rows], one.predicted[rows]))
    for swaps, value in zip(swapped(80), run.exchanged(theirs, swapped(80)), strict=True):
        mixed = np.where(swaps == 1, other.predicted, one.predicted)
        assert value == pytest.approx(REFERENCES[name](one.target, mixed))


def test_groups_are_drawn_and_exchanged_whole(make_predictions: MakePredictions) -> None:
    groups = np.array(["x", "y", "z", "y"] * 20)
    one = replace(make_predictions(), groups=groups)
    run = confusion_outcome(one, "accuracy")
    assert (run.units, run.evidence) == (3, 3)
    counts = np.array([[2, 0, 1]])
    rows = np.repeat(np.arange(80), np.select([groups == "x", groups == "y"], [2, 0], 1))
    assert run.scores(counts)[0] == pytest.approx(np.mean((one.target == one.predicted)[rows]))
    other = replace(one, predicted=(one.predicted + 1) % 3)
    mixed = np.where(groups == "y", other.predicted, one.predicted)
    assert run.exchanged(confusion_outcome(other, "accuracy"), np.array([[0, 1, 0]]))[0] == pytest.approx(
        np.mean(mixed == one.target)
    )


def test_a_perfect_class_is_bounded_by_its_own_rows(make_predictions: MakePredictions) -> None:
    target = np.array([0] * 4 + [1] * 60 + [2] * 16)
    answers = replace(make_predictions(), target=target, predicted=np.where(target == 2, 1, target))
    runs = label_outcomes(answers)
    assert [runs[name].evidence for name in "abc"] == [4, 76, 16]
    score = score_of_rung([runs["a"]], "f1", 80, higher_is_better=True)
    assert (score.value, score.high) == (1.0, 1.0)
    assert score.low == pytest.approx(binomtest(4, 4).proportion_ci(method="wilson").low, abs=1e-6)
    grouped = label_outcomes(replace(answers, groups=np.array(["x", "y"] * 40)))
    assert grouped["a"].evidence == 2, "rows of one group are one piece of evidence"


@pytest.mark.parametrize("name,reference", [("auroc", roc_auc_score), ("average_precision", average_precision_score)])
def test_rankings_are_scored_as_scikit_learn_scores_them(
    make_findings: Callable[..., FindingPredictions], name: str, reference: Any
) -> None:
    one = make_findings(findings=2, decimals=2)
    other = replace(one, probabilities=make_findings(findings=2, seed=3).probabilities)
    run, theirs = ranking_outcome(one, name), ranking_outcome(other, name)
    assert run.evidence == min(one.target.sum(0).min(), (1 - one.target).sum(0).min())
    counts, swaps = drawn(120), swapped(120)
    for draw, value in zip(counts, run.scores(counts), strict=True):
        rows = np.repeat(np.arange(120), draw)
        expected = [reference(one.target[rows, i], one.probabilities[rows, i]) for i in range(2)]
        assert value == pytest.approx(np.mean(expected))
    for draw, value in zip(swaps, run.exchanged(theirs, swaps), strict=True):
        expected = []
        for i in range(2):
            ranks = [midranks(each.probabilities[:, i]) for each in (one, other)]
            expected.append(reference(one.target[:, i], np.where(draw == 1, ranks[1], ranks[0])))
        assert value == pytest.approx(np.mean(expected))


def test_written_answers_are_scored_as_sacrebleu_scores_them() -> None:
    texts = [f"the parcel number {i} comes on day {i % 5} at {i % 7} o'clock" for i in range(30)]
    outputs = [text.replace("comes", "arrives") if i % 3 else text for i, text in enumerate(texts)]
    others = [text.replace("parcel number", "box") for text in texts]
    one, other = (
        GeneratedAnswers([""] * 30, [[text] for text in texts], given, [""] * 30, list(range(30)))
        for given in (outputs, others)
    )
    run, theirs = sums_outcome(bleu(one)), sums_outcome(bleu(other))
    swaps = swapped(30)
    for draw, value in zip(swaps, run.exchanged(theirs, swaps), strict=True):
        mixed = [others[i] if swap else outputs[i] for i, swap in enumerate(draw)]
        streams = [list(each) for each in zip_longest(*one.references)]
        assert value == pytest.approx(sacrebleu.corpus_bleu(mixed, streams, force=True).score)
    assert run.limits == (0.0, 100.0)


def test_perplexity_weighs_rows_by_their_tokens() -> None:
    run = sums_outcome(perplexity([2.0, 30.0, 0.0], [2, 10, 0]), np.array(["a", "b", "b"]))
    assert (run.units, run.evidence, run.limits) == (2, 2, (1.0, float("inf")))
    assert run.scores(np.array([[1, 1], [2, 0]])) == pytest.approx(np.exp([32 / 12, 1.0]))


def test_any_other_metric_is_computed_anew_from_the_rows(make_predictions: MakePredictions) -> None:
    one = make_predictions()
    other = make_predictions(seed=0)
    other = replace(other, probabilities=other.probabilities[:, [1, 0, 2]])
    runs = metric_outcomes(MulticlassAUROC(3), [one, other])
    assert all(isinstance(run, MetricOutcome) for run in runs)
    counts, swaps = drawn(80), swapped(80)
    rows = np.repeat(np.arange(80), counts[0])
    expected = roc_auc_score(one.target[rows], one.probabilities[rows], multi_class="ovr")
    assert runs[0].scores(counts)[0] == pytest.approx(expected, abs=1e-6)
    mixed = np.where(swaps[0][:, None] == 1, other.probabilities, one.probabilities)
    expected = roc_auc_score(one.target, mixed, multi_class="ovr")
    assert runs[0].exchanged(runs[1], swaps)[0] == pytest.approx(expected, abs=1e-6)
    confusions = metric_outcomes(MulticlassF1Score(3, average="macro"), [one, other])
    assert all(isinstance(run, ConfusionOutcome) for run in confusions)


def test_answers_to_other_rows_are_refused(make_predictions: MakePredictions) -> None:
    one, other = confusion_outcome(make_predictions(), "accuracy"), make_predictions(seed=1)
    swaps = swapped(80)
    for wrong in (
        confusion_outcome(other, "accuracy"),
        confusion_outcome(make_predictions(), "macro_f1"),
        confusion_outcome(make_predictions(n=40), "accuracy"),
    ):
        with pytest.raises(ValueError, match="same test rows"):
            one.exchanged(wrong, swaps)
    with pytest.raises(ValueError, match="same test rows"):
        metric_outcomes(MulticlassAUROC(3), [make_predictions(), other])
