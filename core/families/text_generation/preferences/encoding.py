"""Preferences of all splits as token rows, encoded once, and as batches with their reference log-probabilities."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.text import Text
from torch import nn

from tunebook.config.schema import Objective, TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.module import Examples, FineTuneData
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.family import node_as
from tunebook.families.text_generation.batches_chat import (
    SPLITS,
    USUAL_LENGTH,
    chat_template,
    logged,
    roles,
    shown_row,
)
from tunebook.families.text_generation.data.encoded import EncodedConversations, encode_cached, encoding_key
from tunebook.families.text_generation.data.supervision import SUPERVISED, audit
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.data.usable import check_usable
from tunebook.families.text_generation.model.language_loss import supports_packing
from tunebook.families.text_generation.options import GenerationData, Overlength, PreferenceObjective
from tunebook.families.text_generation.preferences.content import THUMB, one_sided
from tunebook.families.text_generation.preferences.fitting import fit_preference, preference_conversations
from tunebook.families.text_generation.preferences.heads import preference_head
from tunebook.families.text_generation.preferences.items import PreferenceItems, stack_preferences
from tunebook.families.text_generation.preferences.reference import with_reference
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer, longest

_FORMAT = 1  # raise when the way of encoding changes, so that old caches are not read
_SHOWN = 2
_SIDES = {Objective.dpo: ("chosen", "rejected"), Objective.kto: ("bad", "good")}


def encode_preferences(
    checked: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog, whole: bool
) -> Encoded:
    """Encode both answers of every row once (cached), with the same masks as in supervised training.

    Args:
        checked: The rows.
        source: The model's files.
        config: The run's config.
        rejects: Takes rows that cannot be encoded.
        whole: Whether these are all rows of a run, each split of which needs good and bad answers.

    Raises:
        UserError: Too many rows are rejected, the template cannot be used, ``data.max_length`` does not fit, or the
            answers of a split are all good or all bad.
    """
    data, objective = node_as(config.data, GenerationData), config.objective.name
    tokenizer = load_tokenizer(source)
    template = chat_template(tokenizer, config.model)
    template.check_roles(roles(checked))
    max_length = longest(source, tokenizer, data.max_length, USUAL_LENGTH)
    salt = f"{objective.name} {_FORMAT}"
    key = encoding_key(tokenizer, template, max_length, data.overlength)
    splits, rows, identity = {}, {}, {}
    facts = template.facts()
    for name in SPLITS:
        part: Rows = getattr(checked, name)
        found = encode_cached(
            part,
            template,
            max_length,
            data.overlength,
            Path(data.cache_dir),
            partial(preference_conversations, objective),
            salt,
            partial(
                fit_preference,
                objective=objective,
                template=template,
                max_length=max_length,
                policy=data.overlength,
            ),
        )
        facts[f"{name} preferences over {max_length} tokens"] = _overlong(found, max_length, data.overlength)
        facts |= logged(found, part, rejects)
        rows[name] = part if len(found.used) == len(part) else part.take(found.used)
        items = _items(found, rows[name])
        if objective is Objective.kto:
            facts[f"{name} answers"] = f"{int(items.good.sum()):,} good, {int((~items.good).sum()):,} bad"
        splits[name] = Examples(items, items.lengths)
        identity[name] = f"{part.fingerprint}\n{key}\n{salt}"
    audited = audit(_audited(splits["train"].items, objective), max_length, template.end_of_turn_ids)
    facts |= {f"train {what}": value for what, value in audited.facts().items()}
    check_usable(splits, rejects, "preference")
    for name, examples in splits.items():
        good = examples.items.good  # type: ignore[attr-defined]
        if whole and objective is Objective.kto and good.min() == good.max():
            raise one_sided(bool(good[0]), rows[name])
    collate = _collate(template, packed=False, objective=objective)
    return Encoded(splits, rows, collate, template, max_length, facts, identity)


def _overlong(found: EncodedConversations, max_length: int, policy: Overlength) -> str:
    long = int((found.lengths > max_length).sum())
    done = "their earliest turns left out" if policy is Overlength.split_turns else "rejected"
    return f"{long:,} of {len(found.lengths):,}" + (f" ({done})" if long else "")


def _items(found: EncodedConversations, rows: Rows) -> PreferenceItems:
    good = np.ones(len(rows), dtype=bool)
    if THUMB in rows.roles:
        good = np.array([thumb == "true" for thumb in rows.texts(THUMB)])
    return PreferenceItems(found.ids, found.supervised, found.offsets, good, found.bytes)


def _audited(items: Any, objective: Objective) -> Any:
    """The token rows whose answers are learned from; those that only estimate z are left out."""
    step = 1 if objective is Objective.dpo else 2
    return (items.token_row(number) for number in range(0, 2 * len(items), step))


def preview_preferences(encoded: Encoded, objective: Objective) -> list[Text]:
    """The first training rows with what was thought of their answers; what is learned is in colour."""
    items: Any = encoded.splits["train"].items
    supervised = Text("supervised tokens", style=SUPERVISED)
    shown = [Text.assemble("preferences as the model reads them; ", supervised, " between « and »:")]
    for number in range(min(_SHOWN, len(items))):
        each, where = items[number], encoded.rows["train"].where(items[number].row)
        sides = _SIDES[objective] if objective is Objective.dpo else (_SIDES[objective][each.good],)
        for side, row in zip(sides, each.rows, strict=False):
            shown.append(shown_row(row, f"{where} ({side})", encoded.tokenizer))
    return shown


def preference_counts(encoded: Encoded, objective: Objective) -> dict[str, dict[str, int]]:
    """Pairs, or good and bad answers, and tokens of each split."""
    counts = {}
    for name, examples in encoded.splits.items():
        items: Any = examples.items
        good = int(items.good.sum())
        what = {"pairs": len(items)} if objective is Objective.dpo else {"good": good, "bad": len(items) - good}
        learned = sum(int(row.supervised.sum()) for row in _audited(items, objective))
        counts[name] = {**what, "tokens": int(examples.lengths.sum()), "supervised tokens": learned}
    return counts


def preference_data(model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig) -> FineTuneData:
    """Batches of preferences, with the reference log-probabilities of the model as it is now.

    Args:
        model: Before its first step: adapters change nothing yet.
        encoded: The rows.
        source: The model's files.
        config: The run's config.
    """
    options = node_as(config.data, GenerationData)
    objective = node_as(config.objective, PreferenceObjective)
    packed = options.pack and supports_packing(model)
    splits = {}
    for name in ("train", "validation"):
        examples = encoded.splits[name]
        items: Any = examples.items
        known = with_reference(model, items, encoded, name, source, config)
        splits[name] = replace(examples, items=known)
    return FineTuneData(
        splits,
        _collate(encoded.tokenizer, packed, objective.name),
        batch_size=options.batch_size,
        seed=config.seed,
        group_by_length=options.group_by_length,
        accumulate=config.trainer.accumulate_grad_batches,
        num_workers=options.num_workers,
        summary=f"{len(splits['train']):,} {'pairs' if objective.name is Objective.dpo else 'answers'}, "
        f"{options.batch_size} to a batch; reference log-probabilities computed once",
        head=preference_head(objective),
    )


def _collate(template: ChatTemplate, packed: bool, objective: Objective) -> Any:
    return partial(stack_preferences, pad_id=template.tokenizer.pad_token_id, packed=packed, objective=objective)
