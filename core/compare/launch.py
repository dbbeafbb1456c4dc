"""Planned runs on their way: one process each, one after the other or spread by a launcher of Hydra's."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import FileLock
from omegaconf import OmegaConf

from tunebook.children import child_environment, tunebook_command
from tunebook.compare.forked import ForkedCommand, can_fork
from tunebook.compare.lifetime import PARENT, running
from tunebook.compare.plan import read_plan
from tunebook.compare.run_state import RungRun
from tunebook.composing.overrides import quoted
from tunebook.files import write_text
from tunebook.run_folder import remove_empty


def rung_command(planned: Any, output_dir: str) -> None:
    """Do one run of a plan in a process of its own, unless it is finished; its failure is its own.

    Hydra's launchers call this, perhaps many at once, perhaps on other machines.
    """
    remove_empty(Path(output_dir))  # Hydra's, for this job
    path = Path(planned.plan)
    run = RungRun.of(read_plan(path).runs[planned.rung], path.parent)
    run.run.path.mkdir(parents=True, exist_ok=True)
    with FileLock(run.run.path / ".lock"):
        with running(run):
            pass  # waits for a process that is left of a comparison that was killed
        if run.finished:
            return
        if not run.run.config.is_file():
            config = OmegaConf.create({**run.planned.config, "run_dir": str(run.run.path)})
            write_text(run.run.config, OmegaConf.to_yaml(config))
        run.forget_failure()
        before = run.log.stat().st_size if run.log.is_file() else 0
        code, stopped = _in_process(f"{path}#{planned.rung}", run.log)
    if stopped:
        raise SystemExit(128 + stopped)
    if code and run.failure is None:  # it could not say so itself
        run.fail(_reason(code, run.log.read_bytes()[before:].decode("utf-8", "replace")))


def _in_process(member: str, log: Path) -> tuple[int, int]:
    """Run the member and wait. SIGTERM and Ctrl-C are passed on once.

    Returns:
        Its exit code, and the signal that came for this process; 0 for none.
    """
    child = (ForkedCommand if can_fork() else _started)(["_member", member], log, _environment())
    with signals_passed_on(child) as received:
        return child.wait(), next(iter(received), 0)


def _environment() -> dict[str, str]:
    """Of a process that ends with this one."""
    return child_environment(**{PARENT: str(os.getpid())})


def _started(arguments: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[Any]:
    """A command in a session of its own: Ctrl-C comes to it from here, once."""
    with log.open("ab") as said:
        return subprocess.Popen(
            tunebook_command(*arguments),
            stdout=said,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )


@contextmanager
def signals_passed_on(child: subprocess.Popen[Any] | ForkedCommand) -> Iterator[list[int]]:
    """Send a child SIGTERM for each SIGTERM or SIGINT that comes; yields the signals that came.

    The first has training save and stop, a second ends it at once.
    """
    received: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)

    try:
        before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # a launcher's thread, which cannot be signalled
        before = {}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reason(code: int, said: str) -> str:
    """Why a run died that left no message: the signal, or the last line of its log."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {code}"


def start_all(plan: Path, numbers: Sequence[int], launcher: Sequence[str], log: Path) -> subprocess.Popen[Any]:
    """Start Hydra's multirun over the runs of a plan.

    Args:
        plan: plan.json.
        numbers: Which runs.
        launcher: Overrides that choose a launcher of Hydra's and set it up; none: one run after the other.
        log: Takes what it says.
    """
    overrides = [f"plan={quoted(str(plan))}", f"rung={','.join(map(str, numbers))}"]
    overrides.append(f"hydra.sweep.dir={quoted(str(plan.parent / 'jobs'))}")
    return _started(["_rung", *overrides, *launcher, "-m"], log, _environment())
