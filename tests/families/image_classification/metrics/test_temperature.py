from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.calibrated import simulated
from tunebook.families.image_classification.metrics.temperature import fit_head_temperature
from tunebook.recipe import Head
from tunebook.statistics.temperature import fit_temperature
from tunebook.training.softmax_head import FindingsHead, SoftmaxHead


class OwnSoftmax(SoftmaxHead):
    """The same probabilities, by a rule that is not known from outside."""

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        raised = (logits - logits.max(dim=-1, keepdim=True).values).exp()
        return raised / raised.sum(dim=-1, keepdim=True)


class OwnSigmoid(FindingsHead):
    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return 1 / (1 + (-logits).exp())


@pytest.mark.parametrize(("head", "own"), [(SoftmaxHead(4), OwnSoftmax(4)), (FindingsHead(4), OwnSigmoid(4))])
def test_the_temperature_is_that_of_the_heads_own_probabilities(head: Head, own: Head) -> None:
    logits, target = simulated(2.0, head.multilabel, 80)
    usual = fit_head_temperature(head, logits, target)
    assert usual == fit_temperature(logits, target, head.multilabel)
    found = fit_head_temperature(own, logits, target)
    assert found.value == pytest.approx(usual.value, rel=1e-4) and found.note is None


def test_a_head_whose_probabilities_say_nothing_of_it_is_told() -> None:
    logits, _ = simulated(1.0, False, 50)
    certain = fit_head_temperature(OwnSoftmax(4), logits, logits.argmax(1))
    assert certain.value == 0.05 and "bound" in str(certain.note)

    class Deaf(SoftmaxHead):
        def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
            return torch.full_like(logits, 1 / logits.shape[1])

    alike = fit_head_temperature(Deaf(4), logits, logits.argmax(1))
    assert alike.value == 1.0 and "are equal" in str(alike.note)
    assert fit_head_temperature(OwnSoftmax(4), np.zeros((0, 4)), np.zeros(0, dtype=int)).value == 1.0
