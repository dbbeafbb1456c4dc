from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torchmetrics import MetricCollection

from tunebook.statistics.finding_metrics import FindingAUROC, FindingAveragePrecision
from tunebook.statistics.metrics import metric_input, update_metrics
from tunebook.statistics.ranking import auroc


def _batch(n: int = 90, findings: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    make = torch.Generator().manual_seed(seed)
    target = (torch.rand(n, findings, generator=make) < 0.3).long()
    return (torch.rand(n, findings, generator=make) + 0.3 * target) / 1.3, target


@pytest.mark.parametrize(
    "metric,reference", [(FindingAUROC, roc_auc_score), (FindingAveragePrecision, average_precision_score)]
)
def test_findings_are_averaged_over_all_batches(metric: type, reference: object) -> None:
    preds, target = _batch()
    found = metric()
    found.update(preds[:40], target[:40])
    found.update(preds[40:], target[40:])
    assert found.compute().item() == pytest.approx(reference(target.numpy(), preds.numpy()), abs=1e-6)
    found.reset()
    assert len(found.preds) == 0


def test_labels_are_told_from_findings_by_their_columns() -> None:
    random = np.random.default_rng(1)
    target, preds = random.integers(0, 4, 80), random.dirichlet(np.ones(4), 80).astype(np.float32)
    metric = FindingAUROC(columns=(1, 3))
    metric.update(torch.from_numpy(preds), torch.from_numpy(target))
    expected = np.mean([roc_auc_score(target == i, preds[:, i]) for i in (1, 3)])
    assert metric.compute().item() == pytest.approx(expected, abs=1e-6)


def test_findings_of_one_class_are_left_out() -> None:
    preds, target = _batch()
    target[:, 0], target[:, 2] = 0, 1
    metric = FindingAUROC()
    metric.update(preds, target)
    assert metric.compute().item() == pytest.approx(float(auroc(target[:, 1].numpy(), preds[:, 1].numpy())), abs=1e-6)
    metric.reset()
    metric.update(preds[:5], torch.zeros(5, 3))
    assert torch.isnan(metric.compute())


def test_half_precision_and_nan_are_taken_as_they_come() -> None:
    preds, target = _batch(findings=1)
    metric = FindingAUROC()
    metric.update(preds.bfloat16(), target)
    expected = roc_auc_score(target.numpy(), preds.bfloat16().float().numpy())
    assert metric.compute().item() == pytest.approx(expected, abs=1e-6)
    metric.update(torch.full((1, 1), float("nan")), torch.ones(1, 1))
    assert torch.isnan(metric.compute())


def test_processes_are_joined() -> None:
    preds, target = _batch()
    here, there = FindingAUROC(), FindingAUROC()
    here.update(preds[:30], target[:30])
    there.update(preds[30:], target[30:])
    here.merge_state(there)
    assert here.compute().item() == pytest.approx(roc_auc_score(target.numpy(), preds.numpy()), abs=1e-6)
    synced = FindingAUROC()  # what synchronising leaves behind: one tensor a state
    synced.update(preds, target)
    synced.preds, synced.target = torch.cat(synced.preds), torch.cat(synced.target)
    assert synced.compute().item() == pytest.approx(here.compute().item())


def test_a_collection_hands_them_probabilities_without_a_warning() -> None:
    preds, target = _batch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = MetricCollection({"auroc": FindingAUROC(), "precision": FindingAveragePrecision()})
        for metric in metrics.values():
            assert metric_input(metric, preds, preds > 0.5).equal(preds)
        for part in (slice(0, 50), slice(50, None)):
            update_metrics(metrics, preds[part], preds[part] > 0.5, target[part])
        found = metrics.compute()
    assert found["auroc"].item() == pytest.approx(roc_auc_score(target.numpy(), preds.numpy()), abs=1e-6)
    expected = average_precision_score(target.numpy(), preds.numpy())
    assert found["precision"].item() == pytest.approx(expected, abs=1e-6)
