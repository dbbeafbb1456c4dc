from __future__ import annotations

import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from tunebook.families.text_regression.head import RegressionHead
from tunebook.statistics.number_metrics import number_metrics

ANSWERS, TRUTH = torch.tensor([[3.0], [5.0], [8.0]]), torch.tensor([1.0, 5.0, 9.0])


def test_the_loss_is_the_squared_error_in_deviations_of_the_training_rows() -> None:
    head = RegressionHead().standardised(2.0)
    assert head.loss(ANSWERS, TRUTH).tolist() == pytest.approx([1.0, 0.0, 0.25])
    assert head.errors(ANSWERS, TRUTH).tolist() == pytest.approx([1.0, 0.0, -0.5])
    assert RegressionHead().loss(ANSWERS, TRUTH).tolist() == pytest.approx([4.0, 0.0, 1.0])


def test_a_head_of_ones_own_counts_its_errors_in_the_same_unit() -> None:
    class Absolute(RegressionHead):
        def loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return self.errors(logits, target).abs()

    made = Absolute().standardised(2.0)
    assert isinstance(made, Absolute)
    assert made.loss(ANSWERS, TRUTH).tolist() == pytest.approx([1.0, 0.0, 0.5])


def test_answers_and_metrics_are_in_the_users_units() -> None:
    head, metrics = RegressionHead().standardised(2.0), number_metrics()
    assert head.decide(head.probabilities(ANSWERS)).tolist() == [3.0, 5.0, 8.0]
    for part in (slice(0, 2), slice(2, 3)):  # as batches of validation come
        head.measure(metrics, ANSWERS[part], torch.zeros(0), {"target": TRUTH[part]})
    found = {name: float(value) for name, value in metrics.compute().items()}
    assert found["rmse"] == pytest.approx(root_mean_squared_error(TRUTH, ANSWERS[:, 0]))
    assert found["mae"] == pytest.approx(mean_absolute_error(TRUTH, ANSWERS[:, 0]))
    assert found["r2"] == pytest.approx(r2_score(TRUTH, ANSWERS[:, 0]))
    assert found["spearman"] == pytest.approx(1.0, abs=1e-5)


def test_one_validation_row_has_no_r2_and_raises_nothing() -> None:
    metrics = number_metrics()
    RegressionHead().measure(metrics, ANSWERS[:1], torch.zeros(0), {"target": TRUTH[:1]})
    assert torch.isnan(metrics.compute()["r2"])
