"""Parameter groups: which weights learn at which rate, and which decay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import nn

from tunebook.config.optim import OptimConfig
from tunebook.config.optimizers import resolve_optim
from tunebook.errors import UserError
from tunebook.models.layers import classifier_names, is_head, plain_model


def layer_of(name: str, stacks: Sequence[str] = ()) -> int | None:
    """The number in a parameter's name, such as 3 in ``encoder.layer.3.output``; None outside the layers.

    Args:
        name: The parameter's.
        stacks: Where the model's layers are, from `layer_stacks`; where it has no such lists, by their usual names.
    """
    usual = r"\.(?:layers?|blocks?|h|stages)\.(\d+)\."
    where = "|".join(rf"\.{re.escape(stack)}\.(\d+)\." for stack in stacks) or usual
    found = re.search(where, f".{name}")
    return int(next(number for number in found.groups() if number)) if found else None


def layer_stacks(model: nn.Module) -> list[str]:
    """Names of a model's lists of layers: those with as many members as its config has layers, or with several."""
    model = plain_model(model)
    outer: dict[str, int] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) and not any(name.startswith(f"{o}.") for o in outer):
            outer[name] = len(module)
    wanted = _layers_by_config(model)
    return [n for n, size in outer.items() if size == wanted] or [n for n, size in outer.items() if size > 1]


def _layers_by_config(model: Any) -> int:
    settings: Any = getattr(model, "config", None)
    settings = settings.get_text_config() if hasattr(settings, "get_text_config") else settings
    return int(getattr(settings, "num_hidden_layers", 0) or 0)


def _check_apart(names: list[str], model: Any, where: str) -> None:
    """Refuse rates by layer for a model whose layers share their weights.

    Raises:
        UserError: It has several layers, and the weights of one.
    """
    model = plain_model(model)
    layers, stacks = _layers_by_config(model), layer_stacks(model)
    numbers = {layer_of(name, stacks) for name in names} - {None}
    if names and layers > 1 and len(numbers) < 2 and not hasattr(model, "group_matcher"):
        raise UserError(
            f"The {layers} layers of {type(model).__name__} share their weights, so that none can learn at a rate or "
            "from a step of its own.",
            code="model.shared-layers",
            where=where,
            fix=f"leave {where} out",
        )


# What comes after the last layer, as different families of models call it.
_ABOVE = re.compile(r"(^|\.)(pooler|final_norm|final_layer_norm|ln_f|norm_f|norm|project_out)\.")


def _depths(names: list[str], model: nn.Module) -> dict[str, int]:
    """How many layers lie above each backbone parameter; embeddings are below the first layer."""
    model = plain_model(model)
    if hasattr(model, "group_matcher"):
        return _timm_depths(names, model)
    if not getattr(model, "base_model_prefix", "") and classifier_names(model):
        return _torchvision_depths(names)
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return _encoder_decoder_depths(names)
    stacks = layer_stacks(model)
    layers = {name: layer_of(name, stacks) for name in names}
    top = max((n for n in layers.values() if n is not None), default=-1)
    depths = {}
    for name, number in layers.items():
        embeds = re.search(r"(^|\.)embeddings\.", name)  # ModernBERT has a norm in there
        above_layers = number is None and not embeds and _ABOVE.search(name)
        depths[name] = 0 if above_layers else top + 1 if number is None else top - number
    return depths


def _encoder_decoder_depths(names: list[str]) -> dict[str, int]:
    """Depths where a decoder stands on an encoder: all of the encoder's layers lie below, the embeddings below both."""
    parts = {name: found.group(2) for name in names if (found := re.search(r"(^|\.)(encoder|decoder)\.", name))}
    layers = {name: layer_of(name) for name in names}
    sizes = {
        part: 1 + max((n for name, n in layers.items() if n is not None and parts.get(name) == part), default=-1)
        for part in ("encoder", "decoder")
    }
    depths = {}
    for name, number in layers.items():
        above = sizes["decoder"] if parts.get(name) == "encoder" else 0
        if name in parts and number is not None:
            depths[name] = above + sizes[parts[name]] - 1 - number
        else:
            last = name in parts and re.search(r"\.(final_layer_norm|layer_norm|norm)\.", name)
            depths[name] = above if last else sum(sizes.values())
    return depths


def _timm_depths(names: list[str], model: Any) -> dict[str, int]:
    """Depths by the groups that timm sorts a model's parameters into: its stages or blocks.

    What shares a group with the final layer, such as a last norm, counts to the topmost stage.
    """
    from timm.models import group_parameters

    try:
        matcher = model.group_matcher(coarse=True)
    except AssertionError:  # RDNet has none but fine groups
        matcher = model.group_matcher(coarse=False)
    number = group_parameters(model, matcher, reverse=True)
    heads = {n for name, n in number.items() if is_head(name, model)}
    top = max((number[name] for name in names if number[name] not in heads), default=0)
    return {name: max(0, top - number[name]) for name in names}


_TORCHVISION_LAYER = re.compile(
    r"(?:^|\.)(?:(?:features|layers|blocks)\.|layer|stage|denseblock|transition|block|encoder_layer_)(\d+)\."
)


def _torchvision_depths(names: list[str]) -> dict[str, int]:
    """Depths by the numbers in torchvision's names; what has none counts to the layer that it is registered beside."""
    numbers = {name: int(found.group(1)) for name in names if (found := _TORCHVISION_LAYER.search(name))}
    rank = {number: i for i, number in enumerate(sorted(set(numbers.values())))}
    depths = {}
    seen = False
    for name in names:
        seen |= name in numbers
        depths[name] = len(rank) - 1 - rank[numbers[name]] if name in numbers else 0 if seen else len(rank)
    return depths


def thaw_steps(depths: Iterable[int], steps: int) -> dict[int, int]:
    """The optimizer step from which each depth learns: the top first, the lowest from ``steps``.

    The head learns alone at first, then one more layer group after each equal share of the steps (Howard & Ruder
    2018, arXiv:1801.06146, section 3.3).

    Args:
        depths: Layers above each parameter; repeated as often as they occur.
        steps: Optimizer steps over which the backbone is unfrozen; 0: all learn from the start.
    """
    order = sorted(set(depths))
    return {depth: round((i + 1) * steps / len(order)) for i, depth in enumerate(order)}


def parameter_groups(model: nn.Module, optim: OptimConfig, unfreeze_steps: int = 0) -> list[dict[str, Any]]:
    """The optimizer's groups: matrices decay, vectors do not; lower layers learn slower; the head has its own rate.

    Layer-wise decay multiplies the learning rate by ``layer_decay`` for each layer a weight lies below the
    top (Howard & Ruder 2018, arXiv:1801.06146; Clark et al. 2020, arXiv:2003.10555).

    Args:
        model: The model with the weights that learn.
        optim: Rates and decay.
        unfreeze_steps: Optimizer steps over which the backbone is unfrozen; each group's ``from_step`` is the first
            step that it learns in.
    """
    assert optim.lr is not None
    weight_decay = resolve_optim(optim).weight_decay
    trained = [(n.removeprefix("base_model.model."), p) for n, p in model.named_parameters() if p.requires_grad]
    below = [n for n, _ in trained if not is_head(n, model)]
    if optim.layer_decay != 1 or unfreeze_steps:
        _check_apart(below, model, "adapt.unfreeze_epochs" if unfreeze_steps else "optim.layer_decay")
    depths, stacks = _depths(below, model), layer_stacks(model)
    thaws = thaw_steps(depths.values(), unfreeze_steps)
    groups: dict[tuple[float, float | None, int, bool], list[nn.Parameter]] = {}
    for name, parameter in trained:
        if name in depths:
            lr = optim.lr * optim.layer_decay ** depths[name]
        else:
            lr = optim.lr if optim.head_lr is None else optim.head_lr
        decay = weight_decay if parameter.ndim >= 2 else 0.0
        first = thaws[depths[name]] if name in depths else 0
        muon = optim.name == "muon" and name in depths and parameter.ndim == 2 and layer_of(name, stacks) is not None
        groups.setdefault((lr, decay, first, muon), []).append(parameter)
    return [
        {"params": params, "lr": lr, "weight_decay": decay, "from_step": first, **({"muon": True} if muon else {})}
        for (lr, decay, first, muon), params in groups.items()
    ]


def final_parameters(model: nn.Module) -> int:
    """Number of weights outside the backbone."""
    return sum(p.numel() for name, p in model.named_parameters() if is_head(name, model))


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Number of weights that learn, and of all weights."""
    sizes: Iterator[tuple[int, bool]] = ((p.numel(), p.requires_grad) for p in model.parameters())
    pairs = list(sizes)
    return sum(n for n, learns in pairs if learns), sum(n for n, _ in pairs)
