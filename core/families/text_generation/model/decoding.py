"""One token after the other for a batch of prompts, by a causal model or by an encoder and a decoder.

Keys and values of earlier tokens are kept, and what an encoder has read; a row that has closed its answer leaves the
batch. Several answers to a prompt share what was computed of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tunebook.errors import UserError
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.model.sampling import choose, uniforms
from tunebook.families.text_generation.model.seq2seq import decoder_prefix, reads_apart
from tunebook.families.text_generation.model.structure import Structure
from tunebook.models.key_values import key_values, key_values_argument
from tunebook.models.layers import plain_model


@dataclass(frozen=True)
class Step:
    """One more token of each answer that is still open.

    Attributes:
        places: Which answer it is of, counted within the batch, ``[open]``.
        tokens: The tokens, ``[open]``.
        closed: Whether a token closes its answer, bool ``[open]``.
        log_probabilities: Of the tokens under the model as it is, without temperature or top_p, float32 ``[open]``;
            None where not requested.
    """

    places: Tensor
    tokens: Tensor
    closed: Tensor
    log_probabilities: Tensor | None


def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[int],
    settings: Generation,
    stop_ids: Collection[int],
    pad: int,
    draws: int = 1,
    scored: bool = False,
    structure: Structure | None = None,
) -> Iterator[Step]:
    """Answer one batch step by step.

    Args:
        model: In evaluation mode, on its device.
        prompts: Token ids of each prompt.
        rows: Number of each prompt, which its random numbers are made of.
        settings: How tokens are chosen; no beams.
        stop_ids: Tokens that close an answer.
        pad: Fills up prompts.
        draws: Answers to each prompt, side by side; of several the first is greedy.
        scored: Return the tokens' probabilities too.
        structure: What the answers keep to, all draws of all prompts.
    """
    device = model.device
    places = torch.arange(len(prompts) * draws, device=device)
    stops = torch.tensor(sorted(stop_ids), dtype=torch.long, device=device)
    numbers = uniforms(settings.seed, rows, settings.max_new_tokens, draws).to(device) if settings.do_sample else None
    batch: Any = None
    for step in range(settings.max_new_tokens):
        with torch.no_grad():  # not around the loop: a caller's code runs between two tokens
            if batch is None:
                batch = _read(model, prompts, pad)
                logits = batch.next_logits()
                if draws > 1:
                    repeated = torch.arange(len(prompts), device=device).repeat_interleave(draws)
                    logits = logits[repeated]
                    batch.take(repeated)
            else:
                logits = batch.next_logits()
            possible = logits if structure is None else structure.keep(logits, places)
            chosen = choose(possible)
            if numbers is not None:
                drawn = choose(possible, numbers[places, step], settings.temperature, settings.top_p)
                chosen = drawn if draws == 1 else torch.where(places % draws == 0, chosen, drawn)
            if structure is not None:
                chosen = structure.settle(places, chosen)
            shares = logits.log_softmax(-1).gather(1, chosen[:, None])[:, 0] if scored else None
        closed = torch.isin(chosen, stops)
        yield Step(places, chosen, closed, shares)
        if bool(closed.any()):
            unfinished = (~closed).nonzero()[:, 0]
            if not len(unfinished):
                return
            with torch.no_grad():
                batch.take(unfinished)
            places, chosen = places[unfinished], chosen[unfinished]
        batch.append(chosen)


def _read(model: Any, prompts: Sequence[Sequence[int]], pad: int) -> _Batch:
    """A batch whose prompts are about to be read; an encoder has read them."""
    plain = plain_model(model)
    if not reads_apart(plain):
        ids, mask = padded(prompts, pad, model.device, left=True)
        return _Batch(model, ids, mask, set(inspect.signature(plain.forward).parameters))
    ids, mask = padded(prompts, pad, model.device)
    states = plain.get_encoder()(input_ids=ids, attention_mask=mask)[0]
    first = torch.tensor([decoder_prefix(plain)], device=model.device)
    return _Batch(model, first.expand(len(ids), -1), mask, set(), states)


@dataclass
class _Batch:
    """Open rows, and what the model has read of them.

    Attributes:
        model: Writes them.
        ids: What is read next, ``[rows, tokens]``.
        mask: Of all that is attended to: prompt and answer, or what the encoder has read, ``[rows, tokens]``.
        accepted: What a causal model's forward takes.
        states: What the encoder made of the prompts, ``[rows, tokens, hidden]``; None of a causal model.
        cache: Keys and values so far.
    """

    model: Any
    ids: Tensor
    mask: Tensor
    accepted: set[str]
    states: Tensor | None = None
    cache: Any = field(default=None, init=False)

    def next_logits(self) -> Tensor:
        """Logits of the next token, float32 ``[rows, vocabulary]``; the cache then holds ``ids`` too."""
        remembered = {key_values_argument(self.model): self.cache}
        output = self.model(**self._inputs(), **remembered, use_cache=True)
        self.cache = key_values(output)
        if self.cache is None:
            raise UserError(
                f"{type(self.model).__name__} has no key-value cache.",
                code="model.no-cache",
                where="model.name",
                fix="choose a causal language model with attention",
            )
        logits: Tensor = output.logits[:, -1].float()
        if bool(logits.isnan().any()):
            raise UserError(
                "the model's logits are NaN or infinite.",
                code="model.not-finite",
                where="model.name",
                fix="compute in float32 or bfloat16; if that does not help, the weights are corrupted",
            )
        return logits

    def _inputs(self) -> dict[str, Any]:
        if self.states is not None:
            from transformers.modeling_outputs import BaseModelOutput

            read = BaseModelOutput(last_hidden_state=self.states)
            return {"encoder_outputs": read, "attention_mask": self.mask, "decoder_input_ids": self.ids}
        inputs: dict[str, Any] = {"input_ids": self.ids, "attention_mask": self.mask}
        if "position_ids" in self.accepted:  # a row's positions start behind its padding
            inputs["position_ids"] = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -self.ids.shape[1] :]
        if "logits_to_keep" in self.accepted:
            inputs["logits_to_keep"] = 1
        return inputs

    def take(self, rows: Tensor) -> None:
        """Go on with these rows alone; one may be taken several times."""
        self.mask = self.mask[rows]
        self.states = None if self.states is None else self.states[rows]
        self.cache.reorder_cache(rows)

    def append(self, tokens: Tensor) -> None:
        """Read these next, one a row."""
        self.ids = tokens[:, None]
        if self.states is None:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)


def padded(prompts: Sequence[Sequence[int]], pad: int, device: Any, left: bool = False) -> tuple[Tensor, Tensor]:
    """Prompts side by side, against the right edge if ``left`` is padded: ids and mask, ``[rows, tokens]`` each."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        place = slice(width - len(prompt), width) if left else slice(len(prompt))
        ids[row, place] = torch.as_tensor(prompt, dtype=torch.long)
        mask[row, place] = 1
    return ids.to(device), mask.to(device)


def beams(
    model: Any,
    prompts: Sequence[Sequence[int]],
    settings: Generation,
    stop_ids: Collection[int],
    pad: int,
    answers: int = 1,
) -> list[list[list[int]]]:
    """The best answers to each prompt by transformers' own beam search, with the tokens that close them."""
    from transformers import GenerationConfig

    plain = plain_model(model)
    apart = reads_apart(plain)
    ids, mask = padded(prompts, pad, model.device, left=not apart)
    start, *forced = decoder_prefix(plain) if apart else [None]
    wanted = GenerationConfig(
        max_new_tokens=settings.max_new_tokens + len(forced),
        num_beams=settings.num_beams,
        num_return_sequences=answers,
        eos_token_id=sorted(stop_ids) or None,
        pad_token_id=pad,
        decoder_start_token_id=start,
        forced_bos_token_id=forced[0] if forced else None,
    )
    own, plain.generation_config = plain.generation_config, GenerationConfig()  # it would fill in what is not said
    try:
        with torch.no_grad():
            whole = model.generate(input_ids=ids, attention_mask=mask, generation_config=wanted)
    finally:
        plain.generation_config = own
    written = whole[:, 1 + len(forced) if apart else ids.shape[1] :].tolist()
    found = [_to_closing(answer, stop_ids) for answer in written]
    return [found[first : first + answers] for first in range(0, len(found), answers)]


def _to_closing(answer: list[int], stop_ids: Collection[int]) -> list[int]:
    closing = next((place for place, token in enumerate(answer) if token in stop_ids), len(answer))
    return answer[: closing + 1]
