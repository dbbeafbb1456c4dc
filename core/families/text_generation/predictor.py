"""A tuned language model ready to answer: the one code path behind test scores, `predict` and `chat`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from tunebook.data.batch import IGNORE_INDEX, Batch
from tunebook.data.batches import BatchPlan
from tunebook.data.content import Content
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.text_generation.completion import Completion
from tunebook.families.text_generation.contract import answers_of, prompts_of, ranked_of
from tunebook.families.text_generation.data.message import Message
from tunebook.families.text_generation.data.packing import PackedItems, stack_rows
from tunebook.families.text_generation.data.pair_template import PairTemplate
from tunebook.families.text_generation.data.pairs import PairItems, stack_pairs
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.data.window import fit_prompt
from tunebook.families.text_generation.model.candidates import write_candidates
from tunebook.families.text_generation.model.generate import stream, write
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.model.language_loss import supervised_losses
from tunebook.families.text_generation.model.seq2seq import decoder_prefix
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.models.positions import positions

# Answers written together. Rows are sorted by length, and leave their batch when they are done.
CHUNK, BATCH, SCORED = 512, 32, 16
LEAST = 8
"""Tokens that the shortest question has with what a template adds around it."""


def nothing(done: int) -> None:
    """Report no progress."""


def room_beside(max_new_tokens: int, limit: int | None) -> int:
    """Tokens that a question may have in a model of so many positions (None: any) that answers in so many tokens.

    Raises:
        UserError: There are next to none.
    """
    room = (limit or 2**31) - max_new_tokens
    if room < LEAST:
        raise UserError(
            f"Answers of {max_new_tokens} tokens leave no room for a question: the model has {limit} positions.",
            code="generation.no-room",
            where="recipe.max_new_tokens",
            fix=f"recipe.max_new_tokens={max(1, (limit or 0) // 4)}",
        )
    return room


@dataclass
class TextGenerator:
    """Conversations in, the assistant's next turn out.

    Attributes:
        model: A language model of transformers.
        template: Writes conversations as the model reads them; knows the tokenizer.
        max_length: Longest conversation in tokens that it was trained on; earlier turns are left out of longer ones.
        generation: How answers are chosen.
        truncated: Conversations whose earliest turns were left out so far.
        unfinished: Answers that `answers` and `stream` gave so far, and that were cut off at the most tokens allowed.
        recipe: Gives the prompt of a row, and the columns of its answers.
    """

    model: nn.Module
    template: ChatTemplate | PairTemplate
    max_length: int
    generation: Generation = field(default_factory=Generation)
    truncated: int = 0
    unfinished: int = 0
    recipe: TextGeneration[Any] = field(kw_only=True)

    @property
    def tokenizer(self) -> Any:
        """The model's own."""
        return self.template.tokenizer

    @property
    def columns(self) -> list[str]:
        """Columns of `answers`."""
        return self.recipe.answer_columns

    @property
    def room(self) -> int:
        """Tokens that a question may have, so that the answer has its room too.

        Raises:
            UserError: There is none.
        """
        if isinstance(self.template, PairTemplate):  # its answers have positions of their own
            return self.max_length
        model: Any = self.model
        limit = positions(model.config.get_text_config().to_dict())
        return min(self.max_length, room_beside(self.generation.max_new_tokens, limit))

    def encode_prompt(self, messages: Sequence[Message]) -> np.ndarray:
        """Token ids of a conversation that ends before the assistant's turn, int32 ``[tokens]``.

        Raises:
            Unsupervisable: It cannot be a prompt.
            UserError: It offers tools, and the template does not show them.
        """
        if messages[0].tools:
            self.template.check_tools()
        context = messages[0].context
        in_system = messages[0].role == "system" or (context is not None and context.place == "system")
        if self.template.no_system and in_system:  # no such conversation was learned from
            raise Unsupervisable(f"it has a system prompt: {self.template.no_system}")
        found = fit_prompt(messages, self.template, self.room)
        self.truncated += found.left_out > 0
        return found.ids

    def refused(self, rows: Rows) -> dict[int, str]:
        """The rows that the model cannot answer, with the reason."""
        found, before = {}, self.truncated
        for number, messages in enumerate(prompts_of(self.recipe, rows)):
            try:
                self.encode_prompt(messages)
            except Unsupervisable as error:
                found[number] = str(error)
        self.truncated = before
        return found

    def answers(
        self,
        rows: Rows,
        content: Content | None = None,
        device: torch.device | str | None = None,
        advance: Callable[[int], None] = nothing,
    ) -> Iterator[dict[str, str | float]]:
        """Answer checked rows in order."""
        for start in range(0, len(rows), CHUNK):
            part = rows.take(np.arange(start, min(start + CHUNK, len(rows))))
            histories = list(prompts_of(self.recipe, part))
            prompts = [self._encoded_prompt(messages, part.where(number)) for number, messages in enumerate(histories)]
            best = ranked_of(self.recipe, part, range(len(part)), self.completions(prompts, device, advance))
            self.unfinished += sum(several[0].stopped_at is not None for several in best)
            yield from answers_of(self.recipe, part, histories, best)

    def _encoded_prompt(self, messages: Sequence[Message], where: str) -> np.ndarray:
        try:
            return self.encode_prompt(messages)
        except Unsupervisable as error:
            raise UserError(
                f"This prompt cannot be answered: {error}.",
                code="data.too-long",
                where=where,
                fix="shorten its last turn, or leave the row out",
            ) from error

    def completions(
        self,
        prompts: Sequence[Sequence[int] | np.ndarray],
        device: torch.device | str | None = None,
        advance: Callable[[int], None] = nothing,
    ) -> list[list[Completion]]:
        """Answer prompts given as token ids, each as often as the recipe wants."""
        wanted = self.recipe.candidates
        ids = [np.asarray(prompt).tolist() for prompt in prompts]
        given = (self.model, self.tokenizer, ids, self.generation)
        how = (self.template.end_of_turn_ids, BATCH, device or "cpu", advance)
        if wanted == 1:
            plain = write(*given, *how)
            return [[self._completion(one.said, one.finished) for one in several] for several in plain]
        scored = write_candidates(*given, wanted, *how)
        return [[self._completion(one.ids, one.finished, one.score) for one in several] for several in scored]

    def _completion(self, ids: Sequence[int], finished: bool, score: float = float("nan")) -> Completion:
        return Completion(self.decode(ids), score, None if finished else self.generation.max_new_tokens)

    def stream(self, messages: Sequence[Message], device: torch.device | str | None = None) -> Iterator[str]:
        """Answer one conversation, piece by piece; the pieces together are the single completion of `completions`.

        Raises:
            Unsupervisable: It cannot be a prompt; at once, not with the first piece.
        """
        ids = self.encode_prompt(messages).tolist()
        model = self.model.to(device or "cpu")
        stop = self.template.end_of_turn_ids
        return _stripped(stream(model, self.tokenizer, ids, self.generation, stop, self._count_unfinished))

    def _count_unfinished(self) -> None:
        self.unfinished += 1

    def decode(self, ids: Sequence[int]) -> str:
        """The text of an answer; white space around it belongs to the template."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text.strip()

    @torch.no_grad()
    def losses(
        self,
        items: PackedItems | PairItems,
        device: torch.device | str | None = None,
        advance: Callable[[int], None] = nothing,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Summed loss in nats of each token row, and the tokens it is over, float64 and int64 ``[rows]``.

        Args:
            items: Rows, one to a pack.
            device: Where to compute.
            advance: Called with how many more rows are done.
        """
        device = torch.device(device or "cpu")
        self.model.eval().to(device)
        total, count = np.zeros(len(items)), np.zeros(len(items), dtype=np.int64)
        for order in BatchPlan(items.lengths, SCORED, shuffle=False).global_batches(0):
            batch = self._stacked([items[int(i)] for i in order])
            inputs = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch["inputs"].items()}
            supervised = batch["target"] != IGNORE_INDEX
            losses = supervised_losses(self.model, inputs, batch["target"].to(device)).double().cpu().numpy()
            np.add.at(total, order[supervised.nonzero()[:, 0].numpy()], losses)
            count[order] = supervised.sum(dim=1).numpy()
            advance(len(order))
        return total, count

    def _stacked(self, items: Sequence[Any]) -> Batch:
        pad: int = self.tokenizer.pad_token_id
        if isinstance(self.template, PairTemplate):
            return stack_pairs(items, pad, decoder_prefix(self.model)[0])
        return stack_rows(items, pad)


def _stripped(pieces: Iterator[str]) -> Iterator[str]:
    """Leave out white space before the first piece, and what nothing follows."""
    held, began = "", False
    for piece in pieces:
        held = held + piece if began else piece.lstrip()
        if text := held.rstrip():
            yield text
            held, began = held[len(text) :], True
