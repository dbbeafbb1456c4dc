from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sklearn.metrics import f1_score, mean_absolute_error, roc_auc_score, top_k_accuracy_score
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryAUROC,
    BinaryF1Score,
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassCalibrationError,
    MulticlassCohenKappa,
    MulticlassF1Score,
)

from tunebook.statistics.metrics import Decided, LabelDistance, label_order, metric_input, update_metrics
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


def test_metrics_are_given_probabilities_and_decided_ones_the_answers(
    make_predictions: Callable[..., Predictions],
) -> None:
    rows = make_predictions()
    probabilities, target = torch.from_numpy(rows.probabilities), torch.from_numpy(rows.target)
    answers = (torch.from_numpy(rows.predicted) + 1) % 3  # a head with a rule of its own
    metrics = MetricCollection(
        {
            "likeliest": MulticlassAccuracy(3, average="micro"),
            "accuracy": Decided(MulticlassAccuracy(3, average="micro")),
            "macro_f1": Decided(MulticlassF1Score(3, average="macro")),
            "top_two": MulticlassAccuracy(3, average="micro", top_k=2),
            "auroc": MulticlassAUROC(3),
            "calibration": MulticlassCalibrationError(3),
            "distance": Decided(LabelDistance()),
        },
        prefix="validation/",
    )
    for _ in range(2):  # the second time after a reset
        metrics.reset()
        for start in (0, 30):  # two batches: metrics of one compute group must not be counted twice
            part = slice(start, 30 if start == 0 else None)
            update_metrics(metrics, probabilities[part], answers[part], target[part])
    found = {name.removeprefix("validation/"): value.item() for name, value in metrics.compute().items()}
    truth, decided, likeliest = target.numpy(), answers.numpy(), rows.probabilities.argmax(1)
    assert found["likeliest"] == pytest.approx((likeliest == truth).mean())
    assert found["accuracy"] == pytest.approx((decided == truth).mean())
    assert found["macro_f1"] == pytest.approx(f1_score(truth, decided, average="macro"))
    assert found["top_two"] == pytest.approx(top_k_accuracy_score(truth, rows.probabilities, k=2))
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, rows.probabilities, multi_class="ovr"), abs=1e-6)
    assert found["calibration"] == pytest.approx(MulticlassCalibrationError(3)(probabilities, target).item())
    assert found["distance"] == pytest.approx(mean_absolute_error(truth, decided))


def test_a_metric_of_two_labels_is_given_the_probability_of_the_second() -> None:
    two = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    assert metric_input(BinaryAUROC(), two, torch.tensor([0, 1])).tolist() == pytest.approx([0.1, 0.8])
    assert metric_input(Decided(BinaryF1Score()), two, torch.tensor([0, 1])).tolist() == [0, 1]
    with pytest.raises(ValueError, match="BinaryAUROC is of two labels, and there are 3"):
        metric_input(BinaryAUROC(), torch.rand(4, 3), torch.tensor([0, 1, 2, 0]))


def test_sums_that_round_over_one_are_not_taken_for_logits() -> None:
    probabilities = torch.tensor([[1 + 1e-7, -1e-7, 0.0], [0.2, 0.5, 0.3]])
    metric = MulticlassCalibrationError(3)
    metric.update(metric_input(metric, probabilities, torch.tensor([0, 1])), torch.tensor([0, 1]))
    assert metric.compute().item() == pytest.approx(0.25)  # (1 - 1 and 1 - 0.5) / 2; of a softmax it would be more


def test_a_decided_metric_is_as_good_high_or_low_as_the_one_inside() -> None:
    assert Decided(LabelDistance()).higher_is_better is False
    assert Decided(MulticlassAccuracy(3)).higher_is_better is True


@pytest.mark.parametrize(
    ("metric", "order"),
    [
        (MulticlassAccuracy(3), "any"),
        (MulticlassCohenKappa(3), "any"),
        (Decided(MulticlassCohenKappa(3, weights="quadratic")), "reversible"),
        (Decided(LabelDistance()), "reversible"),
        (BinaryF1Score(), "fixed"),
    ],
)
def test_a_metric_says_what_it_makes_of_the_order_of_labels(metric: Metric, order: str) -> None:
    assert label_order(metric) == order
