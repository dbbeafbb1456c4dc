"""Parameter groups and learning-rate schedules."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from tunebook.config import OptimConfig, Schedule


def is_head(name: str, model: nn.Module) -> bool:
    """Whether a parameter lies outside the pre-trained backbone.

    transformers names the backbone in ``base_model_prefix``; a timm model names its head in
    ``get_classifier``. A model that names neither has no head of its own.
    """
    prefix = getattr(model, "base_model_prefix", "")
    if prefix and hasattr(model, prefix):
        return not name.startswith(f"{prefix}.")
    classifier = getattr(model, "pretrained_cfg", {}).get("classifier")
    names = (classifier,) if isinstance(classifier, str) else classifier or ()
    return any(name.startswith(f"{n}.") for n in names)


def layer_of(name: str) -> int | None:
    """The number in a parameter's name, such as 3 in ``encoder.layer.3.output``; None outside the layers."""
    found = re.search(r"\.(?:layers?|blocks?|h|stages)\.(\d+)\.", f".{name}")
    return int(found.group(1)) if found else None


def _depths(names: list[str]) -> dict[str, int]:
    """How many layers lie above each backbone parameter; embeddings are below the first layer."""
    layers = {name: layer_of(name) for name in names}
    top = max((n for n in layers.values() if n is not None), default=-1)
    depths = {}
    for name, number in layers.items():
        embeds = re.search(r"(^|\.)embeddings\.", name)  # ModernBERT has a norm in there
        above_layers = number is None and not embeds and re.search(r"(^|\.)(pooler|final_norm|ln_f|norm)\.", name)
        depths[name] = 0 if above_layers else top + 1 if number is None else top - number
    return depths


def parameter_groups(model: nn.Module, optim: OptimConfig) -> list[dict[str, Any]]:
    """AdamW's groups: matrices decay, vectors do not; lower layers learn slower; the head has its own rate.

    Layer-wise decay multiplies the learning rate by ``layer_decay`` for each layer a weight lies below the
    top (Howard & Ruder 2018, arXiv:1801.06146; Clark et al. 2020, arXiv:2003.10555).
    """
    assert optim.lr is not None
    trained = [(n.removeprefix("base_model.model."), p) for n, p in model.named_parameters() if p.requires_grad]
    depths = _depths([n for n, _ in trained if not is_head(n, model)])
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in trained:
        if name in depths:
            lr = optim.lr * optim.layer_decay ** depths[name]
        else:
            lr = optim.lr if optim.head_lr is None else optim.head_lr
        decay = optim.weight_decay if parameter.ndim >= 2 else 0.0
        groups.setdefault((lr, decay), []).append(parameter)
    return [{"params": params, "lr": lr, "weight_decay": decay} for (lr, decay), params in groups.items()]


def learning_rate_factor(schedule: Schedule, warmup: float, total_steps: int) -> Callable[[int], float]:
    """The factor on the learning rate at each step: a linear rise from zero, then a fall to zero."""
    rise = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rise:
            return step / rise
        if schedule is Schedule.constant:
            return 1.0
        done = min(1.0, (step - rise) / max(1, total_steps - rise))
        return 1.0 - done if schedule is Schedule.linear else 0.5 * (1.0 + math.cos(math.pi * done))

    return factor


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Number of weights that learn, and of all weights."""
    sizes: Iterator[tuple[int, bool]] = ((p.numel(), p.requires_grad) for p in model.parameters())
    pairs = list(sizes)
    return sum(n for n, learns in pairs if learns), sum(n for n, _ in pairs)
