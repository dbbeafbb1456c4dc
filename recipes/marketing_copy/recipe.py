"""Marketing copy: a language model learns to write what a product brief says, and nothing it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook import BriefOptions, BriefWriting, TextGeneration

if TYPE_CHECKING:
    from tunebook.bundle.manifest import Manifest
    from tunebook.config.evaluate import EvaluateDataConfig
    from tunebook.config.schema import DataConfig, TrainConfig
    from tunebook.data.columns import Column
    from tunebook.data.content import Content
    from tunebook.data.rows import Rows
    from tunebook.families.text_generation.data.message import Message
    from tunebook.families.text_generation.model.generate import Generation
    from tunebook.families.text_generation.predictor import Completion
    from tunebook.families.text_generation.prompts import Exchanges
    from tunebook.models.source import ModelSource
    from tunebook.statistics.sums import RowSums

SAMPLE_FIELDS = ("name", "audience", "features", "tone")
"""The columns that make up a brief in the rows that ship."""


@dataclass
class MarketingCopyConfig(BriefOptions):
    """Options of marketing_copy."""


class MarketingCopy(TextGeneration[MarketingCopyConfig]):
    """Copy for a brief; whatever can be checked against the brief is."""

    Config = MarketingCopyConfig
    architectures: ClassVar[Sequence[str]] = ("causal", "seq2seq")
    talks: ClassVar[bool] = False
    unused: ClassVar[Sequence[str]] = (*TextGeneration.unused, "data.format", "data.facts")

    def __init__(self, options: MarketingCopyConfig) -> None:
        super().__init__(options)
        self.briefs = BriefWriting(self, SAMPLE_FIELDS)

    # Rows: a brief and its copies, which become a prompt and the answers to it.

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """Those of the brief, of its constraints and of the copy, and the group."""
        return self.briefs.columns(self.briefs.form(data), data.group)

    def content(self, source: ModelSource, config: TrainConfig) -> Content:
        """The briefs and their copies."""
        return self.briefs.content(self.briefs.form(config.data))

    def learnt(self, rows: Rows) -> Iterator[list[list[Message]]]:
        """The prompt of each brief with each of its copies as the answer."""
        return self.briefs.learnt(rows)

    @property
    def learnt_by(self) -> str:
        """The template of the prompt shapes what is learnt."""
        return self.briefs.template.text

    def asked(self, rows: Rows) -> Iterator[list[Message]]:
        """The prompt of each brief."""
        return self.briefs.asked(rows)

    def keys(self, rows: Rows) -> list[str]:
        """What each brief says, however its copy is to be written."""
        return self.briefs.keys(rows)

    # Writing: some candidates for each brief, the best by its constraints first.

    def generation(self) -> Generation:
        """Greedy, by beams or drawn."""
        return self.briefs.generation()

    @property
    def candidates(self) -> int:
        """Copies written for each brief."""
        return self.options.candidates

    def ranked(
        self, rows: Rows, which: Sequence[int], drafts: Sequence[Sequence[Completion]]
    ) -> list[list[Completion]]:
        """Constraints first, the model's own score second."""
        return self.briefs.ranked(rows, which, drafts)

    @property
    def answer_columns(self) -> list[str]:
        """The brief, and each candidate with what was found in it."""
        return self.briefs.answer_columns

    def answers(
        self, rows: Rows, asked: Sequence[Sequence[Message]], drafts: Sequence[Sequence[Completion]]
    ) -> Iterator[Sequence[str | float]]:
        """Each brief's candidates with their checks."""
        return self.briefs.answers(rows, drafts)

    # Evidence: what the brief makes checkable, and what needs no model.

    def exchanges(self, rows: Rows, wanted: int | None) -> Exchanges:
        """Every brief once, with all the copies that people wrote from it."""
        return self.briefs.exchanges(rows, wanted)

    def measures(
        self, rows: Rows, which: Sequence[int], drafts: Sequence[Sequence[Completion]], train: Rows | None
    ) -> dict[str, RowSums]:
        """What is said, left out, invented, forbidden, too long, copied."""
        return self.briefs.measures(rows, which, drafts, train)

    def baselines(self, rows: Rows, which: Sequence[int], train: Rows) -> dict[str, list[str]]:
        """The brief read out, and the copy of the most similar training brief."""
        return self.briefs.baselines(rows, which, train)

    # The bundle: rows to be answered have the form of the training rows.

    def kept(self, config: TrainConfig, train: Rows) -> dict[str, Any]:
        """The form of the rows, the prompt's template, and words that are no names."""
        return self.briefs.kept(config.data, train)

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take back what `kept` gave."""
        self.briefs.restore(kept)

    def bundle_content(self, manifest: Manifest, cache_dir: Any, answered: bool) -> Content:
        """Briefs, with their copies or without."""
        return self.briefs.content(self.briefs.kept_form, answered)

    def predict_columns(self, manifest: Manifest, column: str | None, files: Sequence[str]) -> Sequence[Column]:
        """Those of the brief."""
        return self.briefs.asked_columns(column)

    def evaluate_columns(self, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training."""
        return self.briefs.columns(self.briefs.kept_form, data.group)
