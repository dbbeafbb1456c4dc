"""The loss of a language model at the tokens that are supervised, without the logits of all tokens at once.

The final layer of a language model has a row for each of tens of thousands of tokens. It is computed only where
something is supervised, and for a few hundred positions at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tunebook.data.batch import IGNORE_INDEX
from tunebook.errors import UserError
from tunebook.families.text_generation.data.packing import PackedItems, stack_packs
from tunebook.families.text_generation.model.seq2seq import decoder_states, reads_apart
from tunebook.models.layers import plain_model

_CHUNK = 512  # positions at a time: smaller ones wait for the weights, larger ones gain nothing


def supervised_losses(
    model: nn.Module, inputs: Mapping[str, Any], target: Tensor, chunk: int = _CHUNK, weighted: bool = False
) -> Tensor:
    """Cross-entropy of each supervised token, in nats, float32 ``[supervised tokens]``, in the order of ``target``.

    Equal to that of the model's full logits, and so are the gradients.

    Args:
        model: A language model of transformers, with or without adapters.
        inputs: What its forward takes, such as ``input_ids`` ``[batch, tokens]``; of a model with an encoder and a
            decoder also ``decoder_input_ids`` ``[batch, target tokens]``.
        target: Token to follow each position of what is written, or ``IGNORE_INDEX``, ``[batch, tokens]`` or
            ``[batch, target tokens]``.
        chunk: Positions whose logits exist at one time.
        weighted: Whether the losses will count differently, so that their gradients are best left for the way back.
    """
    supervised = target != IGNORE_INDEX
    hidden, wanted = backbone_states(model, inputs)[supervised], target[supervised]
    final = _FinalLayer.of(plain_model(model))
    if type(final.layer) is nn.Linear and final.cap is None:
        scaled = hidden if final.scale == 1 else hidden * final.scale
        return _linear_cross_entropy(scaled, final.layer.weight, final.bias, wanted, chunk, weighted)
    chunks = zip(hidden.split(chunk), wanted.split(chunk), strict=True)
    return torch.cat([checkpoint(_full_losses, final, *part, use_reentrant=False) for part in chunks])


def backbone_states(model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    """What the final layer is given, ``[batch, tokens, hidden]``; of what is written, where an encoder reads."""
    plain = plain_model(model)
    if reads_apart(plain) and plain.base_model is plain:
        return decoder_states(plain, inputs)
    # A cache, even an empty one, makes transformers read past where packed conversations start.
    given = {**inputs, "use_cache": False}
    attention = str(getattr(plain.config, "_attn_implementation", ""))
    if "flash" not in attention or "position_ids" not in inputs:
        states: Tensor = plain.base_model(**given)[0]
        return states
    # Flash attention looks for packed conversations only in a batch of one.
    batch, tokens = inputs["input_ids"].shape
    given |= {name: inputs[name].reshape(1, -1) for name in ("input_ids", "position_ids")}
    flat: Tensor = plain.base_model(**given)[0]
    return flat.reshape(batch, tokens, -1)


@dataclass(frozen=True)
class _FinalLayer:
    """How a model makes logits of its backbone's states.

    Attributes:
        layer: Has a row for each token of the vocabulary.
        bias: Added to the logits: the layer's own, or BART's and Marian's extra bias, which is never trained.
        scale: Factor on the logits.
        cap: Where Gemma 2 bends logits, so that none is larger; None where nothing is bent.
    """

    layer: nn.Module
    bias: Tensor | None
    scale: float
    cap: float | None

    @classmethod
    def of(cls, model: Any) -> _FinalLayer:
        layer, extra = model.get_output_embeddings(), getattr(model, "final_logits_bias", None)
        bias = getattr(layer, "bias", None) if extra is None else extra[0]
        settings = model.config.get_text_config()  # of a model that reads images too, the part that writes
        return cls(layer, bias, _logit_scale(settings), getattr(settings, "final_logit_softcapping", None))

    def logits(self, hidden: Tensor) -> Tensor:
        made = self.layer(hidden).float()
        if self.bias is not None and self.bias is not getattr(self.layer, "bias", None):
            made = made + self.bias
        made = made * self.scale
        return made if self.cap is None else torch.tanh(made / self.cap) * self.cap


def _logit_scale(config: Any) -> float:
    """Factor on the logits: Cohere multiplies them, Granite divides them, T5 with tied embeddings makes them small."""
    tied = config.model_type in ("t5", "umt5", "switch_transformers") and config.tie_word_embeddings
    if getattr(config, "scale_decoder_outputs", tied):
        return float(config.d_model**-0.5)
    return float(getattr(config, "logit_scale", None) or 1) / float(getattr(config, "logits_scaling", None) or 1)


def _full_losses(final: _FinalLayer, hidden: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(final.logits(hidden), target, reduction="none")


def _linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, chunk: int, weighted: bool = False
) -> Tensor:
    """Losses ``[rows]`` of a linear layer's logits, in the number format that autocast asks for."""
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
    hidden, weight = hidden.to(dtype), weight.to(dtype)
    bias = None if bias is None else bias.to(dtype)
    with torch.autocast(kind, enabled=False):
        if not torch.is_grad_enabled():
            return _chunked(hidden, weight, bias, target, chunk, (False, False, False))[0]
        losses: Tensor = _LinearCrossEntropy.apply(hidden, weight, bias, target, chunk, weighted)
        return losses


class _LinearCrossEntropy(torch.autograd.Function):
    """Gradients are made along with the losses, while a chunk's logits exist: none are kept, or computed twice.

    A quarter fewer operations than computing the logits again on the way back, which is left to losses that are not
    all weighted alike. torch's own ``linear_cross_entropy`` (2.15) is as fast where the sum of the losses is enough,
    and takes a third longer for the loss of each row, which is wanted here.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target: Tensor,
        chunk: int,
        weighted: bool,
    ) -> Tensor:
        ctx.chunk, ctx.wanted = chunk, ctx.needs_input_grad[:3]
        now = (False, False, False) if weighted else ctx.wanted
        losses, gradients = _chunked(hidden, weight, bias, target, chunk, now)
        ctx.gradients = None if weighted else gradients
        ctx.save_for_backward(hidden, weight, bias, target)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factors: Tensor) -> Any:
        gradients, ctx.gradients = ctx.gradients, None  # scaled in place below, so of no use a second time
        alike = len(factors) == 0 or bool((factors == factors[0]).all())
        if gradients is None or not alike:  # the rows' shares in the layer's gradients cannot be separated
            hidden, weight, bias, target = ctx.saved_tensors
            gradients = _chunked(hidden, weight, bias, target, ctx.chunk, ctx.wanted, factors)[1]
        elif len(factors):
            gradients = [None if g is None else g.mul_(factors[0]) for g in gradients]
        return *gradients, None, None, None


def _chunked(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    chunk: int,
    wanted: tuple[bool, ...],
    factors: Tensor | None = None,
) -> tuple[Tensor, list[Tensor | None]]:
    """Losses ``[rows]``, and the gradients of their sum (weighted by ``factors``) by hidden states, weight and bias."""
    losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
    of_hidden = torch.empty_like(hidden) if wanted[0] else None
    # Chunks add up in float32, or little would be left of the later ones.
    of_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted[1] else None
    of_bias = torch.zeros_like(bias, dtype=torch.float32) if bias is not None and wanted[2] else None
    for start in range(0, len(hidden), chunk):
        rows = slice(start, start + chunk)
        answer = target[rows, None]
        log_shares = F.linear(hidden[rows], weight, bias).float().log_softmax(dim=-1)
        losses[rows] = -log_shares.gather(1, answer)[:, 0]
        if not any(wanted):
            continue
        slope = log_shares.exp_()  # of the loss by the logits: the softmax, less one at the answer
        slope.scatter_add_(1, answer, slope.new_full(answer.shape, -1.0))
        if factors is not None:
            slope *= factors[rows, None]
        if of_bias is not None:
            of_bias += slope.sum(dim=0)
        slope = slope.to(weight.dtype)
        if of_hidden is not None:
            of_hidden[rows] = slope @ weight
        if of_weight is not None and slope.dtype == of_weight.dtype:
            of_weight.addmm_(slope.T, hidden[rows])
        elif of_weight is not None:
            of_weight += slope.T @ hidden[rows]
    summed = [None if g is None else g.to(weight.dtype) for g in (of_weight, of_bias)]
    return losses, [of_hidden, *summed]


def check_language_head(model: nn.Module) -> None:
    """Refuse a model whose logits are not what its final layer makes of the backbone's states.

    Raises:
        UserError: It does something else to them, which the loss would miss.
    """
    plain = plain_model(model)
    layer = plain.get_output_embeddings()
    alike = False
    if layer is not None and (plain.base_model is not plain or reads_apart(plain)):
        ids = torch.arange(min(8, plain.config.get_text_config().vocab_size), device=plain.device)[None]
        inputs = {"input_ids": ids, "decoder_input_ids": ids} if reads_apart(plain) else {"input_ids": ids}
        with _states_only(plain):
            own = plain(**inputs, use_cache=False).logits
            ours = _FinalLayer.of(plain).logits(backbone_states(plain, inputs))
        alike = ours.shape == own.shape and _distance(ours, own) <= _tolerance(own)
    if not alike:
        raise UserError(
            f"The logits of {type(plain).__name__} are not a plain linear function of the backbone's hidden states.",
            code="model.no-plain-final-layer",
            where="model.name",
            fix="choose a language model with a plain final layer, such as Llama, Qwen, Mistral, Gemma, T5 or BART",
        )


def supports_packing(model: nn.Module) -> bool:
    """Whether a model keeps packed conversations apart: tried on a pack of two short ones.

    Each must be answered as if it were alone, and the second must not change with the first. A recurrent model's
    state runs on from one into the next, and positions that are counted by distance know no new start. An encoder
    reads all that it is given as one.
    """
    plain = plain_model(model)
    if reads_apart(plain):
        return False
    draw = torch.Generator().manual_seed(0)
    first, other, second = (
        torch.randint(plain.config.get_text_config().vocab_size, (n,), generator=draw).numpy() for n in (7, 7, 5)
    )
    with _states_only(plain):
        try:
            packed, changed, alone, last = (
                _states(plain, c) for c in ((first, second), (other, second), (first,), (second,))
            )
        except TypeError:  # it takes no positions
            return False
    tolerance = _tolerance(packed)
    unpacked = torch.cat([alone, last])
    # The same shapes are computed in the same way, so that next to nothing may differ.
    return _distance(packed, unpacked) <= tolerance and _distance(packed[7:], changed[7:]) <= tolerance / 100


def _states(model: nn.Module, conversations: Sequence[np.ndarray]) -> Tensor:
    """States ``[tokens, hidden]`` of a pack in a batch of two."""
    ids = np.concatenate(conversations)
    items = PackedItems(ids, ids >= 0, np.cumsum([0, *map(len, conversations)]), [np.arange(len(conversations))] * 2)
    inputs = stack_packs([items[0], items[1]], 0)["inputs"]
    device = next(model.parameters()).device
    states = backbone_states(model, {k: v.to(device) if isinstance(v, Tensor) else v for k, v in inputs.items()})
    return states[1]


@contextmanager
def _states_only(model: nn.Module) -> Iterator[None]:
    """Without dropout and gradients; left as it was found."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def _distance(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    return float((ours.float() - theirs.float()).abs().max() / theirs.float().abs().max())


def _tolerance(values: Tensor) -> float:
    return 1e-4 if values.dtype == torch.float32 else 2e-2
