"""Verify a recipe: every check, each in a process of its own, and what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tunebook.children import python_command
from tunebook.composing.pages import trouble
from tunebook.errors import UserError
from tunebook.plugins import find_recipes, unknown_recipe
from tunebook.plugins.private import keep_folders
from tunebook.testing.outcome import CHECKS, Outcome, RecipeFailed, Status
from tunebook.testing.workshop import Workshop, environment, open_workshop

BENCH = ("bad_rows", "head", "loss", "overfits", "invariance")
RUN = ("head", "trains", "save_load", "metrics", "labels")
FIRST = ("lazy", "composes", "options", "typo")
_FIRST_SECONDS = 60.0

Progress = Callable[[str], None]


def check_recipe(
    name: str, overrides: Sequence[str] = (), only: Collection[str] = (), workshop: Workshop | None = None
) -> list[Outcome]:
    """Assert that a recipe keeps the contract: what a test of a recipe calls.

    Args:
        name: The recipe, as ``recipe=<name>`` selects it.
        overrides: Config overrides, such as ``data.train=rows.csv`` for a recipe without sample rows.
        only: Names of `CHECKS`; all by default.
        workshop: One that is open already, where several recipes are checked.

    Returns:
        What came of each check, all of them good.

    Raises:
        RecipeFailed: An AssertionError that lists each check that did not pass, with its reason.
        UserError: There is no such recipe or check, or the overrides cannot be.
    """
    outcomes = verify_recipe(name, overrides, only, workshop=workshop)
    if not all(outcome.good for outcome in outcomes):
        raise RecipeFailed(name, outcomes)
    return outcomes


def verify_recipe(
    name: str,
    overrides: Sequence[str] = (),
    only: Collection[str] = (),
    progress: Progress = lambda what: None,
    workshop: Workshop | None = None,
) -> list[Outcome]:
    """Run the checks of a recipe, and say what came of each.

    Args:
        name: The recipe.
        overrides: Config overrides.
        only: Names of `CHECKS`; all by default.
        progress: Called with what is being done.
        workshop: One that is open already.

    Raises:
        UserError: There is no such recipe or check, or the overrides cannot be.
    """
    wanted = _wanted(only)
    keep_folders()  # its processes work in a folder of their own
    known = find_recipes()
    if name not in known:
        raise unknown_recipe(name, known)
    wrong = trouble(known[name])
    if wrong and wrong.whole:
        raise wrong.error(known[name])
    home = known[name].home
    with tempfile.TemporaryDirectory(prefix="tunebook-verify-") as scratch:
        folder = Path(scratch)
        progress("checking its code and page")
        made = _first_look(name, overrides, folder)
        if "refused" in made or ("unplanned" in made and wanted - set(FIRST)):
            raise UserError(**(made["refused"] if "refused" in made else made["unplanned"]))
        outcomes: dict[str, list[str]] = dict(made["outcomes"])
        if "plan" in made and wanted - set(FIRST):
            with nullcontext(workshop) if workshop else open_workshop() as shop:
                outcomes |= _Jobs(shop, name, folder, home, made["plan"], wanted, progress).all()
        outcomes["offline"] = _offline(folder, home)
    return [_outcome(check, outcomes) for check in CHECKS if check in wanted]


def _wanted(only: Collection[str]) -> set[str]:
    for name in only:
        if name not in CHECKS:
            near = get_close_matches(name, CHECKS, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UserError(
                f"There is no check named '{name}'.",
                code="command.unknown-choice",
                where="only",
                fix=f"{hint}they are: {', '.join(CHECKS)}",
            )
    return set(only or CHECKS)


def _first_look(name: str, overrides: Sequence[str], folder: Path) -> dict[str, Any]:
    """The checks without torch, in a process that has imported nothing yet."""
    code = "import json; sys.path[:] = json.loads(sys.stdin.readline()); "
    code += "from tunebook.testing.first_look import main; main()"
    job = {"name": name, "overrides": list(overrides), "folder": str(folder)}
    lines = f"{json.dumps(sys.path)}\n{json.dumps(job)}\n"
    try:
        done = subprocess.run(
            python_command(code),
            input=lines,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=_FIRST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return _not_looked_at(f"importing it takes over {_FIRST_SECONDS:g} s")
    last = done.stdout.strip().splitlines()[-1:]
    if done.returncode or not last:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        return _not_looked_at(f"its process ended with exit status {done.returncode}, and said: {said}")
    made: dict[str, Any] = json.loads(last[0])
    return made


def _not_looked_at(why: str) -> dict[str, Any]:
    return {"outcomes": {"composes": [Status.failed.value, why]}}


class _Jobs:
    """The jobs of one recipe, as few as the wanted checks need."""

    def __init__(
        self,
        shop: Workshop,
        name: str,
        folder: Path,
        home: Path | None,
        plan: Mapping[str, Any],
        wanted: set[str],
        progress: Progress,
    ) -> None:
        self.shop, self.folder, self.home = shop, folder, home
        self.rows = {"name": name, "rows": plan["rows"]}
        self.run = {**self.rows, "overrides": plan["overrides"]}
        self.broken, self.wanted, self.progress = plan["broken"], wanted, progress

    def all(self) -> dict[str, list[str]]:
        outcomes: dict[str, list[str]] = {}
        everything = {"offline"} & self.wanted  # must see all that the recipe does
        if self.wanted & {*BENCH, *everything}:
            outcomes |= self._bench()
        if any(outcomes.get(check, [""])[0] == Status.failed.value for check in ("head", "invariance")):  # no run ends
            return outcomes
        if self.wanted & {*RUN, "plain", "resume", *everything}:
            outcomes |= self._run()
            passed = {check for check, (status, _) in outcomes.items() if status == Status.passed.value}
            if "plain" in self.wanted and "save_load" in passed:
                outcomes["plain"] = self._plain()
            if self.wanted & {"resume", *everything} and "save_load" in passed:
                outcomes["resume"] = self._resume()
        return outcomes

    def _do(self, call: str, plain: bool = False, **arguments: Any) -> Any:
        return self.shop.do(call, {**arguments, "folder": str(self.folder)}, self.folder, self.home, plain)

    def _bench(self) -> dict[str, list[str]]:
        self.progress("a batch: broken rows, loss, overfitting")
        done = self._do("tunebook.testing.bench:examine", **self.run, broken=self.broken, home=str(self.home or ""))
        return done.value or {"loss": [Status.failed.value, done.failure]}

    def _run(self) -> dict[str, list[str]]:
        self.progress("a small run: training, bundle, scores")
        done = self._do("tunebook.testing.small_run:train", **self.run, home=str(self.home or ""))
        return done.value or {"trains": [Status.failed.value, done.failure]}

    def _plain(self) -> list[str]:
        self.progress("the bundle without Tunebook")
        done = self._do(f"{Path(__file__).with_name('plain.py')}:opened", plain=True)
        return [Status.passed.value, done.value] if done.value else [Status.failed.value, done.failure]

    def _resume(self) -> list[str]:
        self.progress("the same run, killed and resumed")
        killed = self._do("tunebook.testing.small_run:killed", **self.run)
        if killed.status != -9:
            return [Status.failed.value, killed.failure or "training ended before it could be killed"]
        done = self._do("tunebook.testing.small_run:resumed", **self.rows)
        return done.value or [Status.failed.value, f"the killed run cannot be resumed: {done.failure}"]


def _offline(folder: Path, home: Path | None) -> list[str]:
    record = folder / "network"
    if record.is_file():
        lines = list(dict.fromkeys(record.read_text(encoding="utf-8").splitlines()))
        more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
        return [Status.failed.value, "; ".join(lines[:3]) + more]
    return [Status.passed.value, "none of these processes looked up a host, connected to one or listened for one"]


NEEDS: dict[str, Sequence[str]] = {
    "options": ("composes",),
    "typo": ("options",),
    "bad_rows": ("options",),
    "head": ("loss", "options"),
    "loss": ("head", "options"),
    "overfits": ("loss",),
    "invariance": ("head", "loss", "options"),
    "trains": ("head", "invariance", "options"),
    "save_load": ("trains",),
    "metrics": ("save_load",),
    "labels": ("metrics",),
    "plain": ("save_load",),
    "resume": ("save_load",),
}
"""What a check needs to be reached, the nearest last."""


def _outcome(check: str, outcomes: Mapping[str, Sequence[str]]) -> Outcome:
    if check == "offline" and "trains" not in outcomes and outcomes[check][0] == Status.passed.value:
        return Outcome(check, Status.not_reached, f"it needs {_root('trains', outcomes)}")
    if check in outcomes:
        status, reason = outcomes[check]
        return Outcome(check, Status(status), reason)
    return Outcome(check, Status.not_reached, f"it needs {_root(check, outcomes)}")


def _root(check: str, outcomes: Mapping[str, Sequence[str]]) -> str:
    """The failed check that keeps another from being reached: the nearest of those that it needs."""
    for need in NEEDS.get(check, ("composes",)):
        if outcomes.get(need, [Status.passed.value])[0] == Status.failed.value:
            return need
    return _root(NEEDS[check][-1], outcomes) if check in NEEDS else "composes"
