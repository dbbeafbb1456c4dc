"""Prompts and answers made into batches for a model with an encoder and a decoder."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from tunebook.config.schema import TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.module import Examples, FineTuneData
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.text_generation.contract import cache_salt, training_conversations_of
from tunebook.families.text_generation.data.answers import byte_count
from tunebook.families.text_generation.data.pair_template import PairTemplate
from tunebook.families.text_generation.data.pairs import PairItems, encode_pairs, stack_pairs
from tunebook.families.text_generation.data.usable import check_usable
from tunebook.families.text_generation.model.seq2seq import decoder_prefix
from tunebook.families.text_generation.options import GenerationData, Overlength
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer, longest

SPLITS = ("train", "validation", "test")


def encode_splits(
    recipe: TextGeneration[Any], checked: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
) -> Encoded:
    """Encode prompts and answers of all splits; what is over the length is rejected, or stops the run.

    Raises:
        UserError: Too many rows are rejected, or ``data.max_length`` does not fit.
    """
    options = node_as(config.data, GenerationData)
    check_whole(options.overlength)
    template = PairTemplate(load_tokenizer(source))
    max_length = longest(source, template.tokenizer, options.max_length)
    facts, shaped_by = template.facts(), cache_salt(recipe)
    splits, rows, identity = {}, {}, {}
    for name in SPLITS:
        part: Rows = getattr(checked, name)
        items, lost = encode_rows(recipe, part, template, max_length)
        numbered, used = _numbered(items)
        _log(lost, part, rejects, options.overlength)
        if lost:
            facts[f"{name} left out by the encoder"] = f"{len(lost):,} prompts with their answers"
        rows[name] = part if len(used) == len(part) else part.take(used)
        splits[name] = Examples(numbered, numbered.lengths, numbered.units)
        identity[name] = f"{part.fingerprint}\n{template.key}\n{max_length}\n{shaped_by}"
    check_usable(splits, rejects, "row")
    counts = splits["train"]
    facts["train supervised tokens"] = f"{int(counts.units.sum()):,} of {int(counts.lengths.sum()):,}"  # type: ignore[union-attr]
    # Built without the model: it sets what starts the decoder, put in by `pair_data`.
    return Encoded(splits, rows, partial(stack_pairs, pad_id=_pad(template)), template, max_length, facts, identity)


def check_whole(policy: Overlength) -> None:
    """Refuse to split what is one prompt and one answer.

    Raises:
        UserError: The policy would.
    """
    if policy is Overlength.split_turns:
        raise UserError(
            "A prompt and its answer are used whole: neither is truncated, and there are no turns to split.",
            code="config.no-effect",
            where=f"data.overlength={policy.name}",
            fix="data.overlength=reject drops those that are too long, data.overlength=error stops at the first",
        )


def encode_rows(
    recipe: TextGeneration[Any], rows: Rows, template: PairTemplate, max_length: int
) -> tuple[PairItems, list[tuple[int, str]]]:
    """Token rows of prompts and answers, each with the row it is of; and rows with the reason why one is left out."""
    owners, prompts, answers, excluded = [], [], [], []
    for number, conversations in enumerate(training_conversations_of(recipe, rows)):
        for *prompt, answer in conversations:
            if not answer.supervised:
                excluded.append((number, "its last answer is excluded from training"))
                continue
            if prompt[-1].context or prompt[-1].tools:
                excluded.append((number, "it has a context or tools, and such a model reads its question alone"))
                continue
            owners.append(number)
            prompts.append(prompt[-1].content)
            answers.append(answer.content)
    items, rejected = encode_pairs(prompts, answers, template.tokenizer, max_length, max_length)
    sources = np.array(owners, dtype=np.int64)[items.sources]
    said = np.array([byte_count(answer) for answer in answers], dtype=np.int64)[items.sources]
    lost = [*excluded, *((owners[i], reason) for i, reason in rejected.items())]
    return replace(items, sources=sources, bytes=said), sorted(lost)


def _numbered(items: PairItems) -> tuple[PairItems, np.ndarray]:
    """Token rows numbered by the rows that are kept, and these."""
    used = np.unique(items.sources)
    return replace(items, sources=np.searchsorted(used, items.sources)), used


def encoded_pairs(
    recipe: TextGeneration[Any], rows: Rows, template: PairTemplate, max_length: int
) -> tuple[Rows, PairItems, list[str]]:
    """New rows to be scored; what is over the length is left out, and reported.

    Raises:
        UserError: None can be scored.
    """
    items, lost = encode_rows(recipe, rows, template, max_length)
    if not lost:
        return rows, items, []
    number, reason = lost[0]
    if not len(items):
        raise UserError(
            f"No row can be scored: {reason}.",
            code="data.no-usable-rows",
            where=rows.where(number),
            fix="give other rows",
        )
    numbered, used = _numbered(items)
    note = f"{len(lost)} answers cannot be scored, such as that of {rows.where(number)}: {reason}"
    print(f"note: {note}")
    return rows.take(used), numbered, [note]


def _log(lost: list[tuple[int, str]], rows: Rows, rejects: RejectLog, policy: Overlength) -> None:
    noted: set[int] = set()
    for number, reason in lost:
        if policy is Overlength.error:
            raise UserError(
                f"A row is too long: {reason}.",
                code="data.too-long",
                where=rows.where(number),
                fix="data.overlength=reject",
            )
        if number not in noted:
            file, _, line = rows.where(number).rpartition(":")
            rejects.add(file, int(line), "", f"cannot be used for training: {reason}")
        noted.add(number)


def _pad(template: PairTemplate) -> int:
    return int(template.tokenizer.pad_token_id)


def pair_data(model: nn.Module, encoded: Encoded, config: TrainConfig) -> FineTuneData:
    """Batches of pairs of like length."""
    start = decoder_prefix(model)[0]
    return FineTuneData(
        {name: encoded.splits[name] for name in ("train", "validation")},
        partial(stack_pairs, pad_id=_pad(encoded.tokenizer), decoder_start_id=start),
        batch_size=config.data.batch_size,
        seed=config.seed,
        group_by_length=node_as(config.data, GenerationData).group_by_length,
        accumulate=config.trainer.accumulate_grad_batches,
        num_workers=config.data.num_workers,
    )
