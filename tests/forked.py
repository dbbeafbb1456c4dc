"""The command line in processes forked from one that has imported the heavy libraries, and nothing of Tunebook.

Importing them takes seconds of CPU time, which hundreds of small commands would pay again. Each command is a process
of its own all the same. Tests of start-up, signals and kills start Python itself.
"""

from __future__ import annotations

import atexit
import importlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

HEAVY = [
    *("torch", "torchmetrics.classification", "lightning.pytorch", "transformers", "torchvision", "timm", "peft"),
    *("transformers.models.auto.modeling_auto", "matplotlib.pyplot", "pyarrow.parquet", "sklearn.linear_model"),
]
READ_AT_IMPORT = (
    *("HF_", "TRANSFORMERS_", "TORCH", "OMP_", "MKL_", "CUDA", "MPL", "NO_COLOR", "TERM", "COLUMNS", "TMPDIR", "HOME"),
    *("PYTHON", "LANG", "LC_", "LD_", "XDG_", "http", "HTTP", "no_proxy"),
)
"""How variables begin that Python or a library may read when it starts; with another value the server is of no use."""
OTHERWISE = ("PYTHONPATH", "TORCHINDUCTOR_CACHE_DIR")
"""Those that are applied when a command starts, or that torch sets by itself."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(HEAVY)
_at_start = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1")}


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether the libraries would be imported in this environment as they were: the server has that of the start."""

    def read(variables: Mapping[str, str]) -> dict[str, str]:
        return {k: v for k, v in variables.items() if k.startswith(READ_AT_IMPORT) and k not in OTHERWISE}

    return read(environment) == read(_at_start)


def run_forked(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Do ``python -m tunebook <arguments>`` in a folder, and wait for its end.

    Raises:
        TimeoutExpired: It took longer than ``seconds``, and was killed.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the server starts with this process's environment
    with tempfile.TemporaryDirectory(prefix="forked-") as scratch:
        files = [Path(scratch) / "stdout", Path(scratch) / "stderr"]
        process = _context.Process(
            target=_command, args=(list(arguments), dict(environment), str(folder), list(map(str, files)))
        )
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(arguments), seconds)
        stdout, stderr = (file.read_text(encoding="utf-8") if file.is_file() else "" for file in files)
    return subprocess.CompletedProcess(list(arguments), process.exitcode, stdout, stderr)


def _command(arguments: list[str], environment: dict[str, str], folder: str, files: list[str]) -> None:
    """What the forked process does: be ``python -m tunebook`` from here to its end."""
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["tunebook", *arguments]
    sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    importlib.invalidate_caches()
    os._exit(_ended())


def _ended() -> int:
    """Exit code of the command, after all that Python does at the end of a process."""
    code = 0
    try:
        runpy.run_module("tunebook", run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code
