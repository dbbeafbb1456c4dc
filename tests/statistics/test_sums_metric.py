"""A metric that adds up rows gives what the sums over all rows give, however they are batched."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torchmetrics import MetricCollection

from tunebook.statistics.sums import ratio
from tunebook.statistics.sums_metric import SumsMetric


def found_and_there(answers: torch.Tensor, target: torch.Tensor) -> np.ndarray:
    """Twice what is found rightly, and found plus there, of flags ``[rows, parts]``."""
    both = 2 * (answers & target).sum(dim=1)
    return torch.stack([both, answers.sum(dim=1) + target.sum(dim=1)], dim=1).double().numpy()


def test_batches_add_up_to_the_whole() -> None:
    draw = torch.Generator().manual_seed(0)
    answers, target = (torch.rand(40, 7, generator=draw) < 0.4 for _ in range(2))
    metrics = MetricCollection({"f1": SumsMetric(found_and_there, 2, ratio)})
    cloned = metrics.clone(prefix="validation/")
    for start in range(0, 40, 16):
        cloned.update(answers[start : start + 16], target[start : start + 16])
    expected = f1_score(target.flatten().numpy(), answers.flatten().numpy())
    assert float(cloned.compute()["validation/f1"]) == pytest.approx(expected)
    assert float(metrics["f1"].sums.sum()) == 0  # the one that was cloned saw nothing
    nothing = torch.zeros(3, 7, dtype=torch.bool)
    cloned.reset()
    cloned.update(nothing, nothing)
    assert np.isnan(float(cloned.compute()["validation/f1"]))
