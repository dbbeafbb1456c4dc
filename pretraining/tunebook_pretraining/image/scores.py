"""The share of test pictures whose formula is recognised, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tunebook.progress import counting
from tunebook.statistics.intervals import Score, wilson
from tunebook.training.devices import choose_accelerator
from tunebook.training.parameter_groups import count_parameters

from ..evidence import PretrainingEvidence

if TYPE_CHECKING:
    from tunebook.families.prepared import Prepared

    from ..stages import Pretrained


def judge(prepared: Prepared[Any], predictor: Pretrained) -> PretrainingEvidence:
    """Score the model that was read back."""
    right, rows = _right(prepared, predictor.model), len(prepared.encoded.splits["test"])
    confidence = prepared.config.evaluation.confidence
    low, high = wilson(right, rows, confidence)
    score = Score("accuracy", right / rows, low, high, rows, confidence, "wilson")
    facts = {"parameters with the classifier": f"{count_parameters(predictor.model)[1]}"}
    return PretrainingEvidence(prepared.recipe, [score], "test pictures", facts=facts)


@torch.no_grad()
def _right(prepared: Prepared[Any], model: nn.Module, size: int = 64) -> int:
    """Number of test pictures whose formula is recognised."""
    examples, head = prepared.encoded.splits["test"], prepared.recipe.head(prepared.labels)
    device = torch.device(choose_accelerator(prepared.config.trainer))
    model = model.to(device).eval()
    right = 0
    with counting("test pictures", len(examples), prepared.config.trainer.progress) as advance:
        for start in range(0, len(examples), size):
            items = [examples.items[i] for i in range(start, min(start + size, len(examples)))]
            batch = prepared.encoded.collate(items)
            batch["inputs"] = batch["inputs"].to(device)
            answers = head.decide(head.probabilities(head.forward(model, batch)))
            right += int((answers.cpu() == batch["target"]).sum())
            advance(len(items))
    return right
