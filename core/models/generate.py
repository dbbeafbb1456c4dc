"""Answers from a language model: many at once, each as if it had been asked alone; or one, piece by piece.

Prompts of like length share a batch, padded on the left; keys and values of earlier tokens are kept; a row that has
closed its answer leaves its batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tunebook.errors import UserError
from tunebook.models.sampling import choose, uniforms
from tunebook.models.text import positions


@dataclass(frozen=True)
class Generation:
    """How answers are chosen: greedily by default.

    The model's own `generation_config` is not read: what is not said here does not happen.

    Attributes:
        max_new_tokens: Longest answer, in tokens.
        do_sample: Draw each token instead of taking the likeliest.
        temperature: Logits are divided by it before a draw.
        top_p: Draw from the fewest likeliest tokens that together have at least this probability.
        num_beams: Answers followed side by side (beam search); 1 is none.
        seed: Of the draws. Row `i` has random numbers of its own, made of the seed and `i`: what it answers does
            not depend on the rows beside it, but for the rounding of their shared matrix products.
    """

    max_new_tokens: int = 128
    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    num_beams: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.num_beams < 1:
            raise ValueError("max_new_tokens and num_beams start at 1")
        if not (self.temperature > 0 and 0 < self.top_p <= 1):
            raise ValueError("temperature must be above 0, and top_p above 0 and at most 1")
        if self.do_sample and self.num_beams > 1:
            raise ValueError("beams are not drawn: do_sample goes with num_beams=1")


def generate(
    model: Any,
    tokenizer: Any,
    prompts_ids: Sequence[Sequence[int]],
    settings: Generation,
    stop_ids: Collection[int],
    batch_size: int = 16,
    device: torch.device | str = "cpu",
    advance: Callable[[int], None] = lambda done: None,
) -> list[list[int]]:
    """Answer every prompt.

    In float32 a greedy answer is that of the prompt alone, unless two tokens are as likely as each other to the
    last digits.

    Args:
        model: A causal language model of transformers, or one wrapped by peft; moved to ``device``.
        tokenizer: Its tokenizer, for the padding token.
        prompts_ids: Token ids of each prompt, with all special tokens.
        settings: How answers are chosen.
        stop_ids: Tokens that close an answer; the one that did is left out of it.
        batch_size: Most rows at once.
        device: Where to compute.
        advance: Told how many more rows are done.

    Returns:
        Token ids of each answer, in the order of the prompts.

    Raises:
        UserError: A prompt does not fit the model's positions, or this kind of model does not answer prompts so.
    """
    _check(model, prompts_ids, settings)
    pad = tokenizer.pad_token_id or 0  # any id will do: no row sees its padding
    # longest first: if memory is short, the first batch says so
    order = sorted(range(len(prompts_ids)), key=lambda row: -len(prompts_ids[row]))
    answers: list[list[int]] = [[] for _ in prompts_ids]
    with _answering(model.to(device)):
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            prompts = [prompts_ids[row] for row in rows]
            if settings.num_beams > 1:
                found = _beams(model, prompts, settings, stop_ids, pad)
            else:
                found = [[] for _ in rows]
                for place, token in _tokens(model, prompts, rows, settings, stop_ids, pad):
                    found[place].append(token)
            for row, answer in zip(rows, found, strict=True):
                answers[row] = answer
            advance(len(rows))
    return answers


def stream(
    model: Any, tokenizer: Any, ids: Sequence[int], settings: Generation, stop_ids: Collection[int]
) -> Iterator[str]:
    """Answer one prompt, piece by piece as the tokens come; the pieces together are the decoded answer.

    A character of several tokens comes when it is whole. Draws are those of the first row of `generate`.

    Args:
        model: As for `generate`; it answers on the device where it is.
        tokenizer: Its tokenizer.
        ids: Token ids of the prompt.
        settings: How tokens are chosen; beams are refused, as they have no first piece before the last.
        stop_ids: Tokens that close the answer.

    Raises:
        UserError: As for `generate`.
        ValueError: `num_beams` is above 1.
    """
    if settings.num_beams > 1:
        raise ValueError("beam search cannot be streamed: num_beams=1")
    _check(model, [ids], settings)
    answer: list[int] = []
    shown = text = ""
    with _answering(model):
        for _, token in _tokens(model, [ids], [0], settings, stop_ids, pad=0):
            answer.append(token)
            text = tokenizer.decode(answer, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            if len(text) > len(shown) and not text.endswith("\N{REPLACEMENT CHARACTER}"):
                yield text[len(shown) :]
                shown = text
    if text != shown:
        yield text[len(shown) :]


def _check(model: Any, prompts: Sequence[Sequence[int]], settings: Generation) -> None:
    if getattr(model.config, "is_encoder_decoder", False):
        raise UserError(
            f"{type(model).__name__} reads with an encoder; answers come from decoders alone.",
            where="model.name",
            mend="choose a causal language model",
        )
    if any(not len(prompt) for prompt in prompts):
        raise ValueError("a prompt needs at least one token")
    limit = positions(model.config.get_text_config().to_dict())
    longest = max(range(len(prompts)), key=lambda row: len(prompts[row]), default=None)
    if limit is None or longest is None:
        return
    needed = len(prompts[longest]) + settings.max_new_tokens
    if needed > limit:
        raise UserError(
            f"prompt {longest + 1} has {len(prompts[longest])} tokens; with {settings.max_new_tokens} new ones that "
            f"is {needed}, and the model has {limit} positions.",
            where="max_new_tokens",
            mend="shorten the prompt, allow fewer new tokens, or choose a model with more positions",
        )


@contextmanager
def _answering(model: Any) -> Iterator[None]:
    """Switch dropout off, and gradients while a token is computed; put the model back as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _tokens(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[int],
    settings: Generation,
    stop_ids: Collection[int],
    pad: int,
) -> Iterator[tuple[int, int]]:
    """Answer one batch step by step: the place of each open row in it, and its next token."""
    device = model.device
    ids, mask = _left_padded(prompts, pad, device)
    places = torch.arange(len(prompts), device=device)
    stops = torch.tensor(sorted(stop_ids), dtype=torch.long, device=device)
    draws = uniforms(settings.seed, rows, settings.max_new_tokens).to(device) if settings.do_sample else None
    accepted = _accepted(model)
    cache: Any = None
    for step in range(settings.max_new_tokens):
        with torch.no_grad():  # not around the loop: a caller's code runs between two tokens
            logits, cache = _next_logits(model, ids, mask, cache, accepted)
            numbers = None if draws is None else draws[places, step]
            chosen = choose(logits, numbers, settings.temperature, settings.top_p)
        open_rows = torch.isin(chosen, stops, invert=True)
        yield from zip(places[open_rows].tolist(), chosen[open_rows].tolist(), strict=True)
        if not bool(open_rows.all()):
            kept = open_rows.nonzero()[:, 0]
            if not len(kept):
                return
            cache.reorder_cache(kept)
            places, chosen, mask = places[kept], chosen[kept], mask[kept]
        ids = chosen[:, None]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)


def _left_padded(prompts: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[Tensor, Tensor]:
    """Put prompts against the right edge: ids and mask, ``[rows, tokens]`` each."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.as_tensor(prompt, dtype=torch.long)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def _accepted(model: Any) -> set[str]:
    """What the model's forward takes, under peft's wrapper where there is one."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return set(inspect.signature(inner.forward).parameters)


def _next_logits(model: Any, ids: Tensor, mask: Tensor, cache: Any, accepted: set[str]) -> tuple[Tensor, Any]:
    """Logits of the next token ``[rows, vocabulary]``, and the cache that now holds ``ids`` too."""
    more: dict[str, Any] = {}
    if "position_ids" in accepted:  # a row's positions start behind its padding
        more["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    if "logits_to_keep" in accepted:
        more["logits_to_keep"] = 1
    output = model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **more)
    cache = getattr(output, "past_key_values", None)
    if cache is None:
        raise UserError(
            f"{type(model).__name__} keeps no keys and values of earlier tokens.",
            where="model.name",
            mend="choose a causal language model with attention",
        )
    logits = output.logits[:, -1].float()
    if bool(logits.isnan().any()):
        raise UserError(
            "the model's logits are not numbers.",
            where="model.name",
            mend="compute in float32 or bfloat16; if they still are not, the weights are damaged",
        )
    return logits, cache


def _beams(
    model: Any, prompts: Sequence[Sequence[int]], settings: Generation, stop_ids: Collection[int], pad: int
) -> list[list[int]]:
    """Answer one batch by transformers' own beam search."""
    from transformers import GenerationConfig

    ids, mask = _left_padded(prompts, pad, model.device)
    wanted = GenerationConfig(  # each default is said, or the model's own generation_config would fill it in
        max_new_tokens=settings.max_new_tokens,
        num_beams=settings.num_beams,
        do_sample=False,
        early_stopping=False,
        length_penalty=1.0,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        eos_token_id=sorted(stop_ids) or None,
        pad_token_id=pad,
    )
    with torch.no_grad():
        whole = model.generate(input_ids=ids, attention_mask=mask, generation_config=wanted)
    return [_until(answer, stop_ids) for answer in whole[:, ids.shape[1] :].tolist()]


def _until(answer: list[int], stop_ids: Collection[int]) -> list[int]:
    closing = next((place for place, token in enumerate(answer) if token in stop_ids), len(answer))
    return answer[:closing]
