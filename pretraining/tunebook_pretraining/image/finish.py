"""After pre-training: the test score with its interval, the learning curve, and a folder that timm opens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tunebook.files import folder_written_whole, write_json
from tunebook.progress import counting
from tunebook.statistics.intervals import wilson
from tunebook.training.devices import choose_accelerator
from tunebook.training.optim import count_parameters

from ..page import write_page
from .model import write_network

if TYPE_CHECKING:
    from tunebook.families.prepared import Prepared
    from tunebook.recipe import Recipe
    from tunebook.run_folder import RunFolder


def _right(recipe: Recipe[Any], prepared: Prepared, model: nn.Module, size: int = 64) -> int:
    """Number of test pictures whose formula is recognised."""
    examples, head = prepared.encoded.splits["test"], recipe.head(prepared.labels)
    device = torch.device(choose_accelerator(prepared.config.trainer))
    model = model.to(device).eval()
    right = 0
    with torch.no_grad(), counting("test pictures", len(examples), prepared.config.trainer.progress) as advance:
        for start in range(0, len(examples), size):
            items = [examples.items[i] for i in range(start, min(start + size, len(examples)))]
            batch = prepared.encoded.collate(items)
            batch["inputs"] = batch["inputs"].to(device)
            answers = head.decide(head.probabilities(head.forward(model, batch)))
            right += int((answers.cpu() == batch["target"]).sum())
            advance(len(items))
    return right


def finish(
    recipe: Recipe[Any], prepared: Prepared, model: nn.Module, run: RunFolder, facts: Mapping[str, str]
) -> float:
    """Score, write ``model/``, metrics.json and report.html; returns the test accuracy."""
    right, rows = _right(recipe, prepared, model), len(prepared.encoded.splits["test"])
    low, high = wilson(right, rows, prepared.config.evaluation.confidence)
    score = {"value": right / rows, "low": low, "high": high, "n": rows}
    _, total = count_parameters(model)
    if not run.bundle.exists():  # a run that was killed after writing it
        _write(run.bundle, model.cpu(), prepared)
    write_json(run.metrics, {"accuracy": score})
    told = {
        **facts,
        "parameters with the classifier": f"{total}",
        "test accuracy": f"{score['value']:.3f} ({low:.3f} to {high:.3f}), {rows} pictures",
    }
    write_page(run, recipe.options.name, told)
    return float(score["value"])


def _write(folder: Path, model: nn.Module, prepared: Prepared) -> None:
    with folder_written_whole(folder) as beside:
        write_network(beside, model, prepared.source.settings["architecture"], prepared.encoded.max_length)
