"""Arguments of the verbs that take no config: a wrong one ends in a message like every other mistake."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from tunebook.errors import UserError

_KINDS = {"int": "a whole number", "float": "a number"}


class Arguments(argparse.ArgumentParser):
    """The parser of a verb.

    Args:
        verb: The verb.
        example: A call that works, for messages.
        intermixed: Whether options may stand among the files of the verb.
        options: Those of argparse.
    """

    def __init__(self, verb: str, example: str, intermixed: bool = False, **options: Any) -> None:
        super().__init__(prog=f"tunebook {verb}", **options)
        self._intermixed = intermixed
        self.example = example
        self._typed: Sequence[str] = ()

    def read(self, typed: Sequence[str]) -> argparse.Namespace:
        """The options that were typed.

        Raises:
            UserError: They are none of the verb's.
        """
        self._typed = typed
        return self.parse_intermixed_args(list(typed)) if self._intermixed else self.parse_args(list(typed))

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print.

        Raises:
            UserError: Always.
        """
        what, where, hint = self._explained(message)
        raise UserError(
            what,
            code="command.bad-arguments",
            where=where,
            fix=f"{hint}{self.example}; `{self.prog} --help` explains each",
        )

    def _explained(self, message: str) -> tuple[str, str, str]:
        """What is wrong, where, and what was meant, of argparse's words for it."""
        subject, _, said = message.partition(": ")
        if subject == "the following arguments are required":
            return f"`{self.prog}` needs more: {said}", " ".join([self.prog, *self._typed]), self._meant(*self._typed)
        if subject == "unrecognized arguments":
            return f"`{self.prog}` does not take this", said, self._meant(*said.split())
        option = re.fullmatch(r"argument (.+)", subject)
        if option is None:
            return message, self.prog, ""
        named = option.group(1)
        if said == "expected one argument":
            return f"{named} has no value", named, ""
        kind = re.fullmatch(r"invalid (\w+) value: (.*)", said)
        if kind:
            return f"{named} must be {_KINDS.get(kind.group(1), kind.group(1))}, not {kind.group(2)}", named, ""
        choice = re.fullmatch(r"invalid choice: (.*) \(choose from (.*)\)", said)
        if choice:
            choices = choice.group(2).replace("'", "")
            return f"{named} cannot be {choice.group(1)}", named, f"choose from {choices}; "
        return f"{named}: {said}", named, ""

    def _meant(self, *typed: str) -> str:
        """The option that the first misspelt one was meant to be, as a question; "" where none is near."""
        known = self._option_string_actions
        for name in (each.partition("=")[0] for each in typed if each.startswith("--")):
            near = get_close_matches(name, known, n=1)
            if near and name not in known:
                return f"did you mean {near[0]}? "
        return ""
