"""Several answers to each prompt, and how likely the model finds each: what a recipe chooses the best from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tunebook.data.batch import IGNORE_INDEX, Batch
from tunebook.errors import UserError
from tunebook.families.text_generation.data.packing import Pack, stack_rows
from tunebook.families.text_generation.data.pairs import Pair, stack_pairs
from tunebook.families.text_generation.model.generate import write
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.model.language_loss import supervised_losses
from tunebook.families.text_generation.model.seq2seq import decoder_prefix, reads_apart
from tunebook.models.layers import plain_model


@dataclass(frozen=True)
class Candidate:
    """One of several answers to a prompt.

    Attributes:
        ids: Its tokens, without the one that closes it.
        finished: Whether there was one that closes it; else it is cut off at `max_new_tokens`.
        score: Mean log-probability of its tokens and the one that closes it, in nats, under the model as it is:
            without temperature or top_p. An answer that is cut off has none that closes it.
    """

    ids: list[int]
    finished: bool
    score: float


def write_candidates(
    model: Any,
    tokenizer: Any,
    prompts_ids: Sequence[Sequence[int]],
    settings: Generation,
    n: int,
    stop_ids: Collection[int],
    batch_size: int = 16,
    device: torch.device | str = "cpu",
    advance: Callable[[int], None] = lambda done: None,
) -> list[list[Candidate]]:
    """Answer every prompt ``n`` times.

    One answer is what `generate` gives. Of several, beam search gives its best, in its own order. With ``do_sample``
    the first is the greedy answer, so that a choice among them has it to fall back on, and candidate ``i`` is draw
    ``i``: more candidates are added to those of fewer. Draws may repeat each other.

    Args:
        model: As for `generate`.
        tokenizer: Its tokenizer.
        prompts_ids: Token ids of each prompt.
        settings: How answers are chosen.
        n: Answers to each.
        stop_ids: Tokens that close an answer.
        batch_size: Most answers at once.
        device: Where to compute.
        advance: Called with how many more prompts are done.

    Raises:
        UserError: As for `generate`; or several answers are wanted where there is one, or fewer beams than that.
    """
    _check(n, settings)
    beams = settings.num_beams > 1
    together = max(1, batch_size // max(n, settings.num_beams))
    written = write(model, tokenizer, prompts_ids, settings, stop_ids, together, device, advance, n, scored=not beams)
    if beams:
        answers = [one.ids for several in written for one in several]
        repeated = [prompt for prompt, several in zip(prompts_ids, written, strict=True) for _ in several]
        scores = iter(score_candidates(model, repeated, answers, batch_size, device).tolist())
    found = []
    for several in written:
        means = [next(scores) if beams else one.log_probability / len(one.ids) for one in several]
        found.append([Candidate(one.said, one.finished, score) for one, score in zip(several, means, strict=True)])
    return found


def _check(n: int, settings: Generation) -> None:
    if n < 1:
        raise ValueError("n starts at 1")
    if n == 1 or settings.do_sample or settings.num_beams >= n:
        return
    where = "recipe.candidates"
    if settings.num_beams > 1:
        what = f"{n} candidates cannot come from {settings.num_beams} beams."
        raise UserError(
            what, code="generation.too-many-candidates", where=where, fix=f"num_beams={n}, or fewer candidates"
        )
    what = f"Greedy decoding gives one answer, and {n} candidates are wanted."
    raise UserError(
        what,
        code="generation.too-many-candidates",
        where=where,
        fix=f"do_sample=true draws them, num_beams={n} takes the best beams",
    )


def score_candidates(
    model: nn.Module,
    prompts_ids: Sequence[Sequence[int]],
    answers_ids: Sequence[Sequence[int]],
    batch_size: int = 16,
    device: torch.device | str = "cpu",
    advance: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Mean log-probability of the tokens of answers that are given, in nats, float64 ``[answers]``.

    Args:
        model: As for `generate`.
        prompts_ids: Token ids of the prompt of each answer.
        answers_ids: Token ids of each answer; the token that closes it counts if it is there.
        batch_size: Most answers at once.
        device: Where to compute.
        advance: Called with how many more answers are done.

    Raises:
        ValueError: A prompt or an answer has no token.
    """
    if not all(map(len, prompts_ids)) or not all(map(len, answers_ids)):
        raise ValueError("prompts and answers need at least one token")
    model.to(device)
    training = model.training
    model.eval()
    scores = np.zeros(len(answers_ids))
    order = sorted(range(len(answers_ids)), key=lambda row: -len(prompts_ids[row]) - len(answers_ids[row]))
    try:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = _batch(model, [prompts_ids[row] for row in rows], [answers_ids[row] for row in rows])
            scores[rows] = _means(model, batch, device)
            advance(len(rows))
    finally:
        model.train(training)
    return scores


@torch.no_grad()
def _means(model: nn.Module, batch: Batch, device: torch.device | str) -> np.ndarray:
    """Mean log-probability of each row's target, ``[rows]``."""
    inputs = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch["inputs"].items()}
    losses = supervised_losses(model, inputs, batch["target"].to(device)).double().cpu()
    supervised = batch["target"] != IGNORE_INDEX
    sums = losses.new_zeros(len(supervised)).index_add(0, supervised.nonzero()[:, 0], losses)
    means: np.ndarray = (-sums / supervised.sum(dim=1)).numpy()
    return means


def _batch(model: nn.Module, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Batch:
    """Prompts and answers whose target is the answer; no mask is wrong that pads with any id, as padding is masked."""
    plain = plain_model(model)
    if not reads_apart(plain):
        packs = []
        for prompt, answer in zip(prompts, answers, strict=True):
            ids = np.array([*prompt, *answer])
            packs.append(Pack(ids, np.arange(len(ids)) >= len(prompt), np.arange(len(ids)), 0))
        return stack_rows(packs, pad_id=0)
    start, *forced = decoder_prefix(plain)
    rows = zip(prompts, answers, strict=True)
    pairs = [Pair(np.array(prompt), np.array([*forced, *answer]), 0) for prompt, answer in rows]
    batch = stack_pairs(pairs, pad_id=0, decoder_start_id=start)
    batch["target"][:, : len(forced)] = IGNORE_INDEX
    return batch
