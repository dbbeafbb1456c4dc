from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryF1Score,
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassCohenKappa,
    MulticlassF1Score,
    MulticlassMatthewsCorrCoef,
    MultilabelAUROC,
    MultilabelAveragePrecision,
    MultilabelF1Score,
)

from tunebook.statistics.intervals import ROW_RESAMPLES, Score, wilson
from tunebook.statistics.made_up import made_up_predictions
from tunebook.statistics.metrics import Decided, LabelDistance
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.scores import majority, per_class, score_predictions

MakePredictions = Callable[..., Predictions]


def _metrics(labels: int) -> MetricCollection:
    return MetricCollection(
        {
            "accuracy": Decided(MulticlassAccuracy(labels, average="micro")),
            "macro_f1": Decided(MulticlassF1Score(labels, average="macro")),
            "balanced_accuracy": Decided(MulticlassAccuracy(labels, average="macro")),
            "kappa": Decided(MulticlassCohenKappa(labels, weights="quadratic")),
            "distance": Decided(LabelDistance()),
        }
    )


def _scores(metrics: MetricCollection, predictions: Predictions) -> dict[str, Score]:
    return {score.name: score for score in score_predictions(metrics, predictions, resamples=400)}


def test_values_equal_scikit_learn_and_lie_within_their_intervals(make_predictions: MakePredictions) -> None:
    rows = make_predictions(n=120, labels=4)
    scores = _scores(_metrics(4), rows)
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(rows.target, rows.predicted),
        "macro_f1": sklearn_metrics.f1_score(rows.target, rows.predicted, average="macro"),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(rows.target, rows.predicted),
        "kappa": sklearn_metrics.cohen_kappa_score(rows.target, rows.predicted, weights="quadratic"),
        "distance": sklearn_metrics.mean_absolute_error(rows.target, rows.predicted),
    }
    assert scores.keys() == expected.keys()
    for name, value in expected.items():
        assert scores[name].value == pytest.approx(value, abs=1e-9), name
        assert scores[name].low < value < scores[name].high
        assert scores[name].n == 120
        assert scores[name].method == ("wilson" if name == "accuracy" else "bootstrap")
    assert not scores["distance"].higher_is_better
    right = int((rows.target == rows.predicted).sum())
    assert (scores["accuracy"].low, scores["accuracy"].high) == wilson(right, 120)


def test_a_decided_metric_counts_answers_and_any_other_the_likeliest_labels(make_predictions: MakePredictions) -> None:
    rows = make_predictions()
    likeliest = rows.probabilities.argmax(1)
    rows = replace(rows, predicted=rows.target.copy())
    plain = MulticlassAccuracy(3, average="micro")
    scores = _scores(MetricCollection({"decided": Decided(plain), "likeliest": plain}), rows)
    assert scores["decided"].value == 1.0
    right = int((likeliest == rows.target).sum())
    assert scores["likeliest"].value == pytest.approx(right / len(rows)) and right < len(rows)
    assert (scores["likeliest"].low, scores["likeliest"].high) == wilson(right, len(rows))


class LogLoss(Metric):
    """As an author writes it, who has never heard of answers."""

    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        self.total += -preds[torch.arange(len(target)), target].log().sum()
        self.count += len(target)

    def compute(self) -> Tensor:
        return self.total / self.count


def test_own_metrics_of_probabilities_are_right_with_an_interval() -> None:
    rows = made_up_predictions("abcdefgh", 150)
    own = {"log_loss": LogLoss(), "top_three": MulticlassAccuracy(8, average="micro", top_k=3)}
    scores = _scores(MetricCollection(own), rows)
    assert scores["log_loss"].value == pytest.approx(sklearn_metrics.log_loss(rows.target, rows.probabilities))
    top_three = sklearn_metrics.top_k_accuracy_score(rows.target, rows.probabilities, k=3)
    assert scores["top_three"].value == pytest.approx(top_three)
    for score in scores.values():
        assert score.low < score.value < score.high
    assert not scores["log_loss"].higher_is_better


def test_metrics_of_rows_with_several_labels_are_given_flags() -> None:
    rows = made_up_predictions("abc", 90, multilabel=True)
    metrics = MetricCollection(
        {
            "precision": MultilabelAveragePrecision(3),
            "f1": Decided(MultilabelF1Score(3)),
            "auroc": MultilabelAUROC(3),
        }
    )
    scores = _scores(metrics, rows)
    expected = {
        "precision": sklearn_metrics.average_precision_score(rows.target, rows.probabilities),
        "f1": sklearn_metrics.f1_score(rows.target, rows.predicted, average="macro"),
        "auroc": sklearn_metrics.roc_auc_score(rows.target, rows.probabilities),
    }
    for name, value in expected.items():
        assert scores[name].value == pytest.approx(value, abs=1e-6), name
        assert scores[name].low < value < scores[name].high
    bare = replace(rows, target=np.zeros_like(rows.target))
    assert _scores(MetricCollection({"auroc": MultilabelAUROC(3)}), bare)["auroc"].reason is not None


def test_a_label_that_is_answered_but_never_true_follows_torchmetrics(
    make_predictions: MakePredictions,
) -> None:
    rows = make_predictions(labels=4, truths=3)
    assert 3 in rows.predicted
    scores = _scores(_metrics(4), rows)
    recalls = sklearn_metrics.recall_score(rows.target, rows.predicted, average=None, zero_division=0)
    assert scores["balanced_accuracy"].value == pytest.approx(recalls.mean(), abs=1e-9)
    assert scores["balanced_accuracy"].low < recalls.mean() < scores["balanced_accuracy"].high
    f1 = sklearn_metrics.f1_score(rows.target, rows.predicted, average="macro")
    assert scores["macro_f1"].value == pytest.approx(f1, abs=1e-9)


def test_any_other_metric_is_bootstrapped_by_rows_and_says_so(make_predictions: MakePredictions) -> None:
    rows = make_predictions()
    metrics = MetricCollection({"auroc": MulticlassAUROC(3), "mcc": MulticlassMatthewsCorrCoef(3)})
    scores = _scores(metrics, rows)
    auroc = sklearn_metrics.roc_auc_score(rows.target, rows.probabilities, multi_class="ovr")
    assert scores["auroc"].value == pytest.approx(auroc, abs=1e-6)
    mcc = sklearn_metrics.matthews_corrcoef(rows.target, rows.predicted)
    assert scores["mcc"].value == pytest.approx(mcc, abs=1e-6)
    for score in scores.values():
        assert score.low < score.value < score.high
        assert score.method == f"bootstrap, {ROW_RESAMPLES} resamples"


def test_a_ranking_metric_without_rows_of_a_label_is_undefined(make_predictions: MakePredictions) -> None:
    rows = make_predictions(labels=3, truths=2)
    score = _scores(MetricCollection({"auroc": MulticlassAUROC(3)}), rows)["auroc"]
    assert np.isnan([score.value, score.low, score.high]).all()
    assert score.reason == "no test row has the truth 'c'"


def test_no_rows_make_undefined_scores(make_predictions: MakePredictions) -> None:
    for score in _scores(_metrics(3), make_predictions(n=0)).values():
        assert np.isnan(score.value)
        assert score.reason == "there are no test rows"


def test_a_perfect_model_is_not_certain(make_predictions: MakePredictions) -> None:
    rows = make_predictions(n=20, labels=2)
    rows = replace(rows, predicted=rows.target.copy())
    scores = _scores(MetricCollection({"f1": Decided(BinaryF1Score()), **_metrics(2)}), rows)
    for score in scores.values():
        assert score.high - score.low > 0.1, score
    assert scores["macro_f1"].method == "wilson, no error seen"
    assert scores["f1"].method == "wilson, every resample alike"


def test_groups_are_resampled_whole(make_predictions: MakePredictions) -> None:
    rows = make_predictions(n=120, labels=2)
    wrong = np.repeat(np.arange(12) % 4 == 0, 10)  # a group is right or wrong as a whole
    rows = replace(rows, predicted=np.where(wrong, 1 - rows.target, rows.target))
    grouped = replace(rows, groups=np.repeat(np.arange(12), 10))
    for alone, together in zip(
        score_predictions(_metrics(2), rows), score_predictions(_metrics(2), grouped), strict=True
    ):
        assert together.value == alone.value
        assert together.method == "group bootstrap"
        assert together.high - together.low > 1.8 * (alone.high - alone.low)
    for row in per_class(grouped):
        assert row.f1.method == "group bootstrap"
        assert row.f1.low < row.f1.value < row.f1.high


def test_each_label_has_precision_recall_and_f1(make_predictions: MakePredictions) -> None:
    rows = make_predictions(n=100, labels=3)
    table = per_class(rows)
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(rows.target, rows.predicted)
    for i, row in enumerate(table):
        assert (row.label, row.n) == (rows.labels[i], support[i])
        for score, value in ((row.precision, precision[i]), (row.recall, recall[i]), (row.f1, f1[i])):
            assert score.value == pytest.approx(value)
            assert 0 < score.low < value < score.high < 1
    hits = int(((rows.target == 0) & (rows.predicted == 0)).sum())
    assert (table[0].recall.low, table[0].recall.high) == wilson(hits, int(support[0]))


def test_a_label_without_test_rows_has_no_recall(make_predictions: MakePredictions) -> None:
    rows = make_predictions(labels=3, truths=2)
    row = per_class(replace(rows, predicted=np.minimum(rows.predicted, 1)))[2]
    assert np.isnan([row.precision.value, row.recall.value, row.f1.value]).all()
    assert row.precision.reason == "'c' was never answered"
    assert row.recall.reason == "no test row has the truth 'c'"
    assert row.f1.reason == "'c' occurs in neither truth nor answers"


def test_majority_answers_the_commonest_training_label(make_predictions: MakePredictions) -> None:
    rows = make_predictions()
    baseline = majority([2, 5, 5], rows)
    assert set(baseline.predicted) == {1}
    assert baseline.probabilities[7] == pytest.approx([2 / 12, 5 / 12, 5 / 12])
    assert baseline.lines == rows.lines
    scores = _scores(_metrics(3), baseline)
    assert scores["accuracy"].value == pytest.approx((rows.target == 1).mean())
    assert scores["kappa"].value == pytest.approx(0)
