"""Runs that are killed at a file operation or at a moment, and resumed: are they what they would have been?"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.forked import Forked, run_forked

WATCHED = r"""
import os, signal, sys

at, below, count_file = int(os.environ["KILL_AT"]), os.environ["KILL_BELOW"], os.environ["KILL_COUNT"]
main, count, done = os.getpid(), 0, []
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.chmod", "os.symlink"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def hook(event, arguments):
    global count
    if os.getpid() != main:
        return
    if event == "open":
        path, _, flags = arguments
        if not (isinstance(flags, int) and flags & WRITES):
            return
    elif event in CHANGES:
        path = arguments[0]
    else:
        return
    if not str(path).startswith(below) or str(path) == count_file:
        return
    count += 1
    done.append(f"{event} {path}")
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(hook)
from tunebook.cli.main import main as command

try:
    command()
finally:
    if not at:
        with open(count_file, "w") as stream:
            stream.write("\n".join(done))
"""
SAME = ("model/model.safetensors", "predictions.csv", "suspects.csv", "metrics.json", "logs/metrics.csv")


class Killing:
    """One setting: a command, what it leaves undisturbed, and how many file operations it takes.

    Args:
        folder: Takes everything.
        arguments: Of ``tunebook train``, without ``run_dir`` and the cache.
        seconds: The longest that a run may take.
    """

    def __init__(self, folder: Path, arguments: Sequence[str], seconds: float = 300) -> None:
        self.folder, self.arguments, self.seconds = folder, list(arguments), seconds
        self._count = folder / "count"
        folder.mkdir(parents=True, exist_ok=True)
        done = self._run(folder / "whole", at=0)
        if done[0]:
            raise RuntimeError(done[1])
        self._done = self._count.read_text(encoding="utf-8").splitlines()
        self.operations = len(self._done)
        self.expected = results(folder / "whole" / "run")

    def numbers_of(self, event: str, name: str) -> list[int]:
        """Which of the operations are of a kind (``os.remove``), on a path with ``name`` in it."""
        found = enumerate(self._done, start=1)
        return [number for number, line in found if line.startswith(f"{event} ") and name in line]

    def killed_at_operation(self, number: int) -> str:
        """Kill the run before its ``number``-th file operation and finish it; what is wrong then, or nothing."""
        place = self._fresh(f"operation-{number}")
        code, said = self._run(place, at=number)
        if code != -signal.SIGKILL:
            return f"it was not killed: exit code {code}: {said}"
        return self._finished(place)

    def killed_at_moment(self, seconds: float) -> str:
        """Kill the run, and all that it started, after some seconds and finish it."""
        place = self._fresh(f"moment-{seconds:.3f}")
        process = Forked(self._command(place), self._environment(place), place, merged=True)
        time.sleep(seconds)
        process.kill()
        process.communicate(10)
        return self._finished(place)

    def _fresh(self, name: str) -> Path:
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        return place

    def _command(self, place: Path) -> list[str]:
        place.mkdir(exist_ok=True)
        return ["train", *self.arguments, f"data.cache_dir={place / 'cache'}", f"run_dir={place / 'run'}"]

    def _environment(self, place: Path, at: int = -1) -> dict[str, str]:
        more = {"KILL_AT": str(at), "KILL_BELOW": str(place), "KILL_COUNT": str(self._count)}
        return {**os.environ, "OMP_NUM_THREADS": "1", **more}

    def _run(self, place: Path, at: int) -> tuple[int, str]:
        done = run_forked(self._command(place), self._environment(place, at), place, self.seconds, code=WATCHED)
        return done.returncode, done.stdout + done.stderr

    def _finished(self, place: Path) -> str:
        run = place / "run"
        if (run / "report.html").is_file() and (run / "config.yaml").is_file():
            wrong = self._differs(run)
            if not wrong:
                return ""
        again = ["train", f"resume={run}"] if (run / "config.yaml").is_file() else self._command(place)
        done = run_forked(again, self._environment(place), place, self.seconds)
        if done.returncode:
            return f"exit code {done.returncode}: {done.stdout[-500:]}{done.stderr[-1500:]}"
        return self._differs(run)

    def _differs(self, run: Path) -> str:
        got = results(run)
        wrong = [name for name in self.expected if got.get(name) != self.expected[name]]
        left = [str(path.relative_to(run)) for path in run.rglob(".*") if path.name != ".running"]
        return ", ".join([f"{name} differs" for name in wrong] + [f"{name} is left" for name in left])


def results(run: Path) -> dict[str, str]:
    """A hash of each file that must be the same."""
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in SAME if (run / name).is_file()}
