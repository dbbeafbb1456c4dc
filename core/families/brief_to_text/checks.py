"""Copy checked against its brief: candidates ranked by it, and reported with their problems."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.brief_to_text.data.brief import Brief, flat_text, to_plain
from tunebook.families.brief_to_text.data.structured import CopyStructure
from tunebook.families.brief_to_text.metrics.candidates import rank
from tunebook.families.brief_to_text.metrics.check import CopyCheck, check
from tunebook.families.brief_to_text.metrics.constraints import Constraints, channel_name, impossible, limits_of
from tunebook.families.text_generation.completion import Completion
from tunebook.families.text_generation.metrics.names import ordinary_words

_NUMBERS = ("max_characters", "max_words")


class CopyChecker:
    """Checks copy against briefs.

    Args:
        limits: Limits of channels that the user gives, ``recipe.limits``.
        structure: What a copy is made of; None: it is a text.

    Attributes:
        ordinary: Words that are no names though they may have a capital.

    Raises:
        UserError: The limits are not such.
    """

    def __init__(self, limits: Any = None, structure: CopyStructure | None = None) -> None:
        self.limits = _checked(limits)
        self.structure = structure
        self.ordinary: frozenset[str] = frozenset()

    def said(self, copy: str) -> str:
        """What a copy says to people, without what makes it a JSON object."""
        return copy if self.structure is None else self.structure.said(copy)

    def learn(self, train: Rows) -> None:
        """Take ordinary words from the training copies."""
        self.ordinary = ordinary_words(self.said(copy) for copies in train.texts("copy") for copy in json.loads(copies))

    def constraints(self, brief: Brief) -> Constraints:
        """What copy for a brief has to keep to, its channel's limits among it."""
        own = Constraints(brief.must_mention, brief.must_avoid, brief.max_characters, brief.max_words)
        return own.within(limits_of(brief.channel, self.limits))

    def check(self, brief: Brief, completion: Completion) -> CopyCheck:
        """What is found in a copy."""
        text = self.said(completion.text)
        return check(text, _source(brief), self.constraints(brief), self.ordinary, completion.stopped_at)

    def ranked(self, brief: Brief, completions: Sequence[Completion]) -> list[Completion]:
        """Completions, the best first."""
        texts = [each.text for each in completions]
        order = rank(
            texts, [self.check(brief, completion) for completion in completions], [each.score for each in completions]
        )
        return [completions[i] for i in order]

    def checked_row(self, brief: Brief, completions: Sequence[Completion], candidates: int) -> list[str | float]:
        """The brief, then each of its completions with what was found in it; and with each what no copy could meet."""
        never = [f"cannot be met: {each}" for each in impossible(self.constraints(brief))]
        row: list[str | float] = [to_plain(brief)]
        for completion in completions:
            found = self.check(brief, completion)
            clean = "yes" if found.clean else "no"
            score = completion.score if candidates > 1 else ""
            row += [completion.text, clean, "; ".join([*found.problems, *never]), score]
        return row


def _source(brief: Brief) -> str:
    """All that copy may take from a brief: its values, what its fields are called, and its documents."""
    return "\n".join([flat_text(brief), *brief.context, *(name for name, _ in brief.fields)])


def candidate_columns(candidates: int) -> list[str]:
    """Columns of all candidates, the first without a number."""
    return [
        f"{name}{f'_{i}' if i > 1 else ''}"
        for i in range(1, candidates + 1)
        for name in ("copy", "clean", "problems", "score")
    ]


def _checked(limits: Any) -> dict[str, Mapping[str, int | None]]:
    given = limits or {}
    right = isinstance(given, Mapping) and all(
        isinstance(each, Mapping) and all(k in _NUMBERS and (v is None or _counts(v)) for k, v in each.items())
        for each in given.values()
    )
    if not right:
        raise UserError(
            f"Limits of channels are {' and '.join(_NUMBERS)}, whole numbers, by channel.",
            code="config.wrong-type",
            where=f"recipe.limits={limits}",
            fix="recipe.limits={email_subject: {max_characters: 45, max_words: 9}}",
        )
    names: dict[str, str] = {}
    for name in map(str, given):
        other = names.setdefault(channel_name(name), name)
        if other != name:
            what = f"{other} and {name} are names of one channel."
            raise UserError(what, code="config.duplicate", where=f"recipe.limits={limits}", fix="give its limits once")
    return {str(k): dict(v) for k, v in given.items()}


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
