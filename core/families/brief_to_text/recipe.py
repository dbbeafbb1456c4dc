"""What a recipe that writes from briefs says: prompts, copy ranked by its brief, what is measured and reported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tunebook.config.schema import DataConfig, TrainConfig
from tunebook.data.columns import Column
from tunebook.families.brief_to_text.data.forms import brief_columns
from tunebook.families.brief_to_text.family import FAMILY
from tunebook.families.brief_to_text.options import BriefOptions, Decoding
from tunebook.families.family import Family
from tunebook.families.text_generation.data.message import Message
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.recipe import TextGeneration

if TYPE_CHECKING:
    from tunebook.data.rows import Rows
    from tunebook.families.brief_to_text.briefs import Briefs
    from tunebook.families.text_generation.completion import Completion
    from tunebook.families.text_generation.prompts import Prompts
    from tunebook.statistics.sums import RowSums

BriefConfigT = TypeVar("BriefConfigT", bound=BriefOptions)


class BriefToText(TextGeneration[BriefConfigT]):
    """A brief in, copy out; whatever can be checked against the brief is.

    Attributes:
        sample_fields: The columns that make up a brief in the recipe's own sample rows.
    """

    family: ClassVar[Family] = FAMILY
    Config: ClassVar[type] = BriefOptions
    architectures: ClassVar[Sequence[str]] = ("causal", "seq2seq")
    talks: ClassVar[bool] = False
    headline: ClassVar[Sequence[str]] = ("fact_recall", "clean_share", "chrf", "repetition", "perplexity")
    sample_fields: ClassVar[Sequence[str]] = ()
    keeps_structure: bool = True
    """Whether copy is kept to its structure, where it has one, while it is written."""

    @cached_property
    def briefs(self) -> Briefs:
        """How rows hold briefs, what makes prompts of them, what checks copy."""
        from tunebook.families.brief_to_text.briefs import Briefs

        return Briefs(self, self.sample_fields)

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """Those of the brief, of its constraints and of the copy, and the group."""
        return brief_columns(self.briefs.form(data), data.group, True)

    # Rows: a brief and its copies, which become a prompt and the answers to it.

    def training_conversations(self, rows: Rows) -> Iterator[list[list[Message]]]:
        """The prompt of each brief with each of its copies as the answer."""
        for messages, copies in zip(self.prompts(rows), rows.texts("copy"), strict=True):
            yield [[*messages, Message("assistant", copy)] for copy in json.loads(copies)]

    @property
    def cache_salt(self) -> str:
        """The template of the prompt shapes what is learned."""
        return self.briefs.template.text

    def prompts(self, rows: Rows) -> Iterator[list[Message]]:
        """The prompt of each brief."""
        return ([Message("user", prompt)] for prompt in self.briefs.prompts(rows))

    def evaluation_prompts(self, rows: Rows, wanted: int | None) -> Prompts:
        """Every brief once, with all the copies that people wrote from it."""
        return self.briefs.merged(rows, list(self.prompts(rows)), wanted)

    # Writing: some candidates for each brief, the best by its constraints first.

    def generation(self) -> Generation:
        """Greedy, by beams or drawn."""
        options = self.options
        structure = self.briefs.structure
        beam, sample = options.decoding is Decoding.beam, options.decoding is Decoding.sample
        return Generation(
            max_new_tokens=options.max_new_tokens,
            do_sample=sample,
            temperature=options.temperature if sample else 1.0,
            top_p=options.top_p if sample else 1.0,
            num_beams=options.num_beams if beam else 1,
            schema=structure.text if structure and self.keeps_structure else None,
        )

    def said(self, answer: str) -> str:
        """What a copy says, where it is a JSON object of several parts."""
        return self.briefs.checker.said(answer)

    @property
    def candidates(self) -> int:
        """Copies written for each brief."""
        wanted: int = self.options.candidates
        return wanted

    def ranked(
        self, rows: Rows, which: Sequence[int], completions: Sequence[Sequence[Completion]]
    ) -> list[list[Completion]]:
        """Constraints first, the model's own score second."""
        return self.briefs.ranked(rows, which, completions)

    @property
    def answer_columns(self) -> list[str]:
        """The brief, and each candidate with what was found in it."""
        return self.briefs.answer_columns

    def answers(
        self, rows: Rows, prompts: Sequence[Sequence[Message]], completions: Sequence[Sequence[Completion]]
    ) -> Iterator[Sequence[str | float]]:
        """Each brief's candidates with their checks."""
        return self.briefs.answers(rows, completions)

    # Evidence: what the brief makes checkable, and what needs no model.

    def measures(
        self, rows: Rows, which: Sequence[int], completions: Sequence[Sequence[Completion]], train: Rows | None
    ) -> dict[str, RowSums]:
        """What is said, left out, invented, forbidden, too long, copied."""
        return self.briefs.measures(rows, which, completions, train)

    def baselines(self, rows: Rows, which: Sequence[int], train: Rows) -> dict[str, list[str]]:
        """The brief read out, and the copy of the most similar training brief."""
        return self.briefs.baselines(rows, which, train)

    # The bundle: rows to be answered have the form of the training rows.

    def bundle_state(self, config: TrainConfig, train: Rows) -> dict[str, Any]:
        """The form of the rows, the prompt's template, and words that are no names."""
        return self.briefs.bundle_state(config.data, train)

    def load_bundle_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `bundle_state` gave."""
        self.briefs.load_bundle_state(state)
