"""Processes of runs, forked from one that has imported the libraries: each run is spared seconds of CPU time."""

from __future__ import annotations

import atexit
import contextlib
import gc
import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from tunebook.children import run_command

_LIBRARIES = ["tunebook.compare.run_process", "lightning.pytorch", "transformers", "matplotlib.figure"]
_GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/dri/renderD128")
"""Device files of NVIDIA, AMD, WSL and Intel."""

unseen = 0
"""Bytes of libraries that the server has read, and this process is not charged with; 0 where it is not forked."""


def can_fork() -> bool:
    """Whether a fork of a process with torch is safe here, and the server imports nothing from the current folder.

    On macOS system libraries do not survive it, a GPU is best left to processes that start by themselves, and a
    launcher's own processes may be of a kind that a server of Python's does not know.
    """
    linux = sys.platform == "linux" and not any(map(os.path.exists, _GPUS))
    return linux and bool(getattr(sys.flags, "safe_path", False)) and multiprocessing.parent_process() is None


class ForkedCommand:
    """A command of Tunebook's in a process and session of its own, with what is used of `subprocess.Popen`.

    Args:
        arguments: As typed.
        log: Takes what it says, at its end.
        environment: All its variables.
    """

    def __init__(self, arguments: list[str], log: Path, environment: dict[str, str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_LIBRARIES)
        self._process: BaseProcess = context.Process(target=_command, args=(arguments, str(log), environment))
        self._process.start()

    def poll(self) -> int | None:
        """Exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self) -> int:
        """Its exit code once it has ended, or minus the signal that ended it."""
        self._process.join()
        code = self._process.exitcode
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process.pid is not None
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(self._process.pid, number)


def _command(arguments: list[str], log: str, environment: dict[str, str]) -> None:
    """What the forked process does."""
    global unseen
    unseen = max(0, psutil.Process(os.getppid()).memory_info().rss - psutil.Process().memory_info().rss)
    gc.freeze()  # what the server imported is no garbage, and is looked through no more
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(said, number)
    os.environ.clear()
    os.environ.update(environment)
    try:
        run_command(*arguments)
    finally:
        atexit._run_exitfuncs()  # which Python 3.11 to 3.13 leave out in a forked process
