"""How the rows of a recipe hold briefs, what makes prompts of them, and what checks the copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from tunebook.config.schema import DataConfig
from tunebook.data.rows import Rows
from tunebook.families.brief_to_text.checks import CopyChecker, candidate_columns
from tunebook.families.brief_to_text.data.forms import BriefForm, Constraints
from tunebook.families.brief_to_text.data.structured import CopyStructure
from tunebook.families.brief_to_text.data.template import PromptTemplate
from tunebook.families.brief_to_text.evidence import copy_measures, plain_baselines
from tunebook.families.brief_to_text.options import check_decoding, check_target
from tunebook.families.brief_to_text.recipe import BriefToText
from tunebook.families.brief_to_text.rows import briefs_of, form_of, merged_prompts, prompt_of
from tunebook.families.family import node_as
from tunebook.families.text_generation.batches_seq2seq import check_whole
from tunebook.families.text_generation.columns import training_files
from tunebook.families.text_generation.completion import Completion
from tunebook.families.text_generation.data.message import Message
from tunebook.families.text_generation.options import GenerationData
from tunebook.families.text_generation.prompts import Prompts
from tunebook.statistics.sums import RowSums


class Briefs:
    """What a recipe knows of its briefs: in training from the options and files, afterwards from the bundle.

    Args:
        recipe: The recipe; its options are `BriefOptions`.
        sample_fields: The columns that make up a brief in the recipe's own sample rows.
    """

    def __init__(self, recipe: BriefToText[Any], sample_fields: Sequence[str]) -> None:
        self.recipe = recipe
        self.options = recipe.options
        self.sample_fields = sample_fields
        self._bundle_form: BriefForm | None = None

    @cached_property
    def template(self) -> PromptTemplate:
        """Makes prompts of briefs."""
        named = self.options.template
        return PromptTemplate.of(Path(named) if named else None, self.options.fields)

    @cached_property
    def checker(self) -> CopyChecker:
        """Checks copy against its brief."""
        return CopyChecker(self.options.limits, self.structure)

    @cached_property
    def structure(self) -> CopyStructure | None:
        """What a copy is made of; None: it is a text."""
        named = self.options.schema
        return CopyStructure.of(self.options.target_fields, Path(named) if named else None)

    def form(self, data: DataConfig) -> BriefForm:
        """How the training rows hold briefs.

        Raises:
            UserError: It cannot be determined, or options are wrong that would else come up once the model is trained.
        """
        check_whole(node_as(data, GenerationData).overlength)
        check_decoding(self.options)
        check_target(self.options)
        _ = self.structure, self.checker, self.template
        samples = data.train is None and not self.options.brief
        fields = self.sample_fields if samples else None
        return form_of(self.options, fields, training_files(data, self.recipe), data.delimiter, self.structure)

    def prompts(self, rows: Rows) -> Iterator[str]:
        """The prompt of each brief.

        Raises:
            UserError: The template fails on one; the row is named.
        """
        return (prompt_of(self.template, brief, rows, number) for number, brief in enumerate(briefs_of(rows)))

    def ranked(
        self, rows: Rows, which: Sequence[int], completions: Sequence[Sequence[Completion]]
    ) -> list[list[Completion]]:
        """The completions for the rows that ``which`` numbers, the best first."""
        briefs = briefs_of(rows)
        return [self.checker.ranked(briefs[row], each) for row, each in zip(which, completions, strict=True)]

    def merged(self, rows: Rows, prompts: Sequence[list[Message]], wanted: int | None) -> Prompts:
        """Each different brief once: its prompt, and every copy that people wrote from it."""
        return merged_prompts(rows, prompts, wanted, self.checker.said)

    @property
    def answer_columns(self) -> list[str]:
        """The brief, and each candidate with what was found in it."""
        return ["brief", *candidate_columns(self.options.candidates)]

    def answers(self, rows: Rows, completions: Sequence[Sequence[Completion]]) -> Iterator[list[str | float]]:
        """The values of `answer_columns` of each row."""
        for brief, several in zip(briefs_of(rows), completions, strict=True):
            yield self.checker.checked_row(brief, several, self.options.candidates)

    def measures(
        self, rows: Rows, which: Sequence[int], completions: Sequence[Sequence[Completion]], train: Rows | None
    ) -> dict[str, RowSums]:
        """What is measured of the completions for the rows that ``which`` numbers."""
        briefs = briefs_of(rows)
        return copy_measures(self.checker, [briefs[row] for row in which], completions, train, self.options)

    def baselines(self, rows: Rows, which: Sequence[int], train: Rows) -> dict[str, list[str]]:
        """Copy without a model for the rows that ``which`` numbers."""
        briefs = briefs_of(rows)
        return plain_baselines([briefs[row] for row in which], train)

    @property
    def bundle_form(self) -> BriefForm:
        """How rows held briefs when the bundle was made."""
        assert self._bundle_form is not None
        return self._bundle_form

    def bundle_state(self, data: DataConfig, train: Rows) -> dict[str, Any]:
        """What a bundle needs besides the options: the form of the rows, the prompt's template, ordinary words."""
        self.checker.learn(train)
        ordinary = sorted(self.checker.ordinary)
        return {"form": asdict(self.form(data)), "template": self.template.text, "ordinary": ordinary}

    def load_bundle_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `bundle_state` gave."""
        form = dict(state["form"])
        constraints = Constraints(**form.pop("constraints"))
        kept = form.pop("structure", None)
        self.structure = kept and CopyStructure(kept["text"], tuple(kept["parts"]))
        made = {"fields": tuple(form["fields"]), "constraints": constraints, "structure": self.structure}
        self._bundle_form = BriefForm(**{**form, **made})
        self.template = PromptTemplate.from_text("the bundle's template", state["template"])
        self.checker.ordinary = frozenset(state["ordinary"])
