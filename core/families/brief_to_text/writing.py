"""What a recipe that writes from briefs is made of: rows to prompts, drafts ranked by their brief, and what is told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.errors import UserError
from tunebook.families.text_generation.config import TextGenerationConfig

if TYPE_CHECKING:
    from tunebook.config.schema import DataConfig
    from tunebook.data.columns import Column
    from tunebook.data.content import Content
    from tunebook.data.rows import Rows
    from tunebook.families.brief_to_text.checks import CopyChecker
    from tunebook.families.brief_to_text.data.forms import BriefForm
    from tunebook.families.brief_to_text.data.template import PromptTemplate
    from tunebook.families.text_generation.data.message import Message
    from tunebook.families.text_generation.model.generate import Generation
    from tunebook.families.text_generation.predictor import Completion
    from tunebook.families.text_generation.prompts import Exchanges
    from tunebook.recipe import Recipe
    from tunebook.statistics.sums import RowSums


class Decoding(Enum):
    """How copy is chosen among all that could be written."""

    greedy = "greedy"
    beam = "beam"
    sample = "sample"


@dataclass
class BriefOptions(TextGenerationConfig):
    """Options of a recipe that writes from briefs."""

    max_new_tokens: int = 160
    """Longest copy, in tokens."""
    fields: list[str] | None = None
    """Columns that make up a brief, in order (default: those of the sample rows; else `recipe.brief`)."""
    brief: str | None = None
    """Column that holds the whole brief: a JSON object, or `name[...], price[...]` (default: `mr` or `brief`)."""
    copy: str = "copy"
    """Column with the copy: a text, or a JSON list of several."""
    must_mention: str | None = "must_mention"
    """Column with what copy must say: a JSON list, or cut at ; (null: not read)."""
    must_avoid: str | None = "must_avoid"
    """Column with words that copy must not use (null: not read)."""
    channel: str | None = "channel"
    """Column with the place the copy is for: tweet, ad_headline, email_subject ... (null: not read)."""
    max_characters: str | None = "max_characters"
    """Column with the most characters that the copy may have (null: not read)."""
    max_words: str | None = "max_words"
    """Column with the most words that the copy may have (null: not read)."""
    limits: Any = None
    """Limits of channels, beside those that are known: {email_subject: {max_characters: 45}}."""
    template: str | None = None
    """Jinja file that makes the prompt of a brief (default: one that ships)."""
    decoding: Decoding = Decoding.greedy
    """greedy (the likeliest word each time), beam (the likeliest text of several followed) or sample (drawn)."""
    candidates: int = 1
    """Copies written for each brief, ranked by the brief's constraints first and by the model second."""
    num_beams: int = 4
    """Texts followed side by side with decoding=beam."""
    temperature: float = 1.0
    """Of the draw with decoding=sample: below 1 nearer to the likeliest."""
    top_p: float = 0.9
    """Words drawn from have this probability together, with decoding=sample."""


_MEANT = {Decoding.greedy: (), Decoding.beam: ("num_beams",), Decoding.sample: ("temperature", "top_p")}
"""The options that each way of choosing copy reads."""


def check_decoding(options: BriefOptions) -> None:
    """Refuse what another way of choosing copy would read: whoever sets it believes that it does something.

    Raises:
        UserError: Such an option is not at its default.
    """
    usual = {field.name: field.default for field in fields(options)}
    for way, names in _MEANT.items():
        for name in names:
            if name not in _MEANT[options.decoding] and getattr(options, name) != usual[name]:
                raise UserError(
                    f"recipe.{name} means nothing with recipe.decoding={options.decoding.name}.",
                    where=f"recipe.{name}",
                    fix=f"recipe.decoding={way.name}, or leave recipe.{name} out of the command",
                )


class BriefWriting:
    """Does the work of a recipe whose rows are briefs with copies.

    Args:
        recipe: The recipe; its options are `BriefOptions`.
        sample_fields: The columns that make up a brief in the recipe's own sample rows.
    """

    def __init__(self, recipe: Recipe[Any], sample_fields: Sequence[str] = ()) -> None:
        self.recipe = recipe
        self.options: BriefOptions = recipe.options
        self.sample_fields = sample_fields
        self._kept_form: BriefForm | None = None

    @cached_property
    def template(self) -> PromptTemplate:
        """Makes prompts of briefs."""
        from tunebook.families.brief_to_text.data.template import PromptTemplate

        named = self.options.template
        return PromptTemplate.of(Path(named) if named else None, self.options.fields)

    @cached_property
    def checker(self) -> CopyChecker:
        """Checks copy against its brief."""
        from tunebook.families.brief_to_text.checks import CopyChecker

        return CopyChecker(self.options.limits)

    def form(self, data: DataConfig) -> BriefForm:
        """How the training rows hold briefs.

        Raises:
            UserError: It cannot be told, or options are wrong that would else come up once the model is trained.
        """
        from tunebook.families.brief_to_text.rows import form_of
        from tunebook.families.text_generation.batches_seq2seq import check_whole
        from tunebook.families.text_generation.columns import training_files

        check_whole(data.too_long)
        check_decoding(self.options)
        _ = self.checker, self.template
        samples = data.train is None and not self.options.brief
        return form_of(self.options, self.sample_fields if samples else None, training_files(data, self.recipe))

    @property
    def kept_form(self) -> BriefForm:
        """How rows held briefs when the bundle was made."""
        assert self._kept_form is not None
        return self._kept_form

    def columns(self, form: BriefForm, group: str | None = None, answered: bool = True) -> Sequence[Column]:
        """Those of the brief, of its constraints and of the copy, and the group."""
        from tunebook.families.brief_to_text.data.forms import brief_columns

        return brief_columns(form, group, answered)

    def asked_columns(self, column: str | None) -> Sequence[Column]:
        """Those of a brief that waits for its copy; ``column`` is another name of the one that holds it whole."""
        from tunebook.families.brief_to_text.rows import renamed

        return self.columns(renamed(self.kept_form, column), answered=False)

    def content(self, form: BriefForm, answered: bool = True) -> Content:
        """The briefs and their copies."""
        from tunebook.families.brief_to_text.data.content import BriefContent

        return BriefContent(form, answered)

    def learnt(self, rows: Rows) -> Iterator[list[list[Message]]]:
        """The prompt of each brief with each of its copies as the answer."""
        from tunebook.families.text_generation.data.message import Message

        for asked, copies in zip(self.asked(rows), rows.texts("copy"), strict=True):
            yield [[*asked, Message("assistant", copy)] for copy in json.loads(copies)]

    def asked(self, rows: Rows) -> Iterator[list[Message]]:
        """The prompt of each brief."""
        from tunebook.families.brief_to_text.rows import briefs_of, prompt_of
        from tunebook.families.text_generation.data.message import Message

        for number, brief in enumerate(briefs_of(rows)):
            yield [Message("user", prompt_of(self.template, brief, rows, number))]

    def exchanges(self, rows: Rows, wanted: int | None) -> Exchanges:
        """Every brief once, with all the copies that people wrote from it."""
        from tunebook.families.brief_to_text.rows import merged_exchanges

        return merged_exchanges(rows, list(self.asked(rows)), wanted)

    def keys(self, rows: Rows) -> list[str]:
        """What each brief says, equal for those that are one thing in the splits (`content_text`)."""
        from tunebook.families.brief_to_text.data.brief import content_text
        from tunebook.families.brief_to_text.rows import briefs_of

        return [content_text(brief) for brief in briefs_of(rows)]

    def generation(self) -> Generation:
        """How copy is chosen."""
        from tunebook.families.text_generation.model.generate import Generation

        options = self.options
        beam, sample = options.decoding is Decoding.beam, options.decoding is Decoding.sample
        return Generation(
            max_new_tokens=options.max_new_tokens,
            do_sample=sample,
            temperature=options.temperature if sample else 1.0,
            top_p=options.top_p if sample else 1.0,
            num_beams=options.num_beams if beam else 1,
        )

    def ranked(
        self, rows: Rows, which: Sequence[int], drafts: Sequence[Sequence[Completion]]
    ) -> list[list[Completion]]:
        """Constraints first, the model's own score second."""
        from tunebook.families.brief_to_text.rows import briefs_of

        briefs = briefs_of(rows)
        return [self.checker.ranked(briefs[row], each) for row, each in zip(which, drafts, strict=True)]

    def measures(
        self, rows: Rows, which: Sequence[int], drafts: Sequence[Sequence[Completion]], train: Rows | None
    ) -> dict[str, RowSums]:
        """What the brief makes checkable: what is said, left out, invented, forbidden, too long, copied."""
        from tunebook.families.brief_to_text.evidence import copy_measures
        from tunebook.families.brief_to_text.rows import briefs_of

        briefs = briefs_of(rows)
        return copy_measures(self.checker, [briefs[row] for row in which], drafts, train, self.options)

    def baselines(self, rows: Rows, which: Sequence[int], train: Rows) -> dict[str, list[str]]:
        """The brief read out, and the copy of the most similar training brief."""
        from tunebook.families.brief_to_text.evidence import plain_baselines
        from tunebook.families.brief_to_text.rows import briefs_of

        briefs = briefs_of(rows)
        return plain_baselines([briefs[row] for row in which], train)

    @property
    def answer_columns(self) -> list[str]:
        """The brief, and each candidate with what was found in it."""
        from tunebook.families.brief_to_text.checks import candidate_columns

        return ["brief", *candidate_columns(self.options.candidates)]

    def answers(self, rows: Rows, drafts: Sequence[Sequence[Completion]]) -> Iterator[Sequence[str | float]]:
        """Each brief's candidates with their checks."""
        from tunebook.families.brief_to_text.rows import briefs_of

        for brief, several in zip(briefs_of(rows), drafts, strict=True):
            yield self.checker.told(brief, several, self.options.candidates)

    def kept(self, data: DataConfig, train: Rows) -> dict[str, Any]:
        """What a bundle needs besides the options: the form of the rows, the prompt's template, ordinary words."""
        self.checker.learn(train)
        ordinary = sorted(self.checker.ordinary)
        return {"form": asdict(self.form(data)), "template": self.template.text, "ordinary": ordinary}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take back what `kept` gave."""
        from tunebook.families.brief_to_text.data.forms import BriefForm, Constraints
        from tunebook.families.brief_to_text.data.template import PromptTemplate

        form = dict(kept["form"])
        constraints = Constraints(**form.pop("constraints"))
        self._kept_form = BriefForm(**{**form, "fields": tuple(form["fields"]), "constraints": constraints})
        self.template = PromptTemplate.from_text("the bundle's template", kept["template"])
        self.checker.ordinary = frozenset(kept["ordinary"])
