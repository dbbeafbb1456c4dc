from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    BinaryAUROC,
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassCalibrationError,
    MulticlassF1Score,
    MulticlassRecall,
)

from tunebook.statistics.metrics import LabelDistance, looks_at, update_metrics
from tunebook.statistics.predictions import Predictions


def test_label_distance_averages_steps_over_all_batches() -> None:
    metric = LabelDistance()
    metric.update(torch.tensor([0, 4, 2]), torch.tensor([1, 1, 2]))
    metric.update(torch.tensor([[0.1, 0.2, 0.7]]), torch.tensor([0]))
    assert metric.compute().item() == pytest.approx((1 + 3 + 0 + 2) / 4)
    metric.reset()
    metric.update(torch.tensor([2]), torch.tensor([2]))
    assert metric.compute() == 0


def test_label_distance_adds_up_over_processes() -> None:
    here, there, whole = LabelDistance(), LabelDistance(), LabelDistance()
    answers, truth = torch.tensor([0, 4, 2]), torch.tensor([1, 1, 2])
    here.update(answers[:1], truth[:1])
    there.update(answers[1:], truth[1:])
    whole.update(answers, truth)
    here.merge_state(there)
    assert here.compute() == whole.compute()


def test_each_metric_is_fed_with_what_it_judges(make_predictions: Callable[..., Predictions]) -> None:
    rows = make_predictions()
    probabilities, target = torch.from_numpy(rows.probabilities), torch.from_numpy(rows.target)
    answers = (torch.from_numpy(rows.predicted) + 1) % 3  # a head with a rule of its own
    metrics = MetricCollection(
        {
            "accuracy": MulticlassAccuracy(3, average="micro"),
            "macro_f1": MulticlassF1Score(3, average="macro"),
            "recall": MulticlassRecall(3, average="macro"),
            "auroc": MulticlassAUROC(3),
            "calibration": MulticlassCalibrationError(3),
        },
        prefix="validation/",
    )
    for start in (0, 30):  # two batches: metrics of one compute group must not be counted twice
        part = slice(start, 30 if start == 0 else None)
        update_metrics(metrics, probabilities[part], answers[part], target[part])
    found = metrics.compute()
    for name, metric, given in (
        ("accuracy", MulticlassAccuracy(3, average="micro"), answers),
        ("macro_f1", MulticlassF1Score(3, average="macro"), answers),
        ("recall", MulticlassRecall(3, average="macro"), answers),
        ("auroc", MulticlassAUROC(3), probabilities),
        ("calibration", MulticlassCalibrationError(3), probabilities),
    ):
        assert found[f"validation/{name}"].item() == pytest.approx(metric(given, target).item()), name


def test_metrics_are_told_apart_by_what_they_judge() -> None:
    assert looks_at(MulticlassAccuracy(3)) == "answers"
    assert looks_at(MulticlassCalibrationError(3)) == "probabilities"
    assert looks_at(BinaryAUROC()) == "ranking"
