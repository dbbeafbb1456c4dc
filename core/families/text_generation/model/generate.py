"""Answers from a language model: many at once, each as if it were the only prompt; or one, piece by piece.

Prompts of like length share a batch. What a batch does is in `decoding`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from tunebook.errors import UserError
from tunebook.families.text_generation.model.decoding import beams, decode
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.model.seq2seq import decoder_prefix, reads_apart
from tunebook.families.text_generation.model.structure import Structure
from tunebook.models.layers import plain_model
from tunebook.models.positions import positions


@dataclass(frozen=True)
class Written:
    """An answer.

    Attributes:
        ids: Its tokens, with the one that closes it.
        finished: Whether there is one that closes it; else it is cut off at `max_new_tokens`, and of one kept to
            a schema the braces are closed.
        log_probability: Of all its tokens under the model as it is, summed, in nats; nan where not requested,
            and of beams.
    """

    ids: list[int]
    finished: bool
    log_probability: float = float("nan")

    @property
    def said(self) -> list[int]:
        """Its tokens without the one that closes it."""
        return self.ids[:-1] if self.finished else self.ids


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
        model: A language model of transformers, causal or an encoder-decoder, or one wrapped by peft; moved to
            ``device``.
        tokenizer: Its tokenizer, for the padding token.
        prompts_ids: Token ids of each prompt, with all special tokens.
        settings: How answers are chosen.
        stop_ids: Tokens that close an answer; the one that did is left out of it.
        batch_size: Most prompts at once.
        device: Where to compute.
        advance: Called with how many more rows are done.

    Returns:
        Token ids of each answer, in the order of the prompts.

    Raises:
        UserError: A prompt does not fit the model's positions, or this kind of model does not answer prompts so.
    """
    found = write(model, tokenizer, prompts_ids, settings, stop_ids, batch_size, device, advance)
    return [answers[0].said for answers in found]


def write(
    model: Any,
    tokenizer: Any,
    prompts_ids: Sequence[Sequence[int]],
    settings: Generation,
    stop_ids: Collection[int],
    batch_size: int,
    device: torch.device | str,
    advance: Callable[[int], None],
    answers: int = 1,
    scored: bool = False,
) -> list[list[Written]]:
    """Answer every prompt ``answers`` times: the best beams, or the greedy answer and draws 1, 2 ... with it."""
    _check(model, prompts_ids, settings)
    pad = tokenizer.pad_token_id or 0  # any id will do: no row sees its padding
    # longest first: if memory is short, the first batch says so
    order = sorted(range(len(prompts_ids)), key=lambda row: -len(prompts_ids[row]))
    written: list[list[Written]] = [[] for _ in prompts_ids]
    with _answering(model.to(device)):
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            prompts = [prompts_ids[row] for row in rows]
            if settings.num_beams > 1:
                best = beams(model, prompts, settings, stop_ids, pad, answers)
                found = [[Written(ids, ids[-1] in stop_ids) for ids in several] for several in best]
            else:
                structure = _structure(settings, tokenizer, stop_ids, len(prompts) * answers)
                found = _decoded(model, prompts, rows, settings, stop_ids, pad, answers, scored, structure)
            for row, several in zip(rows, found, strict=True):
                written[row] = several
            advance(len(rows))
    return written


def _decoded(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[int],
    settings: Generation,
    stop_ids: Collection[int],
    pad: int,
    answers: int,
    scored: bool,
    structure: Structure | None,
) -> list[list[Written]]:
    """The answers to one batch of prompts."""
    ids: list[list[int]] = [[] for _ in range(len(prompts) * answers)]
    sums = [0.0 if scored else float("nan")] * len(ids)
    for step in decode(model, prompts, rows, settings, stop_ids, pad, answers, scored, structure):
        places = step.places.tolist()
        for place, token in zip(places, step.tokens.tolist(), strict=True):
            ids[place].append(token)
        if step.log_probabilities is not None:
            for place, share in zip(places, step.log_probabilities.tolist(), strict=True):
                sums[place] += share
    written = [Written(one, one[-1] in stop_ids, total) for one, total in zip(ids, sums, strict=True)]
    for place in structure.led if structure else ():
        written[place] = Written(ids[place][:-1], False, sums[place])
    return [written[start : start + answers] for start in range(0, len(written), answers)]


def stream(
    model: Any,
    tokenizer: Any,
    ids: Sequence[int],
    settings: Generation,
    stop_ids: Collection[int],
    cut_off: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """Answer one prompt, piece by piece as the tokens come; the pieces together are the decoded answer.

    A character of several tokens comes when it is whole. Draws are those of the first row of `generate`.

    Args:
        model: As for `generate`; it answers on the device where it is.
        tokenizer: Its tokenizer.
        ids: Token ids of the prompt.
        settings: How tokens are chosen; beams are refused, as they have no first piece before the last.
        stop_ids: Tokens that close the answer.
        cut_off: Called where none of them did, and the answer stops at `max_new_tokens`.

    Raises:
        UserError: As for `generate`.
        ValueError: `num_beams` is above 1.
    """
    if settings.num_beams > 1:
        raise ValueError("beam search cannot be streamed: num_beams=1")
    _check(model, [ids], settings)
    answer: list[int] = []
    shown = text = ""
    structure = _structure(settings, tokenizer, stop_ids, 1)
    with _answering(model):
        for step in decode(model, [ids], [0], settings, stop_ids, pad=0, structure=structure):
            if bool(step.closed):
                break
            answer.append(int(step.tokens))
            text = tokenizer.decode(answer, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            if len(text) > len(shown) and not text.endswith("\N{REPLACEMENT CHARACTER}"):
                yield text[len(shown) :]
                shown = text
        else:
            cut_off()
    if structure and structure.led:
        cut_off()
    if text != shown:
        yield text[len(shown) :]


def _structure(settings: Generation, tokenizer: Any, stop_ids: Collection[int], answers: int) -> Structure | None:
    """What the answers of a batch keep to."""
    if settings.schema is None:
        return None
    return Structure(settings.schema, tokenizer, stop_ids, answers, settings.max_new_tokens)


def _check(model: Any, prompts: Sequence[Sequence[int]], settings: Generation) -> None:
    if any(not len(prompt) for prompt in prompts):
        raise ValueError("a prompt needs at least one token")
    longest = max(range(len(prompts)), key=lambda row: len(prompts[row]), default=None)
    if longest is None:
        return
    if reads_apart(model):
        _check_apart(plain_model(model), longest, len(prompts[longest]), settings.max_new_tokens)
        return
    limit = positions(model.config.get_text_config().to_dict())
    needed = len(prompts[longest]) + settings.max_new_tokens
    if limit is not None and needed > limit:
        raise UserError(
            f"prompt {longest + 1} has {len(prompts[longest])} tokens; with {settings.max_new_tokens} new ones that "
            f"is {needed}, and the model has {limit} positions.",
            code="generation.no-room",
            where="max_new_tokens",
            fix="shorten the prompt, allow fewer new tokens, or choose a model with more positions",
        )


def _check_apart(model: Any, row: int, tokens: int, new: int) -> None:
    """Encoder and decoder count for themselves; T5 counts distances, of which there is no last."""
    both = getattr(model.config, "max_position_embeddings", None)
    encoder = getattr(model.config, "max_encoder_position_embeddings", both)
    decoder = getattr(model.config, "max_decoder_position_embeddings", both)
    fix = "choose a model with more positions"
    if encoder is not None and tokens > encoder:
        what = f"prompt {row + 1} has {tokens} tokens, and the encoder has {encoder} positions."
        raise UserError(what, code="generation.no-room", where="prompt", fix=f"shorten the prompt, or {fix}")
    first = len(decoder_prefix(model))
    if decoder is not None and first + new > decoder + 1:  # the last token is written, and never read
        what = f"{new} new tokens after {first} do not fit: the decoder has {decoder} positions."
        raise UserError(
            what, code="generation.no-room", where="max_new_tokens", fix=f"allow fewer new tokens, or {fix}"
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
