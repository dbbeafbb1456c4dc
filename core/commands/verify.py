"""`tunebook verify`: run the contract kit over a recipe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunebook.errors import UserError
from tunebook.terminal import drawn
from tunebook.testing.outcome import CHECKS, Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MARKS = {Status.passed: "ok", Status.failed: "FAILED", Status.not_applicable: "-", Status.not_reached: "not reached"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tunebook verify",
        description="Check that a recipe keeps the contract, with a few of its rows and a few steps on the CPU. "
        "Exit code 0: all checks passed; 1: some did not; 2: they could not be run.",
    )
    parser.add_argument("name", nargs="?", help="name of a recipe")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="config overrides: data.train=rows.csv ...")
    parser.add_argument("--only", metavar="check,check", help="only these checks")
    parser.add_argument("--list", action="store_true", help="name the checks, and run none")
    return parser


def verify_command(arguments: Sequence[str]) -> int:
    """Print each check with what came of it; returns the exit code."""
    options = _parser().parse_args(list(arguments))
    if options.list:
        width = max(map(len, CHECKS))
        print("\n".join(f"{name.ljust(width)}  {what}" for name, what in CHECKS.items()))
        return 0
    if options.name is None:
        raise UserError("`verify` takes one recipe.", mend="tunebook verify <name>; `tunebook list` shows all")
    strange = next((each for each in options.overrides if "=" not in each), None)
    if strange is not None:
        raise UserError("This is no override.", where=strange, mend="overrides are written key=value, without spaces")
    from tunebook.testing.verify import verify_recipe

    only = [name for name in (options.only or "").split(",") if name]
    with _shown() as tell:
        outcomes = verify_recipe(options.name.removeprefix("recipe="), options.overrides, only, tell)
    print("\n".join(_lines(outcomes)))
    bad = [outcome for outcome in outcomes if not outcome.good]
    done = f"{len(outcomes) - len(bad)} of {len(outcomes)} checks passed"
    print(done if not bad else f"{done}; these did not: {', '.join(outcome.check for outcome in bad)}")
    return 1 if bad else 0


def _lines(outcomes: Sequence[Outcome]) -> list[str]:
    width, mark = max(len(o.check) for o in outcomes), max(len(_MARKS[o.status]) for o in outcomes)
    return [
        f"{o.check.ljust(width)}  {_MARKS[o.status].ljust(mark)}  "
        + (f"not applicable: {o.reason}" if o.status is Status.not_applicable else drawn(o.reason))
        for o in outcomes
    ]


@contextmanager
def _shown() -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says what is being done."""
    from rich.console import Console

    console = Console(stderr=True)
    if not (sys.stderr.isatty() and console.is_terminal):
        yield lambda message: None
        return
    with console.status("verifying") as status:
        yield status.update
