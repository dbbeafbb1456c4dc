"""Loss and perplexity of the test blocks, each with its interval."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tunebook.progress import counting
from tunebook.statistics.intervals import Score, bootstrap_rows
from tunebook.training.devices import choose_accelerator
from tunebook.training.parameter_groups import count_parameters

from ..evidence import PretrainingEvidence
from .head import NextTokenHead

if TYPE_CHECKING:
    from tunebook.config.score import ScoreConfig
    from tunebook.data.encoded import Encoded
    from tunebook.families.prepared import Prepared

    from ..stages import Pretrained


def judge(prepared: Prepared[Any], predictor: Pretrained) -> PretrainingEvidence:
    """Score the model that was read back."""
    config = prepared.config
    device = torch.device(choose_accelerator(config.trainer))
    losses = block_losses(predictor.model, prepared.encoded, device, config.trainer.progress)
    scores = score(losses, config.evaluation, config.seed)
    facts = {"parameters": f"{count_parameters(predictor.model)[1]}"}
    return PretrainingEvidence(prepared.recipe, scores, "test blocks", facts=facts)


@torch.no_grad()
def block_losses(model: nn.Module, encoded: Encoded, device: torch.device, progress: bool, size: int = 8) -> np.ndarray:
    """Mean loss of each test block in nats, ``[blocks]``."""
    head, examples = NextTokenHead(), encoded.splits["test"]
    model = model.to(device).eval()
    losses = []
    with counting("test blocks", len(examples), progress) as advance:
        for start in range(0, len(examples), size):
            items = [examples.items[i] for i in range(start, min(start + size, len(examples)))]
            batch = encoded.collate(items)
            batch["inputs"]["input_ids"] = batch["inputs"]["input_ids"].to(device)
            losses.append(head.loss(head.forward(model, batch), batch["target"].to(device)).cpu())
            advance(len(items))
    return torch.cat(losses).double().numpy()


def score(losses: np.ndarray, config: ScoreConfig, seed: int) -> list[Score]:
    """Loss and perplexity with a percentile interval from a bootstrap over blocks."""
    low, high = bootstrap_rows(
        lambda blocks: float(losses[blocks].mean()), len(losses), config.resamples, config.confidence, seed
    )
    loss = Score(
        "loss", float(losses.mean()), low, high, len(losses), config.confidence, "bootstrap", higher_is_better=False
    )
    value, low, high = (math.exp(nats) for nats in (loss.value, low, high))
    return [loss, replace(loss, name="perplexity", value=value, low=low, high=high)]
