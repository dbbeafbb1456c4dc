"""What a comparison says while its runs are on their way."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from tunebook.compare.run_state import RungRun
from tunebook.compare.statistics.amounts import show_time
from tunebook.terminal import drawn

_EVERY = 0.2  # seconds


def watch(process: subprocess.Popen[Any], runs: Sequence[RungRun], metric: str, shown: bool) -> None:
    """Tell of each run that ends until the process ends; on a terminal also what is at work, and how long it may take.

    Args:
        process: Starts the runs.
        runs: Those that were not finished before.
        metric: The metric to print for each finished run.
        shown: Whether someone wants to watch.
    """
    console = Console(stderr=True, highlight=False)
    reported: set[str] = set()
    started = time.monotonic()
    if not (shown and sys.stderr.isatty()):
        while process.poll() is None:
            _report(runs, reported, metric)
            time.sleep(_EVERY)
        _report(runs, reported, metric)
        return
    with console.status("starting") as status:
        while process.poll() is None:
            _report(runs, reported, metric)
            status.update(_status(runs, len(reported), time.monotonic() - started))
            time.sleep(_EVERY)
        _report(runs, reported, metric)


def _report(runs: Sequence[RungRun], reported: set[str], metric: str) -> None:
    for run in runs:
        name = run.planned.folder
        if name in reported or not (run.finished or run.failure):
            continue
        reported.add(name)
        where = f"[{len(reported)}/{len(runs)}] {run.planned.step}, seed {run.planned.seed}"
        if run.failure:
            print(f"{where}: failed: {drawn(run.failure)}", flush=True)
        else:
            print(f"{where}: {value_of(run, metric)} in {show_time(run.seconds)}", flush=True)


def value_of(run: RungRun, metric: str) -> str:
    """The metric of one run in words."""
    found = run.scores().get(metric)
    return "done" if found is None or found["value"] is None else f"{metric} {found['value']:.3f}"


def _status(runs: Sequence[RungRun], done: int, elapsed: float) -> str:
    at_work = [run for run in runs if run.begun and not run.finished and not run.failure]
    names = ", ".join(f"{run.planned.step} seed {run.planned.seed}" for run in at_work) or "starting"
    if done == len(runs):
        return f"all {done} runs are done; comparing them"
    rest = f", about {show_time(elapsed / done * (len(runs) - done))} left" if done else ""
    return f"{done} of {len(runs)} runs; now {names} ({show_time(elapsed)} so far{rest})"
