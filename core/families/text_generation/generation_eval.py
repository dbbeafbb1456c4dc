"""Held-out conversations: encoded, generated for, and scored."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.text_generation.batches_chat import check_contexts_fit, scored_bytes, scored_rows
from tunebook.families.text_generation.batches_seq2seq import encoded_pairs
from tunebook.families.text_generation.completion import Completion
from tunebook.families.text_generation.contract import ranked_of, training_conversations_of
from tunebook.families.text_generation.data.encoded import encode_cached
from tunebook.families.text_generation.data.packing import PackedItems, one_each
from tunebook.families.text_generation.data.pair_template import PairTemplate
from tunebook.families.text_generation.data.pairs import PairItems
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.perplexity import bits_per_byte, perplexity
from tunebook.families.text_generation.options import Overlength
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.families.text_generation.prompts import Prompts
from tunebook.progress import counting
from tunebook.statistics.sums import RowSums


@dataclass(frozen=True)
class HeldOut:
    """Held-out conversations as a model is scored on them.

    Attributes:
        rows: The conversations.
        items: Their token rows, one to a pack.
        questions: The turns that are written.
        prompts: Token ids of each prompt.
        left_out: Turns without a prompt, as they are too long.
        shortened: Prompts without their earliest turns.
        said: What an answer says to people.
    """

    rows: Rows
    items: PackedItems | PairItems
    questions: Prompts
    prompts: list[np.ndarray]
    left_out: int
    shortened: int
    said: Callable[[str], str]

    @classmethod
    def of(cls, rows: Rows, items: PackedItems | PairItems, questions: Prompts, writer: TextGenerator) -> HeldOut:
        """Encode the prompts."""
        prompts, used = [], []
        writer.truncated = 0
        for number, history in enumerate(questions.histories):
            try:
                prompts.append(writer.encode_prompt(history))
                used.append(number)
            except Unsupervisable:
                continue
        left_out, said = len(questions) - len(used), writer.recipe.said
        return cls(rows, items, questions.take(used), prompts, left_out, writer.truncated, said)

    @property
    def groups(self) -> np.ndarray | None:
        """What is resampled together where conversations are no independent evidence."""
        return self.rows.groups

    def notes(self, possible: int) -> list[str]:
        """What a reader must know of the written answers.

        Args:
            possible: Answers that all rows together ask for.
        """
        notes = []
        if len(self.questions) + self.left_out < possible:
            notes.append(
                f"Perplexity is over all {len(self.rows):,} test rows; of their {possible:,} answers "
                f"{len(self.questions):,} were generated and compared (evaluation.max_generations)."
            )
        if self.shortened:
            notes.append(f"{self.shortened} prompts were truncated: their earliest turns were dropped.")
        if self.left_out:
            notes.append(f"{self.left_out} turns were skipped: the question alone is too long.")
        calls = len(self.questions) - len(self.questions.texts)
        if calls:
            notes.append(
                f"{calls:,} of the {len(self.questions):,} answers are tool calls in the reference: they are scored as "
                f"calls, and left out of BLEU, ROUGE, chrF and all other comparisons of texts."
            )
        checked = sum(source is not None for source in self.questions.sources)
        if checked:
            notes.append(
                f"{checked:,} answers have a context: numbers and names that stand neither in it nor in the "
                f"conversation count as unsupported. A right number used wrongly is not found."
            )
        if self.questions.unclaimed:
            notes.append(
                f"{self.questions.unclaimed} required facts occur word for word in no reference, and were not scored."
            )
        return notes


@dataclass(frozen=True)
class Performance:
    """One model on the held-out conversations.

    Attributes:
        answers: What it wrote, of several completions the best.
        completions: All that it wrote for each, the best first.
        perplexity: Loss and tokens of each conversation; None of what is no model.
        bits_per_byte: The same loss in bits, and bytes of the answers; None of what is no model.
    """

    answers: GeneratedAnswers
    completions: list[list[Completion]]
    perplexity: RowSums | None = None
    bits_per_byte: RowSums | None = None

    @property
    def likelihoods(self) -> list[RowSums]:
        """What is measured of the references' probability; nothing of what is no model."""
        return [measure for measure in (self.perplexity, self.bits_per_byte) if measure is not None]

    @property
    def unfinished(self) -> RowSums | None:
        """Share of the answers that were cut off at the most tokens allowed; None of what is no model."""
        if self.perplexity is None:
            return None
        rows = [(several[0].stopped_at is not None, 1) for several in self.completions]
        sums = np.array(rows, dtype=np.float64).reshape(-1, 2)
        return RowSums("unfinished", sums, share=True, higher_is_better=False)

    def notes(self) -> list[str]:
        """What a reader must know of how it wrote."""
        cut = [several[0].stopped_at for several in self.completions if several[0].stopped_at is not None]
        if not cut:
            return []
        return [
            f"{len(cut):,} of the {len(self.completions):,} answers were truncated at "
            f"recipe.max_new_tokens={cut[0]}, and are scored as they are."
        ]


def perform(writer: TextGenerator, held_out: HeldOut, what: str, progress: bool, device: torch.device) -> Performance:
    """Measure a model's losses, and let it write."""
    items = held_out.items
    with counting(f"perplexity {what}", len(items), progress) as advance:
        losses, tokens = writer.losses(items, device, advance)
    sums = scored_rows(items, losses, tokens, len(held_out.rows))
    with counting(f"answers {what}", len(held_out.prompts), progress) as advance:
        completions = writer.completions(held_out.prompts, device, advance)
    ranked = ranked_of(writer.recipe, held_out.rows, held_out.questions.rows.tolist(), completions)
    by_byte = bits_per_byte(sums[:, 0], scored_bytes(items, len(held_out.rows)))
    return replace(written(held_out, ranked), perplexity=perplexity(sums[:, 0], sums[:, 1]), bits_per_byte=by_byte)


def written(held_out: HeldOut, completions: list[list[Completion]]) -> Performance:
    """What was written, by a model or without one."""
    texts = [held_out.said(several[0].text) for several in completions]
    return Performance(held_out.questions.answered(texts), completions)


def encoded_rows(rows: Rows, writer: TextGenerator) -> tuple[Rows, PackedItems | PairItems, list[str]]:
    """New rows as token rows; those that the model's template cannot write are left out, and reported."""
    if isinstance(writer.template, PairTemplate):
        return encoded_pairs(writer.recipe, rows, writer.template, writer.max_length)
    conversations = (each for several in training_conversations_of(writer.recipe, rows) for each in several)
    if any(conversation[0].tools for conversation in conversations):
        writer.template.check_tools()
    with tempfile.TemporaryDirectory(prefix="tunebook-evaluate-") as scratch:
        length, supervised = writer.max_length, partial(training_conversations_of, writer.recipe)
        found = encode_cached(rows, writer.template, length, Overlength.split_turns, Path(scratch), supervised)
        check_contexts_fit(found, rows, length)
        used = found.used
        if not len(used):
            reason = next(iter(found.rejected.values()))[0]
            raise UserError(
                f"No conversation can be scored: {reason}.",
                code="data.no-usable-rows",
                where=rows.where(0),
                fix="give other rows",
            )
        sources = np.searchsorted(used, found.sources)
        items = PackedItems(
            np.array(found.ids), np.array(found.supervised), found.offsets, one_each(len(found)), sources, found.bytes
        )
    if not found.rejected:
        return rows, items, []
    number, reasons = next(iter(found.rejected.items()))
    lost = len(rows) - len(used)
    note = (
        f"{lost} conversations, and answers of {len(found.rejected) - lost} others, cannot be scored, "
        f"such as {rows.where(number)}: {reasons[0]}"
    )
    print(f"note: {note}")
    return rows.take(used), items, [note]
