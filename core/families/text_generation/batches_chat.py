"""Conversations made into batches: token rows marked as learned or not, packed where the model keeps them apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.text import Text
from torch import nn

from tunebook.config.schema import ModelConfig, TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.module import Examples, FineTuneData
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.text_generation.contract import cache_salt, training_conversations_of
from tunebook.families.text_generation.data.context import contexts_of, with_distractors
from tunebook.families.text_generation.data.encoded import EncodedConversations, encode_cached, encoding_key
from tunebook.families.text_generation.data.message import CONVERSATION, offers_tools
from tunebook.families.text_generation.data.packing import PackedItems, one_each, pack_evenly, stack_packs, stack_rows
from tunebook.families.text_generation.data.supervision import BESIDE_CONTEXT, SUPERVISED, audit, coloured
from tunebook.families.text_generation.data.template import TEMPLATES, ChatTemplate
from tunebook.families.text_generation.data.usable import check_usable
from tunebook.families.text_generation.model.language_loss import supports_packing
from tunebook.families.text_generation.options import ConversationData, GenerationData, GenerationModel, Overlength
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.models.quiet import quiet_transformers
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer, longest

SPLITS = ("train", "validation", "test")
USUAL_LENGTH, _SEQUENCE = 1024, 256
_SHOWN, _SHOWN_TOKENS, _LINES = 3, 300, 5


def chat_template(tokenizer: Any, config: ModelConfig) -> ChatTemplate:
    """The template that the config names, or the model's own; the tokenizer keeps it.

    Raises:
        UserError: There is none, or nothing can safely be learned with it.
    """
    named = node_as(config, GenerationModel).chat_template
    file = None if named is None else TEMPLATES.get(named, Path(named))
    with quiet_transformers():  # the trial conversations are longer than some tiny models, which is no matter
        template = ChatTemplate.of(tokenizer, file)
    tokenizer.chat_template = template.text
    return template


def encode_splits(
    recipe: TextGeneration[Any], checked: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
) -> Encoded:
    """Encode all conversations once (cached), and decide about those that are too long.

    Raises:
        UserError: Too many rows are rejected, the template cannot be used, or ``data.max_length`` does not fit.
    """
    data = node_as(config.data, GenerationData)
    tokenizer = load_tokenizer(source)
    template = chat_template(tokenizer, config.model)
    spoken = roles(checked)
    template.check_roles(spoken)
    max_length = longest(source, tokenizer, data.max_length, USUAL_LENGTH)
    key = encoding_key(tokenizer, template, max_length, data.overlength)
    splits, rows, identity = {}, {}, {}
    facts, shaped_by = template.facts(), cache_salt(recipe)
    facts |= template.tool_facts() if "tools" in spoken else {}
    distractors = data.distractors if isinstance(data, ConversationData) else 0
    facts |= _context_facts(checked, distractors)
    for name in SPLITS:
        part: Rows = with_distractors(getattr(checked, name), distractors, config.seed)
        found = encode_cached(
            part,
            template,
            max_length,
            data.overlength,
            Path(data.cache_dir),
            partial(training_conversations_of, recipe),
            shaped_by,
        )
        check_contexts_fit(found, part, max_length)
        facts[f"{name} {_what(recipe.talks)} over {max_length} tokens"] = _overlong(found, max_length, data.overlength)
        facts |= logged(found, part, rejects)
        if name == "train":
            audited = audit(found.rows, max_length, template.end_of_turn_ids)
            facts |= {f"train {what}": value for what, value in audited.facts().items()}
        rows[name] = part if len(found.used) == len(part) else part.take(found.used)
        items = _one_each(found)
        splits[name] = Examples(items, items.lengths, items.units)
        identity[name] = f"{part.fingerprint}\n{key}\n{shaped_by}"
    check_usable(splits, rejects, "conversation")
    return Encoded(splits, rows, _collate(template, packed=False), template, max_length, facts, identity)


def roles(checked: ValidatedData) -> set[str]:
    """What conversations of any split have of that which not every template knows: system turns, tools."""
    parts = [getattr(checked, name) for name in SPLITS]
    columns = [part.column(CONVERSATION) for part in parts if CONVERSATION in part.roles]
    texts = (text for column in columns for chunk in column.chunks for text in chunk.to_pylist())
    system = {"system"} if any(text.startswith('[{"role":"system"') for text in texts) else set()
    in_system = any(context and context.place == "system" for part in parts for context in contexts_of(part))
    return system | ({"system"} if in_system else set()) | ({"tools"} if any(map(offers_tools, parts)) else set())


def _context_facts(checked: ValidatedData, distractors: int) -> dict[str, str]:
    """How many rows have a context.

    Raises:
        UserError: None has one, and distractors are wanted.
    """
    found = [context for name in SPLITS for context in contexts_of(getattr(checked, name))]
    have = [context for context in found if context is not None]
    if not have and distractors:
        raise UserError(
            "data.distractors has no effect: no row has a context.",
            code="config.no-effect",
            where=f"data.distractors={distractors}",
            fix="data.context=<column> names the column with the documents",
        )
    if not have:
        return {}
    mixed = f", each with up to {distractors} documents of other rows" if distractors else ""
    return {"context": f"in the prompt of {len(have):,} of {len(found):,} rows ({have[0].place} turn){mixed}"}


def check_contexts_fit(found: EncodedConversations, rows: Rows, max_length: int) -> None:
    """Refuse contexts that do not fit with their question and its answer; they are never cut.

    Raises:
        UserError: There are some; their lines are named.
    """
    long = [rows.where(row) for row, reasons in found.rejected.items() if any(BESIDE_CONTEXT in r for r in reasons)]
    if long:
        more = f" and {len(long) - _LINES:,} more" if len(long) > _LINES else ""
        raise UserError(
            f"The contexts of {len(long):,} rows are too long: with the question and the answer they exceed "
            f"{max_length:,} tokens.",
            code="data.context-too-long",
            where=f"{', '.join(long[:_LINES])}{more}",
            fix="shorten them, leave these rows out, mix in fewer data.distractors, or data.max_length=... where the "
            "model takes more",
        )


def _one_each(found: EncodedConversations) -> PackedItems:
    """Every row by itself; conversations are numbered as those that are kept."""
    sources = np.searchsorted(found.used, found.sources)
    return PackedItems(found.ids, found.supervised, found.offsets, one_each(len(found)), sources, found.bytes)


def _overlong(found: EncodedConversations, max_length: int, policy: Overlength) -> str:
    long = int((found.lengths > max_length).sum())
    done = {Overlength.reject: "rejected", Overlength.error: "refused"}.get(policy)
    made = int(np.isin(found.sources, np.flatnonzero(found.lengths > max_length)).sum())
    return f"{long:,} of {len(found.lengths):,}" + (f" ({done or f'split into {made:,} rows'})" if long else "")


def logged(found: EncodedConversations, rows: Rows, rejects: RejectLog) -> dict[str, str]:
    """Log what is in no row; an answer that is left out of a conversation is a reject like a whole one."""
    for number, reasons in found.rejected.items():
        file, _, line = rows.where(number).rpartition(":")
        more = f" (and {len(reasons) - 1} more answers of it)" if len(reasons) > 1 else ""
        text = rows.column("text")[number].as_py() if "text" in rows.roles else ""
        rejects.add(file, int(line), "", f"cannot be used for training: {reasons[0]}{more}", text)
    answers = sum(len(reasons) for number, reasons in found.rejected.items() if number in found.used)
    return {f"{rows.split} answers without supervision": f"{answers:,}"} if answers else {}


def _what(talks: bool) -> str:
    """What the token rows are made of, in the user's words."""
    return "conversations" if talks else "prompts with their answers"


def preview(encoded: Encoded, talks: bool) -> list[Text]:
    """The first training rows, what is learned of them in colour, or between « and » where there is none."""
    template, items = encoded.tokenizer, encoded.splits["train"].items
    supervised = Text("supervised tokens", style=SUPERVISED)
    shown = [Text.assemble(f"three {_what(talks)} as the model reads them; ", supervised, " between « and »:")]
    for number in range(min(_SHOWN, len(items))):
        row = items[number]
        where = encoded.rows["train"].where(row.row)
        shown.append(shown_row(row, where, template))
    return shown


def shown_row(row: Any, title: str, template: ChatTemplate) -> Text:
    """One token row under its title, what is learned of it in colour, and between « and »."""
    text = coloured(row.ids[:_SHOWN_TOKENS], row.supervised[:_SHOWN_TOKENS], template.rendering.tokenizer)
    cut = f"\n… {len(row.ids) - _SHOWN_TOKENS:,} more tokens" if len(row.ids) > _SHOWN_TOKENS else ""
    return Text.assemble((f"{title}\n", "bold"), _bracketed(text), cut, "\n")


def _bracketed(text: Text) -> Text:
    """Marks for the supervised parts that a file or a colour-blind reader sees too."""
    spans = sorted((span.start, span.end) for span in text.spans if SUPERVISED in str(span.style))
    joined: list[list[int]] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    marked, at = Text(), 0
    for start, end in joined:
        marked.append_text(text[at:start]).append("«", SUPERVISED).append_text(text[start:end]).append("»", SUPERVISED)
        at = end
    return marked.append_text(text[at:])


def conversation_data(model: nn.Module, encoded: Encoded, config: TrainConfig) -> FineTuneData:
    """Batches of conversations: packed, if that is wanted and the model keeps them apart."""
    options = node_as(config.data, GenerationData)
    packed = options.pack and supports_packing(model)
    splits = {name: encoded.splits[name] for name in ("train", "validation")}
    batch_size, note = options.batch_size, ""
    if options.pack and not packed:
        note = f"{type(model).__name__} cannot separate packed conversations, so each gets its own sequence"
    if packed:
        capacity = _capacity(splits["train"], batch_size, encoded.max_length)
        rows = len(splits["train"])
        splits = {
            name: _packed(examples, max(capacity, int(examples.lengths.max()))) for name, examples in splits.items()
        }
        world_size = config.trainer.devices * config.trainer.num_nodes
        packs = splits["train"]
        batch_size = max(world_size, round(batch_size * len(packs) / rows))
        longest = int(packs.lengths.max())
        note = (
            f"{rows:,} training rows in {len(packs):,} sequences of up to {longest:,} tokens "
            f"({packs.lengths.sum() / (longest * len(packs)):.0%} full), {batch_size} to a batch, "
            f"about {batch_size * rows / len(packs):.0f} rows"
        )
    return FineTuneData(
        splits,
        _collate(encoded.tokenizer, packed),
        batch_size=batch_size,
        seed=config.seed,
        group_by_length=options.group_by_length,
        accumulate=config.trainer.accumulate_grad_batches,
        num_workers=options.num_workers,
        summary=note,
    )


def _capacity(examples: Examples, batch_size: int, max_length: int) -> int:
    """Tokens of a sequence: room for the longest row, or for a batch of short ones.

    Longer sequences would be hardly fuller, and attention that looks at nothing costs time where no kernel skips it.
    """
    batch = round(batch_size * float(examples.lengths.mean()))
    return min(max_length, max(int(examples.lengths.max()), min(batch, _SEQUENCE)))


def _packed(examples: Examples, capacity: int) -> Examples:
    items: Any = examples.items
    made = PackedItems(
        items.ids, items.supervised, items.offsets, pack_evenly(examples.lengths, capacity), items.sources
    )
    return Examples(made, made.lengths, made.units)


def _collate(template: ChatTemplate, packed: bool) -> Any:
    pad_id = template.tokenizer.pad_token_id
    return partial(stack_packs if packed else stack_rows, pad_id=pad_id)


def scored_rows(items: Sequence[Any], losses: np.ndarray, tokens: np.ndarray, conversations: int) -> np.ndarray:
    """Loss and tokens of each conversation, all its rows added up, ``[conversations, 2]``."""
    sources = items.sources  # type: ignore[attr-defined]
    sums = np.zeros((conversations, 2))
    np.add.at(sums, sources, np.stack([losses, tokens], axis=1))
    return sums


def scored_bytes(items: Sequence[Any], conversations: int) -> np.ndarray:
    """Bytes of the scored answers of each conversation, all its rows added up, ``[conversations]``."""
    sources, said = items.sources, items.bytes  # type: ignore[attr-defined]
    sums = np.zeros(conversations)
    np.add.at(sums, sources, said)
    return sums
