from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil

CHILD = "from tunebook.compare.lifetime import end_with_parent\nend_with_parent()\nprint('up', flush=True)\n"
SLEEP = "import time\ntime.sleep(60)\n"
PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env={**os.environ, "TUNEBOOK_PARENT": str(os.getpid())})
print(child.pid, flush=True)
child.wait()
"""


def test_a_run_ends_once_the_process_that_started_it_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD + SLEEP], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    assert parent.stdout.readline() == "up\n"
    time.sleep(1)
    assert child.is_running()  # its parent is there
    os.kill(parent.pid, signal.SIGKILL)  # and is not asked for its exit code before the child is gone
    child.wait(timeout=30)
    parent.communicate()


def test_a_run_whose_parent_is_gone_already_does_not_begin() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    environment = {**os.environ, "TUNEBOOK_PARENT": str(gone.pid)}
    done = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGTERM and not done.stdout


def test_a_run_whose_parent_stays_runs_to_its_end() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env={**os.environ, "TUNEBOOK_PARENT": str(os.getpid())}, capture_output=True
    )
    assert done.returncode == 0
