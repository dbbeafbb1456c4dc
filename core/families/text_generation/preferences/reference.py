"""Log-probabilities of answers under the reference model: the one before tuning, run once over the rows and cached."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tunebook.config.schema import TrainConfig
from tunebook.data.batches import BatchPlan
from tunebook.data.encoded import Encoded
from tunebook.families.family import node_as
from tunebook.families.text_generation.options import GenerationAdapt
from tunebook.families.text_generation.preferences.heads import answer_log_probs
from tunebook.families.text_generation.preferences.items import PreferenceItems, stack_sequences
from tunebook.models.features import cached_features
from tunebook.models.source import ModelSource, weights_digest
from tunebook.progress import counting
from tunebook.training.devices import choose_accelerator, choose_precision

_FORMAT = 1  # raise when the numbers change, so that old caches are not read
_SCORED = 8
"""Rows in a batch, each with two answers."""


def with_reference(
    model: nn.Module, items: PreferenceItems, encoded: Encoded, split: str, source: ModelSource, config: TrainConfig
) -> PreferenceItems:
    """The preferences with their log-probabilities under the model as it is before its first step.

    With adapters that is the base model, with them switched off. Read back from the cache where they were computed
    before: for the same weights, rows, template, number format, device and number of threads, so that they are the
    same bit for bit.
    """
    accelerator = choose_accelerator(config.trainer)
    precision = str(choose_precision(config.trainer, accelerator))
    quantized = node_as(config.adapt, GenerationAdapt).quantize
    device = next(model.parameters()).device if quantized else torch.device(accelerator)
    parts = (_FORMAT, encoded.identity[split], weights_digest(source), precision, quantized, device.type)
    threads = torch.get_num_threads() if device.type == "cpu" else ""
    key = hashlib.sha256("\n".join(map(str, (*parts, threads))).encode()).hexdigest()[:32]
    pad_id = encoded.tokenizer.tokenizer.pad_token_id

    def compute() -> np.ndarray:
        with counting(f"reference log-probabilities of {split} rows", len(items), config.trainer.progress) as advance:
            return log_probs_of(model, items, pad_id, None if quantized else device, precision, advance)

    return replace(items, reference=cached_features(Path(config.data.cache_dir), f"reference-{key}", compute))


@torch.no_grad()
def log_probs_of(
    model: nn.Module,
    items: PreferenceItems,
    pad_id: int,
    device: torch.device | None = None,
    precision: str = "32-true",
    advance: Any = lambda done: None,
) -> np.ndarray:
    """Log-probabilities of both answers of each row, without adapters, dropout or gradients, float64 ``[rows, 2]``.

    Args:
        model: A language model of transformers, with or without adapters; left where and as it was.
        items: The rows.
        pad_id: Fills what is shorter.
        device: Where to compute; None: where the model is.
        precision: As Lightning names it.
        advance: Called with how many more rows are done.
    """
    training, place = model.training, next(model.parameters()).device
    model.eval()
    if device is not None:
        model.to(device)
    at = next(model.parameters()).device
    made = np.zeros((len(items), 2))
    half = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    adapters_off = model.disable_adapter() if hasattr(model, "disable_adapter") else nullcontext()  # type: ignore[operator]
    with adapters_off, torch.autocast(at.type, half, enabled=precision in ("bf16-mixed", "16-mixed")):
        for order in BatchPlan(items.lengths, _SCORED, shuffle=False).global_batches(0):
            rows = [items.token_row(2 * int(row) + side) for row in order for side in (0, 1)]
            batch = _moved(stack_sequences(rows, pad_id, packed=False), at)
            made[order] = answer_log_probs(model, batch, len(rows)).double().cpu().numpy().reshape(-1, 2)
            advance(len(order))
    model.train(training)
    if device is not None:
        model.to(place)
    return made


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, dict):
        return {key: _moved(each, device) for key, each in value.items()}
    return value.to(device) if isinstance(value, torch.Tensor) else value
