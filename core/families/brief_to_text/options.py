"""The typed options of recipes that write from briefs; a string beneath a field is its help."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from tunebook.errors import UserError
from tunebook.families.text_generation.options import (
    GenerationData,
    Overlength,
    TextGenerationConfig,
)


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
    target_column: str = "copy"
    """Column with the copy: a text, or a JSON list of several."""
    target_fields: list[str] | None = None
    """Columns that make up the copy, such as [headline,body,call_to_action]: copy is then a JSON object of them, and
    nothing else can be generated (default: it is the text in `target_column`)."""
    schema: str | None = None
    """JSON Schema file of the objects in `target_column`: nothing else can be generated (default: a text)."""
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
    context: str | None = None
    """Column with documents that copy may draw on too, a text or a list of texts: they follow the brief in the prompt
    and are never learned (default: none)."""
    limits: Any = None
    """Limits of channels, in addition to the built-in ones: {email_subject: {max_characters: 45}}."""
    template: str | None = None
    """Jinja file that makes the prompt of a brief (default: one that ships)."""
    decoding: Decoding = Decoding.greedy
    """greedy (most probable token each time), beam (beam search) or sample (random sampling)."""
    candidates: int = 1
    """Copies written for each brief, ranked by the brief's constraints first and by the model second."""
    num_beams: int = 4
    """Number of beams with decoding=beam."""
    temperature: float = 1.0
    """Sampling temperature with decoding=sample: below 1 favours probable tokens."""
    top_p: float = 0.9
    """Nucleus sampling with decoding=sample: the total probability of the tokens drawn from."""


_MEANT = {Decoding.greedy: (), Decoding.beam: ("num_beams",), Decoding.sample: ("temperature", "top_p")}
"""The options that each way of choosing copy reads."""


def check_decoding(options: BriefOptions) -> None:
    """Refuse what another way of choosing copy would read: whoever sets it expects that it does something.

    Raises:
        UserError: Such an option is not at its default.
    """
    usual = {field.name: field.default for field in fields(options)}
    for way, names in _MEANT.items():
        for name in names:
            if name not in _MEANT[options.decoding] and getattr(options, name) != usual[name]:
                raise UserError(
                    f"recipe.{name} has no effect with recipe.decoding={options.decoding.name}.",
                    code="config.no-effect",
                    where=f"recipe.{name}",
                    fix=f"recipe.decoding={way.name}, or leave recipe.{name} out of the command",
                )


def check_target(options: BriefOptions) -> None:
    """Refuse what copy of several parts cannot be: in a column besides, or the outcome of a beam search.

    Raises:
        UserError: Such options are set together.
    """
    if options.target_fields and options.target_column != BriefOptions.target_column:
        raise UserError(
            "recipe.target_column has no effect with recipe.target_fields.",
            code="config.no-effect",
            where="recipe.target_column",
            fix="leave recipe.target_column out, or recipe.target_fields",
        )
    if (options.target_fields or options.schema) and options.decoding is Decoding.beam:
        raise UserError(
            "Beam search keeps to no structure.",
            code="config.conflict",
            where="recipe.decoding",
            fix="recipe.decoding=greedy, or sample",
        )


@dataclass
class BriefData(GenerationData):
    """Rows that hold briefs with their copies."""

    overlength: Overlength = Overlength.reject
    """Briefs whose prompt and copy are over max_length: reject or error; neither is ever truncated."""
