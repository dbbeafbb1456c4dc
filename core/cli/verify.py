"""`tunebook verify`: run the contract kit over a recipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from tunebook.cli.arguments import Arguments
from tunebook.errors import UserError
from tunebook.terminal import drawn
from tunebook.testing.outcome import CHECKS, Outcome, Status
from tunebook.testing.verify import verify_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MARKS = {Status.passed: "ok", Status.failed: "FAILED", Status.not_applicable: "-", Status.not_reached: "not reached"}


def _parser() -> Arguments:
    parser = Arguments(
        "verify",
        "tunebook verify <recipe>",
        description="Check that a recipe keeps the contract, with a few of its rows and a few steps on the CPU. "
        "Exit code 0: all checks passed; 1: some did not; 2: they could not be run.",
        epilog="key=value are config overrides, such as data.train=rows.csv",
        usage="tunebook verify [-h] [--only check,check] [--list] recipe [key=value ...]",
    )
    parser.add_argument("names", nargs="*", metavar="recipe", help="name of a recipe")
    parser.add_argument("--only", metavar="check,check", help="only these checks")
    parser.add_argument("--list", action="store_true", help="list the checks without running them")
    return parser


def verify_command(arguments: Sequence[str]) -> int:
    """Print each check with what came of it; returns the exit code."""
    # argparse stumbles over positional arguments on both sides of an option.
    overrides = [a for a in arguments if "=" in a and not a.startswith(("-", "recipe="))]
    options = _parser().read([a for a in arguments if a not in overrides])
    if options.list:
        width = max(map(len, CHECKS))
        print("\n".join(f"{name.ljust(width)}  {what}" for name, what in CHECKS.items()))
        return 0
    name, only = _name(options.names), _only(options.only)
    with _shown() as progress:
        outcomes = verify_recipe(name, overrides, only, progress)
    print("\n".join(_lines(outcomes)))
    print(_count(outcomes))
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _name(names: Sequence[str]) -> str:
    if not names:
        raise UserError(
            "`verify` takes one recipe.",
            code="command.bad-arguments",
            where="tunebook verify",
            fix="tunebook verify <name>; `tunebook list` shows all",
        )
    if len(names) > 1:
        fix = "give one recipe; overrides are written key=value, without spaces"
        raise UserError(
            "This is not an override, and `verify` has a recipe already.",
            code="command.bad-arguments",
            where=" ".join(names[1:]),
            fix=fix,
        )
    return names[0].removeprefix("recipe=")


def _only(named: str | None) -> list[str]:
    only = [name.strip() for name in (named or "").split(",") if name.strip()]
    if named is not None and not only:
        raise UserError(
            "No check is named.", code="command.bad-arguments", where="--only", fix=f"they are: {', '.join(CHECKS)}"
        )
    return only


def _count(outcomes: Sequence[Outcome]) -> str:
    """How many passed, and which did not; what means nothing to a recipe's family has not passed either."""
    passed = sum(outcome.status is Status.passed for outcome in outcomes)
    apart = sum(outcome.status is Status.not_applicable for outcome in outcomes)
    bad = [outcome.check for outcome in outcomes if not outcome.good]
    said = f"{passed} of {len(outcomes)} checks passed" + (f", {apart} not applicable" if apart else "")
    return said if not bad else f"{said}; these did not: {', '.join(bad)}"


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
    console = Console(stderr=True)
    if not (sys.stderr.isatty() and console.is_terminal):
        yield lambda message: None
        return
    with console.status("verifying") as status:
        yield status.update
