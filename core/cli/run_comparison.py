"""A comparison as the terminal sees it, in this process: torch is loaded."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from tunebook.cli.output import print_data
from tunebook.compare.candidates import Candidate, Candidates, train_config
from tunebook.compare.facts import differing_facts
from tunebook.compare.launch import signals_passed_on, start_all
from tunebook.compare.page import write_comparison
from tunebook.compare.plan import Plan, make_plan, read_plan
from tunebook.compare.read_runs import read_finished
from tunebook.compare.run_state import RungRun
from tunebook.compare.rungs import planned_steps
from tunebook.compare.step import Step, with_method
from tunebook.compare.summary import print_comparison
from tunebook.compare.watching import watch
from tunebook.config.compare import CompareConfig
from tunebook.config.schema import Method, TrainConfig
from tunebook.errors import UserError
from tunebook.families.comparison import Comparison
from tunebook.families.prepared import Prepared
from tunebook.pipeline.facts import data_facts
from tunebook.pipeline.prepare import prepare, rejects_apart
from tunebook.pipeline.train import check_devices
from tunebook.plugins.measures import check_metrics
from tunebook.run_folder import made_empty
from tunebook.run_lock import held
from tunebook.terminal import drawn
from tunebook.untrusted import check_folder


class Stopped(UserError):
    """The comparison was stopped by a signal; its runs are saved.

    Args:
        folder: Folder of the comparison.
        number: The signal.
    """

    kind = ""

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(
            f"Stopped by {signal.Signals(number).name}; finished runs are kept, and the current run is saved.",
            code="compare.interrupted",
            where=str(folder),
            fix="run the same command again to resume",
        )
        self.exit_code = 128 + number


def compare(models: Mapping[str, CompareConfig]) -> None:
    """Plan a ladder, do the runs that are not finished, and report what the test rows show.

    Args:
        models: The config with each model, by the model's label.
    """
    candidates = prepare_candidates(models)
    made, metric = candidates.first.made, candidates.metric
    steps, left_out = planned_steps(candidates)
    plan = make_plan(steps, candidates.models)
    _say_plan(candidates, steps, plan, left_out)
    if not steps:
        raise UserError(
            "No rung is left to run.",
            code="compare.no-rungs",
            where="compare.rungs",
            fix="choose others: compare.rungs=[full]",
        )
    folder = comparison_folder(made.run_dir, plan.key)
    with held(folder):
        plan.write(folder / "plan.json")
        stopped = _run_all(plan, folder, metric, made.trainer.progress, _launcher())
        if stopped and not _worth_reporting(stopped, steps, plan, folder):
            raise Stopped(folder, stopped)
        finished = read_finished(steps, plan, folder, candidates, left_out)
        summary = write_comparison(folder, finished, candidates)
    print_comparison(finished, summary)
    print(f"report: {folder / 'report.html'}")
    if stopped:
        raise Stopped(folder, stopped)


def _worth_reporting(stopped: int, steps: Sequence[Step], plan: Plan, folder: Path) -> bool:
    """Whether who stopped it can be shown what is finished: a person who waits, and at least one rung."""
    rungs = {number for step in steps if step.curve is None for number in plan.members[step.name]}
    return stopped == signal.SIGINT and any(RungRun.of(plan.runs[number], folder).finished for number in rungs)


def prepare_candidates(models: Mapping[str, CompareConfig]) -> Candidates:
    """All rows as each model takes them, and what the models can be compared by.

    Raises:
        UserError: The rows cannot be used, or not by one of several models, which is named.
    """
    every = [Candidate(label, made, _prepared(label, made)) for label, made in models.items()]
    first = every[0]
    return Candidates.of(every, _metric(first.made, first.family, first.prepared.labels))


def _prepared(label: str, made: CompareConfig) -> Prepared[Any]:
    try:
        return prepare_rows(made)
    except UserError as error:
        if not label:
            raise
        where = "compare.models" if error.where == "model.name" else error.where
        raise error.replace(what=f"{label}: {error.what}", where=where) from error


def prepare_rows(made: CompareConfig) -> Prepared[Any]:
    """All rows, checked and encoded as the runs will have them."""
    own: TrainConfig = with_method(train_config(made), Method.full)
    check_devices(own)
    shown = replace(own, trainer=replace(own.trainer, progress=made.trainer.progress))
    with rejects_apart("compare") as rejects:
        prepared = prepare(shown, rejects)
    check_metrics(prepared.recipe, prepared.labels)
    return replace(prepared, config=own)


def _metric(made: CompareConfig, family: Comparison, labels: Sequence[str]) -> str:
    """What is compared by.

    Raises:
        UserError: There is no such metric.
    """
    known = family.metrics(labels)
    wanted = made.compare.metric or known[0]
    if wanted not in known:
        near = get_close_matches(wanted, known, n=1)
        hint = f"did you mean compare.metric={near[0]}? " if near else ""
        raise UserError(
            f"Runs of {made.recipe['name']} are not scored by '{wanted}'.",
            code="compare.unknown-metric",
            where="compare.metric",
            fix=f"{hint}choose from: {', '.join(known)}",
        )
    return wanted


def _say_plan(
    candidates: Candidates, steps: Sequence[Step], plan: Plan, left_out: Mapping[str, tuple[str, str]]
) -> None:
    print_data(candidates.first.prepared)
    if candidates.several:
        print(f"models: {', '.join(candidates.models)}; the rows above are as {candidates.first.label} takes them")
        for what, value in differing_facts(candidates, lambda each: data_facts(each.prepared)).items():
            print(drawn(f"{what}: {value}"))
    for note in candidates.notes:
        print(drawn(f"note: {note}"))
    names = ", ".join(step.name for step in steps)
    print(f"ladder: {len(steps)} rungs and steps, {len(plan.runs)} runs: {names}")
    for name, (_, reason) in left_out.items():
        print(f"left out: {name}: {reason}")
    sys.stdout.flush()


def comparison_folder(run_dir: str, key: str) -> Path:
    """The folder of a comparison, made unless it is there.

    Raises:
        UserError: It holds another comparison, or something else, or in it something leads out of it.
    """
    folder = Path(run_dir.replace("{key}", key)).absolute()
    plan = folder / "plan.json"
    if plan.is_file():
        check_folder(folder, links=False)
        if read_plan(plan).key != key:
            raise UserError(
                "This folder holds a different comparison.",
                code="compare.other-comparison",
                where=str(folder),
                fix="choose another run_dir=",
            )
        return folder
    if (folder / "compare.log").is_file():  # a comparison's whose plan is gone: its runs are known by their keys
        return folder
    if not made_empty(folder, "folder of the comparison"):
        raise UserError(
            "The folder of the comparison already holds other files.",
            code="file.exists",
            where=str(folder),
            fix="choose another run_dir=",
        )
    return folder


def _launcher() -> list[str]:
    """The overrides that choose and set up a launcher of Hydra's, for the runs."""
    given = [str(override) for override in HydraConfig.get().overrides.hydra]
    return [o for o in given if o.lstrip("+").startswith(("hydra/launcher=", "hydra.launcher."))]


def _run_all(plan: Plan, folder: Path, metric: str, shown: bool, launcher: Sequence[str]) -> int:
    """Do the runs that are not finished.

    Returns:
        The signal that stopped them, 0 for none.

    Raises:
        UserError: They could not be started.
    """
    runs = [RungRun.of(planned, folder) for planned in plan.runs]
    left = [number for number, run in enumerate(runs) if not run.finished]
    if len(left) < len(runs):
        print(f"{len(runs) - len(left)} of {len(runs)} runs are finished already", flush=True)
    if not left:
        return 0
    for number in left:
        runs[number].forget_failure()
    log = folder / "compare.log"
    before = log.stat().st_size if log.is_file() else 0
    process = start_all(folder / "plan.json", left, launcher, log)
    with signals_passed_on(process) as received:
        watch(process, [runs[number] for number in left], metric, shown)
    if received:
        return received[0]
    if process.returncode:
        said = log.read_bytes()[before:].decode("utf-8", "replace").strip().splitlines()
        raise UserError(
            f"The runs could not be started: {said[-1] if said else f'exit code {process.returncode}'}",
            code="compare.not-started",
            where=str(log),
            fix="check the options of hydra/launcher, or leave them out: they then run one after the other",
        )
    return 0
