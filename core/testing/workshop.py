"""Where the jobs of the kit are done: processes of their own, started by one that has imported the libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunebook.children import child_environment

SECONDS = 300.0
"""Longest time of one job."""

_SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",  # sums over another number of threads round differently
    "TOKENIZERS_PARALLELISM": "false",
    "NO_COLOR": "1",
}


@dataclass(frozen=True)
class Done:
    """How a job ended.

    Attributes:
        status: Exit code of its process, minus the signal that killed it, or "timeout".
        value: What its function returned; None where it did not.
        error: What it raised, in one line; empty where it did not.
    """

    status: int | str
    value: Any = None
    error: str = ""

    @property
    def failure(self) -> str:
        """Why there is no value; empty where there is one."""
        if self.error or self.status == 0:
            return self.error
        if self.status == "timeout":
            return f"it took over {SECONDS:g} s and was stopped"
        return f"its process died (exit status {self.status})"


@dataclass
class Workshop:
    """Starts jobs; made by `open_workshop`.

    Attributes:
        zygote: The process that forks them.
    """

    zygote: subprocess.Popen[str]
    _count: int = field(default=0, init=False)

    def do(self, call: str, arguments: Mapping[str, Any], folder: Path, home: Path | None, plain: bool = False) -> Done:
        """Call ``module:function`` in a process of its own.

        Args:
            call: The function; arguments and value are plain values.
            arguments: Its arguments.
            folder: Where it works; `network` in it records who tried to reach a network.
            home: Folder of the recipe, to name the place of an error in it.
            plain: Without Tunebook.
        """
        self._count += 1
        result = folder / f"job-{self._count}.json"
        job = {
            "call": call,
            "arguments": arguments,
            "folder": str(folder),
            "log": str(folder / f"job-{self._count}.log"),
            "network": str(folder / "network"),
            "result": str(result),
            "home": str(home or ""),
            "seconds": SECONDS,
            "without_tunebook": plain,
            "environment": environment(),
            "path": sys.path,
        }
        assert self.zygote.stdin and self.zygote.stdout
        answer = ""
        with suppress(BrokenPipeError):
            self.zygote.stdin.write(json.dumps(job) + "\n")
            self.zygote.stdin.flush()
            answer = self.zygote.stdout.readline()
        status = json.loads(answer)["status"] if answer else "unknown: the process that starts jobs is gone"
        said = json.loads(result.read_text(encoding="utf-8")) if result.is_file() else {}
        return Done(status, said.get("value"), said.get("error", ""))


def environment() -> dict[str, str]:
    """The environment of a job: this process's, on one thread and without a network."""
    return child_environment(**_SETTINGS)


@contextmanager
def open_workshop() -> Iterator[Workshop]:
    """A workshop, for one recipe or for several after another."""
    command = [sys.executable, str(Path(__file__).with_name("zygote.py"))]
    zygote = subprocess.Popen(
        command,
        env=environment(),
        text=True,
        encoding="utf-8",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Workshop(zygote)
    finally:
        assert zygote.stdin and zygote.stdout
        with suppress(BrokenPipeError):
            zygote.stdin.close()
        zygote.wait(timeout=60)
        zygote.stdout.close()
