"""Which weights learn: all, low-rank adapters, or the head alone."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunebook.config.schema import AdaptConfig, Method
from tunebook.errors import UserError
from tunebook.models.layers import is_head

_MERGED = 1e-3  # of the largest output: sums in another order move the sixth digit


def adapt(model: nn.Module, config: AdaptConfig) -> nn.Module:
    """Make a model ready for training by the chosen method; ``head`` is done by ``features`` instead."""
    if config.method is Method.lora:
        return add_lora(model, config)
    return model


def backbone_linears(model: nn.Module) -> list[str]:
    """Full names of the linear layers inside the backbone's layers.

    torch's own MultiheadAttention never calls the layer inside it, only reads its weights. GPT-2 calls its linear
    layers Conv1D.
    """
    from transformers.pytorch_utils import Conv1D

    kinds = (nn.Linear, Conv1D)
    linear = [n for n, m in model.named_modules() if isinstance(m, kinds) and not is_head(n + ".", model)]
    uncalled = {f"{n}.out_proj" for n, m in model.named_modules() if isinstance(m, nn.MultiheadAttention)}
    return [n for n in linear if not n.endswith("pooler.dense") and n not in uncalled]


def check_linears(model: nn.Module, targets: Sequence[str]) -> None:
    """Refuse adapters for a backbone without linear layers.

    Raises:
        UserError: It has none.
    """
    if not targets:
        raise UserError(
            f"LoRA needs linear layers, and the backbone of {type(model).__name__} is made of convolutions alone.",
            code="model.no-linear-layers",
            where="adapt.method",
            fix="adapt=full or adapt=head",
        )


def add_lora(model: nn.Module, config: AdaptConfig) -> nn.Module:
    """Freeze the backbone and add low-rank adapters to it; the head learns in full (Hu et al. 2021, arXiv:2106.09685).

    The head of a language model is no fresh layer: it knows its words already, and stays as it is.

    Raises:
        UserError: A named target does not exist in this model, or it has no linear layers to adapt.
    """
    from peft import LoraConfig, get_peft_model

    targets = backbone_linears(model)
    check_linears(model, targets)
    if config.lora_targets is not None:
        wanted = set(config.lora_targets)
        leaves = {n.rsplit(".", 1)[-1] for n in targets}
        if not wanted <= leaves:
            raise UserError(
                f"The model has no layer named {', '.join(sorted(wanted - leaves))}.",
                code="model.unknown-layer",
                where="adapt.lora_targets",
                fix=f"choose from: {', '.join(sorted(leaves))}",
            )
        targets = [n for n in targets if n.rsplit(".", 1)[-1] in wanted]
    if config.lora_rank < 1:
        raise UserError(
            "The LoRA rank must be at least 1.",
            code="config.out-of-range",
            where="adapt.lora_rank",
            fix="adapt.lora_rank=8",
        )
    from transformers.pytorch_utils import Conv1D

    settings = LoraConfig(
        fan_in_fan_out=any(isinstance(model.get_submodule(n), Conv1D) for n in targets),
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        use_rslora=config.lora_rslora,
        lora_dropout=config.lora_dropout,
        target_modules=targets,
    )
    head = [n for n, _ in model.named_parameters() if is_head(n, model) or ".pooler." in f".{n}"]
    if getattr(model, "get_output_embeddings", lambda: None)() is not None:
        head = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft still asks transformers in an older way
        adapted: Any = get_peft_model(model, settings)
    for name, parameter in adapted.named_parameters():
        if name.removeprefix("base_model.model.") in head:
            parameter.requires_grad_(True)
    return adapted  # type: ignore[no-any-return]


def check_adapters(model: nn.Module) -> None:
    """Refuse adapters that a backward pass left without a gradient: the model reads past them, and they never learn.

    Raises:
        UserError: There are such, as where a model takes a layer's weights without calling the layer.
    """
    adapters = [(n.partition(".lora_")[0].rpartition(".")[2], p) for n, p in model.named_parameters() if ".lora_" in n]
    layers = sorted({layer for layer, p in adapters if p.requires_grad and p.grad is None})
    if layers:
        others = sorted({layer for layer, _ in adapters} - set(layers))
        raise UserError(
            f"The adapters of the layers {', '.join(layers)} do not take part in what this model computes.",
            code="model.unused-layers",
            where="adapt.lora_targets",
            fix=f"adapt.lora_targets=[{','.join(others)}], or adapt=full" if others else "adapt=full",
        )


def check_merge(adapted: nn.Module, answer: Callable[[nn.Module], Tensor]) -> None:
    """Refuse a model that answers otherwise once its adapters are added into its weights; tried on a copy.

    Args:
        adapted: The model with its adapters.
        answer: What a model answers to a few rows.

    Raises:
        UserError: It does.
    """
    merge_checked(copy.deepcopy(adapted), answer)


def merge_checked(adapted: nn.Module, answer: Callable[[nn.Module], Tensor]) -> nn.Module:
    """Let adapters differ from nothing, and merge them; the arguments and errors are those of `check_merge`."""
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if ".lora_" in name:  # half of them begin at nothing
                parameter.add_(0.02 * torch.randn_like(parameter))
        before = answer(adapted.eval()).float()
        plain = merge(adapted).eval()
        after = answer(plain).float()
    apart = float((after - before).abs().max())
    if not apart <= _MERGED * max(1.0, float(before.abs().max())):
        raise UserError(
            f"The model answers otherwise once its adapters are merged into its weights (outputs move by {apart:.2g}).",
            code="model.merge-changes-answers",
            where="adapt.method",
            fix="adapt=full or adapt=head",
        )
    return plain


def merge(model: nn.Module) -> nn.Module:
    """The plain model again, with any adapters added into its weights."""
    if "peft" not in sys.modules:  # nothing could have made adapters
        return model
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        return model
    config: Any = getattr(model.get_base_model(), "config", None)
    tied = getattr(config, "tie_word_embeddings", None)
    with warnings.catch_warnings():
        # peft takes embeddings of FLAN-T5 for untied only now, which transformers loads as two from a config that ties
        warnings.filterwarnings("ignore", "Input and output embeddings are no longer tied", UserWarning)
        merged: nn.Module = model.merge_and_unload()
    if tied is not None:  # what peft makes of it, some of T5's kin would scale their logits by
        config.tie_word_embeddings = tied
    return merged
