"""Many commands, each in a process of its own with a limit of time, and what each of them took."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.forked import run_forked

SECONDS = 10.0
"""The longest that a command on a hostile file may take."""
MEMORY = 2 << 30
"""The most bytes that it may have in memory."""

# Imports Tunebook once and forks for each command: a fork costs hundredths of a second, the imports two.
_CODE = r"""
import importlib, json, os, resource, signal, sys, time
from pathlib import Path

place = Path(os.environ["CASES"])
cases = json.loads(place.read_text(encoding="utf-8"))
for name in ("cli.main", "cli.train", "cli.check", "cli.predict", "cli.evaluate", "cli.compare", "cli.resume",
             "cli.run_training", "cli.output", "cli.run_comparison", "cli.refusals", "cli.fault", "pipeline.evaluate"):
    importlib.import_module(f"tunebook.{name}")
FAMILIES = ("text_classification", "text_labels", "text_aspects", "image_classification", "text_generation")
for family in (*FAMILIES, "brief_to_text"):
    for part in ("family", "stages"):
        importlib.import_module(f"tunebook.families.{family}.{part}")
from tunebook.cli.main import main


def ended(case, out):
    os.setsid()
    for number, file in ((0, out / "stdin"), (1, out / "stdout"), (2, out / "stderr")):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
    sys.argv = ["tunebook", *case["arguments"]]
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    code = 1
    try:
        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


results = []
for number, case in enumerate(cases):
    out = place.parent / f"case-{number}"
    out.mkdir()
    (out / "stdin").write_text(case["said"], encoding="utf-8")
    started = time.monotonic()
    child = os.fork()
    if not child:
        ended(case, out)
    seconds = float(os.environ["SECONDS_EACH"])
    while True:
        pid, status, used = os.wait4(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - started > 6 * seconds:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.01)
    said = [(out / name).read_text(encoding="utf-8", errors="replace") for name in ("stdout", "stderr")]
    results.append({
        "code": os.waitstatus_to_exitcode(status), "seconds": used.ru_utime + used.ru_stime,
        "wall": time.monotonic() - started, "memory": used.ru_maxrss << 10, "stdout": said[0], "stderr": said[1],
    })
place.with_name("results.json").write_text(json.dumps(results), encoding="utf-8")
"""


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        name: What is special about it.
        arguments: After ``tunebook``.
        said: On standard input.
        environment: More variables.
    """

    name: str
    arguments: Sequence[str]
    said: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        case: The command.
        code: Its exit code.
        seconds: CPU time.
        wall: Time on the clock.
        memory: The most memory that it had, in bytes.
        stdout: What it printed.
        stderr: What it complained about.
    """

    case: Case
    code: int
    seconds: float
    wall: float
    memory: int
    stdout: str
    stderr: str

    @property
    def fault(self) -> str:
        """What is wrong with how it ended; "" where it refused, or did what it could, in good order."""
        if self.wall > 5 * SECONDS or self.seconds > SECONDS:
            return f"took {self.seconds:.0f} CPU seconds, {self.wall:.0f} on the clock"
        if self.memory > MEMORY:
            return f"took {self.memory >> 20} MiB"
        if self.code not in (0, 2) or "Traceback" in self.stderr:
            return f"exit code {self.code}"
        if self.code == 2 and not self.stderr.lstrip().startswith(("error: ", "warning: ")):
            return "exit code 2 without a message"
        return ""


def run_cases(cases: Sequence[Case], folder: Path) -> list[Outcome]:
    """Run commands one after the other, in an empty folder.

    Args:
        cases: The commands.
        folder: Takes what they leave.
    """
    place, work = folder / "outcomes", folder / "work"
    place.mkdir(parents=True)
    work.mkdir()
    file = place / "cases.json"
    plain = [{"arguments": list(case.arguments), "said": case.said} for case in cases]
    file.write_text(json.dumps(plain), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CASES": str(file), "SECONDS_EACH": str(SECONDS)}
    done = run_forked([], environment, work, 3000, code=_CODE)
    if done.returncode:
        raise RuntimeError(done.stderr)
    results = json.loads(place.joinpath("results.json").read_text(encoding="utf-8"))
    if os.environ.get("HOSTILE_TIMES"):
        for case, result in zip(cases, results, strict=True):
            print(f"{result['seconds']:6.2f} s {result['memory'] >> 20:5} MiB  {result['code']:3}  {case.name}")
    return [Outcome(case, **result) for case, result in zip(cases, results, strict=True)]


def faults(outcomes: Sequence[Outcome]) -> str:
    """What is wrong with those that did not end in good order, one a paragraph."""
    return "\n\n".join(
        f"{each.case.name}: {each.fault}\n{' '.join(each.case.arguments)}\n{each.stderr.strip()[-1500:]}"
        for each in outcomes
        if each.fault
    )
