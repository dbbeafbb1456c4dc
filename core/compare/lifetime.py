"""How long a run's process lives: as long as its parent, under a lock that says so; without torch."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import psutil
from filelock import FileLock

from tunebook.compare.run_state import RungRun
from tunebook.run_lock import lock_of

PARENT = "TUNEBOOK_PARENT"
"""Environment variable with the process that started this one."""
LOOKS = 0.5
"""Seconds between looks at whether the parent is still there."""


def running(run: RungRun) -> FileLock:
    """The lock that the process of a run holds for as long as it lives, whatever becomes of its parent."""
    return lock_of(run.run.path)


def end_with_parent() -> None:
    """Send this process SIGTERM once its parent is gone, however it went: a killed comparison leaves nobody behind."""
    number = os.environ.get(PARENT)
    if number is None:
        return
    try:
        parent = psutil.Process(int(number))
    except psutil.NoSuchProcess:
        sys.exit(128 + signal.SIGTERM)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: psutil.Process) -> None:
    while _is_there(parent):
        time.sleep(LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)


def _is_there(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended and was not yet asked for its exit code does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
