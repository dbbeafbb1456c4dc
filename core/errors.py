"""The one kind of error a user of Tunebook should ever read."""

from __future__ import annotations

import copy
from typing import Any, Self

RESTORE_BUNDLE = (
    "restore its files from a copy, or write it again: delete model/ and report.html in its run folder, and "
    "tunebook train resume=<run folder>"
)
"""How to fix a damaged bundle: the checkpoints of its run hold what it was made of."""


class UserError(Exception):
    """A mistake the user can fix, reported in one message: what, where and how to fix it.

    The command line prints it without a traceback and exits with code 2.

    Args:
        what: The mistake, as one sentence.
        code: The mistake's name, "<room>.<mistake>" such as "data.missing-column". A program looks at it, never at
            the sentence; docs/errors.md lists the codes of Tunebook, and a recipe of your own may have its own.
        where: The config key, file or file and line that it sits in.
        fix: What to type or change.
    """

    exit_code = 2
    kind = "error: "

    def __init__(self, what: str, *, code: str, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.code = code
        self.where = where
        self.fix = fix

    def replace(self, **changes: str | None) -> Self:
        """The same mistake with another ``what``, ``where`` or ``fix``, for who knows its place better."""
        same = copy.copy(self)
        vars(same).update(changes)
        return same

    def parts(self) -> dict[str, str | None]:
        """The arguments that rebuild this error, to carry it to another process."""
        return {"what": self.what, "code": self.code, "where": self.where, "fix": self.fix}

    def message(self) -> str:
        """The message as the command line prints it: a sentence, then where and how to fix it."""
        sentence, *rest = str(self).split("\n")
        end = "" if sentence.endswith((".", "!", "?", ":")) else "."
        if not _begins_with_name(sentence):
            sentence = sentence[:1].upper() + sentence[1:]
        return "\n".join([sentence + end, *rest])

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  fix:   {self.fix}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled by what it holds: its class may take other arguments than an exception's own."""
        return type(self).__new__, (type(self), self.what), vars(self)


_DETERMINERS = frozenset(
    [
        "a",
        "an",
        "the",
        "no",
        "there",
        "this",
        "that",
        "these",
        "it",
        "they",
        "every",
        "each",
        "all",
        "both",
        "only",
        "more",
        "some",
    ]
)
_VERBS = frozenset(
    [
        "is",
        "are",
        "has",
        "have",
        "holds",
        "contains",
        "names",
        "looks",
        "begins",
        "separates",
        "unpacks",
        "stands",
        "takes",
        "cannot",
        "may",
        "does",
        "and",
    ]
)


def _begins_with_name(sentence: str) -> bool:
    """Whether a sentence begins with a name, of a key, a file or a folder, which stays as the user writes it."""
    first, second = ([*sentence.split(" "), ""])[:2]
    return not first.isalpha() or (first not in _DETERMINERS and second in _VERBS)
