"""The command line in processes forked from one that has imported the heavy libraries and Tunebook's modules.

Importing them takes seconds of CPU time, which hundreds of small commands would pay again. Each command is a process
of its own all the same, which can be killed. Tests of start-up and of what comes before a command start Python itself.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import multiprocessing
import os
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HEAVY = [
    *("torch", "torchmetrics.classification", "lightning.pytorch", "transformers", "torchvision", "timm", "peft"),
    *("transformers.models.auto.modeling_auto", "matplotlib.pyplot", "pyarrow.parquet", "sklearn.linear_model"),
    *("transformers.models.llama.modeling_llama", "transformers.models.bert.modeling_bert", "safetensors.numpy"),
    *(
        "torch.utils.tensorboard",
        "matplotlib.backends.backend_svg",
        "pyarrow.compute",
        "fsspec.implementations.chained",
    ),
    *("sklearn.feature_extraction.text", "sacrebleu", "jinja2", "rich._emoji_codes", "encodings.utf_8_sig"),
]
CORE = Path(__file__).parent.parent / "core"
OWN = [
    ".".join(("tunebook", *file.relative_to(CORE).with_suffix("").parts)).removesuffix(".__init__")
    for file in sorted(CORE.rglob("*.py"))
    if file.stem not in ("__main__", "zygote")
]
"""Tunebook's modules, but for the programs among them; a recipe is imported where a command chooses it."""
READ_AT_IMPORT = (
    *("HF_", "TRANSFORMERS_", "TORCH", "OMP_", "MKL_", "CUDA", "MPL", "NO_COLOR", "TERM", "COLUMNS", "HOME"),
    *("PYTHON", "LANG", "LC_", "LD_", "XDG_", "http", "HTTP", "no_proxy"),
)
"""How variables begin that Python or a library may read when it starts; with another value the server is of no use."""
OTHERWISE = ("PYTHONPATH", "TORCHINDUCTOR_CACHE_DIR", "XDG_CONFIG_HOME")
"""Those that are applied when a command starts, that torch sets by itself, or that name nothing of a library's."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*HEAVY, *OWN, __name__, "tests.warmed"])
_at_start = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1")}


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether the libraries would be imported in this environment as they were: the server has that of the start."""

    def read(variables: Mapping[str, str]) -> dict[str, str]:
        return {k: v for k, v in variables.items() if k.startswith(READ_AT_IMPORT) and k not in OTHERWISE}

    return read(environment) == read(_at_start)


class Forked:
    """A command that runs, in a session of its own; with the members of `subprocess.Popen` that tests use."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, merged: bool, **more: Any
    ) -> None:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the server starts with this process's environment
        self.arguments = list(arguments)
        self._scratch = Path(tempfile.mkdtemp(prefix="forked-"))  # a failed test leaves it, with what was said
        self._files = [self._scratch / name for name in ("stdout", "stdout" if merged else "stderr")]
        self._process = _context.Process(
            target=_command,
            args=(self.arguments, dict(environment), str(folder), list(map(str, self._files))),
            kwargs=more,
        )
        self._last: tuple[str, str] | None = None
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, or minus the signal that killed it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same as `returncode`."""
        return self.returncode

    def output(self) -> tuple[str, str]:
        """Standard output and errors so far."""
        if self._last is not None:
            return self._last
        stdout, stderr = (file.read_text(encoding="utf-8") if file.is_file() else "" for file in self._files)
        return stdout, stderr

    def kill(self) -> None:
        """Kill it and what it started, and wait."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for its end; returns standard output (errors too, where the two are merged) and errors.

        Raises:
            TimeoutExpired: It took longer, and was killed.
        """
        self._process.join(timeout)
        late = self.returncode is None
        if late:
            self.kill()
        self._last = self.output()
        shutil.rmtree(self._scratch)
        if late:
            raise subprocess.TimeoutExpired(self.arguments, timeout, *self._last)
        return self._last


def start_forked(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Forked:
    """Start ``python -m tunebook <arguments>`` in a folder, its errors merged into its output."""
    return Forked(arguments, environment, folder, merged=True)


def run_forked(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, seconds: float, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Do ``python -m tunebook <arguments>`` in a folder, and wait for its end.

    Args:
        arguments: Of the command line.
        environment: All its variables.
        folder: Where it works.
        seconds: The longest that it may take.
        more: ``code`` that is run in Tunebook's place, ``said`` on standard input, ``largest_file`` in bytes.

    Raises:
        TimeoutExpired: It took longer than ``seconds``, and was killed.
    """
    process = Forked(arguments, environment, folder, merged=False, **more)
    stdout, stderr = process.communicate(seconds)
    assert process.returncode is not None
    return subprocess.CompletedProcess(list(arguments), process.returncode, stdout, stderr)


def _command(
    arguments: list[str],
    environment: dict[str, str],
    folder: str,
    files: list[str],
    code: str = "",
    said: str = "",
    largest_file: int = 0,
) -> None:
    """What the forked process does: be ``python -m tunebook``, or ``python -c``, from here to its end."""
    gc.freeze()  # what the server imported is no garbage, and is looked through no more
    os.setsid()
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    typed = Path(files[0]).with_name("stdin")
    typed.write_text(said, encoding="utf-8")
    os.dup2(os.open(typed, os.O_RDONLY), 0)
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # TMPDIR is read again
    os.chdir(folder)
    sys.argv = ["tunebook", *arguments]
    before = [*filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.path[:1] = [folder, *before]
    if any(Path(entry, "tunebook").is_dir() for entry in before):  # another Tunebook than this one
        for name in [name for name in sys.modules if name.partition(".")[0] == "tunebook"]:
            del sys.modules[name]
    importlib.invalidate_caches()
    os._exit(_ended(code))


def _ended(other: str) -> int:
    """Exit code of the command, after all that Python does at the end of a process."""
    code = 0
    try:
        if other:
            exec(other, {"__name__": "__main__"})
        else:
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
