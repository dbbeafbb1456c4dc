"""After pre-training: the test score with its interval, the loss curve, and a plain transformers folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tunebook.files import folder_written_whole, write_json
from tunebook.models.text import quiet_transformers
from tunebook.progress import counting
from tunebook.statistics.intervals import percentile
from tunebook.training.devices import choose_accelerator
from tunebook.training.optim import count_parameters

from ..page import write_page

if TYPE_CHECKING:
    from tunebook.data.encoded import Encoded
    from tunebook.families.prepared import Prepared
    from tunebook.recipe import Recipe
    from tunebook.run_folder import RunFolder


def block_losses(recipe: Recipe[Any], model: nn.Module, encoded: Encoded, device: Any, size: int = 8) -> np.ndarray:
    """Mean loss of each test block in nats, ``[blocks]``."""
    head, examples = recipe.head(()), encoded.splits["test"]
    model = model.to(device).eval()
    losses = []
    with torch.no_grad(), counting("test blocks", len(examples), True) as advance:
        for start in range(0, len(examples), size):
            items = [examples.items[i] for i in range(start, min(start + size, len(examples)))]
            batch = encoded.collate(items)
            batch["inputs"]["input_ids"] = batch["inputs"]["input_ids"].to(device)
            losses.append(head.loss(head.forward(model, batch), batch["target"].to(device)).cpu())
            advance(len(items))
    return torch.cat(losses).double().numpy()


def score(losses: np.ndarray, confidence: float, resamples: int, seed: int) -> dict[str, Any]:
    """Loss and perplexity with a percentile interval from a bootstrap over blocks."""
    generator = np.random.default_rng(seed)
    draws = np.array([losses[generator.integers(0, len(losses), len(losses))].mean() for _ in range(resamples)])
    low, high = percentile(draws, confidence)
    value = float(losses.mean())
    return {
        "loss": {"value": value, "low": low, "high": high, "n": len(losses)},
        "perplexity": {
            "value": math.exp(value),
            "low": math.exp(low),
            "high": math.exp(high),
            "n": len(losses),
        },
    }


def write_model(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write model and tokenizer in half precision, whole or not at all."""
    with folder_written_whole(folder) as beside, quiet_transformers():
        model.to(torch.float16).save_pretrained(beside)
        tokenizer.save_pretrained(beside)


def finish(
    recipe: Recipe[Any], prepared: Prepared, model: nn.Module, run: RunFolder, facts: Mapping[str, str]
) -> float:
    """Score, write ``model/``, metrics.json and report.html; returns the test loss."""
    evaluation = prepared.config.evaluation
    device = torch.device(choose_accelerator(prepared.config.trainer))
    losses = block_losses(recipe, model, prepared.encoded, device)
    scores = score(losses, evaluation.confidence, evaluation.resamples, prepared.config.seed)
    _, total = count_parameters(model)
    if not run.bundle.exists():  # a run that was killed after writing it
        write_model(run.bundle, model.cpu(), prepared.encoded.tokenizer)
    write_json(run.metrics, scores)
    told = {**facts, "parameters": f"{total}"}
    for name, s in scores.items():
        told[f"test {name}"] = f"{s['value']:.3f} ({s['low']:.3f} to {s['high']:.3f}), {s['n']} blocks"
    write_page(run, recipe.options.name, told)
    return float(scores["loss"]["value"])
