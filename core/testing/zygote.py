"""A process that has imported torch and its like, and nothing of Tunebook, and forks another for each job.

Importing them takes several seconds of CPU time, which every small job would pay again. Each job is a process of its
own all the same: it can be killed, and what it changes is gone with it. This is run as a file, not as a module of
tunebook, so that a job in which Tunebook must not be imported starts without it.

A job is a line of JSON on standard input; the answer, a line of JSON on standard output, is how its process ended.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

HEAVY = (
    *("torch", "torchmetrics.classification", "lightning.pytorch", "transformers", "torchvision", "timm", "peft"),
    *("matplotlib.pyplot", "pyarrow.parquet", "sacrebleu", "jinja2", "safetensors.torch", "PIL.Image"),
    *("transformers.models.auto.modeling_auto", "transformers.models.llama.modeling_llama"),
    *("torch.utils.tensorboard", "hydra", "matplotlib.backends.backend_svg", "pyarrow.compute"),
    *("sklearn.linear_model", "sklearn.feature_extraction.text"),
)


def _preload() -> None:
    gc.disable()  # imports leave no garbage
    for name in HEAVY:
        try:
            importlib.import_module(name)
        except ImportError:  # a job that needs it will say so
            continue
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)  # threads do not survive a fork
    gc.freeze()  # no job needs to look through it for garbage
    gc.enable()


def watch_network(record: str) -> None:
    """Refuse every socket to a network, and record who tried; a library may swallow the refusal."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        attempt = ""
        if event in ("socket.getaddrinfo", "socket.gethostbyname"):
            attempt = f"looks up {arguments[0]}"
        elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
            attempt = f"connects to {arguments[1][0]}"
        elif event == "socket.bind" and isinstance(arguments[1], tuple):
            attempt = f"listens on {arguments[1][0]}"
        if attempt:
            who = _caller()
            with open(record, "a", encoding="utf-8") as stream:
                stream.write(f"{attempt} ({who})\n")
            raise PermissionError(f"no network while a recipe is verified: {who} {attempt}")

    sys.addaudithook(hook)


def _caller() -> str:
    """File and line of the innermost code that is no library's."""
    inner = [f for f in traceback.extract_stack()[:-2] if "site-packages" not in f.filename and "<" not in f.filename]
    own = [f for f in inner if not f.filename.startswith(sys.base_prefix) and f.filename != __file__]
    frame = (own or inner)[-1]
    return f"{frame.filename}:{frame.lineno}"


class NoTunebook:
    """An importer that refuses Tunebook, as where it is not installed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Raise for tunebook and all in it."""
        if name.split(".")[0] == "tunebook":
            raise ModuleNotFoundError("No module named 'tunebook' (this process must do without it)", name="tunebook")


def run(job: dict[str, Any]) -> int:
    """Do a job in this process: call ``module:function`` with its arguments, and write what it returns."""
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    sys.path[:] = job["path"]
    importlib.invalidate_caches()
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    watch_network(job["network"])
    if job["without_tunebook"]:
        sys.meta_path.insert(0, NoTunebook())
    try:
        module, _, function = job["call"].rpartition(":")
        value = getattr(_imported(module), function)(**job["arguments"])
        answer, code = {"value": value}, 0
    except BaseException as error:  # a stranger's code may raise anything
        traceback.print_exc()
        answer, code = {"error": in_a_line(error, job.get("home") or "")}, 1
    sys.stdout.flush()
    beside = job["result"] + ".part"
    Path(beside).write_text(json.dumps(answer), encoding="utf-8")
    os.replace(beside, job["result"])
    return code


def _imported(module: str) -> Any:
    """A module by its name, or by its file."""
    if not module.endswith(".py"):
        return importlib.import_module(module)
    spec = importlib.util.spec_from_file_location(Path(module).stem, module)
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def in_a_line(error: BaseException, home: str) -> str:
    """An error in one line, with the last place in the recipe's own code if it got there."""
    message = getattr(error, "message", None)
    if callable(message):  # Tunebook's own kind of error says where and how to fix it
        return "; ".join(line.strip().removesuffix(".") for line in str(message()).splitlines())
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if home and f.filename.startswith(home)]
    place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    if home and frames and not own:  # it gave something that others stumble over
        place = f" (over what the recipe in {home} gave: {frames[-1].filename}:{frames[-1].lineno})"
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"


def _fork(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job in a process of its own, and say how that ended."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            code = run(job)
        finally:
            os._exit(code)
    deadline, parent = time.monotonic() + job["seconds"], os.getppid()
    try:
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return {"status": os.waitstatus_to_exitcode(status)}
            if time.monotonic() > deadline:
                break
            if os.getppid() != parent:  # nobody waits for the answer any more
                raise SystemExit(1)
            time.sleep(0.01)
    except BaseException:  # Ctrl-C, most likely: the job is in a session of its own, and would go on
        os.killpg(child, signal.SIGKILL)
        raise
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {"status": "timeout"}


def main() -> None:
    """Answer jobs until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")  # what libraries print is no answer
    os.dup2(2, 1)
    _preload()
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin:
            answers.write(json.dumps(_fork(json.loads(line))) + "\n")
            answers.flush()


if __name__ == "__main__":
    # Python put this file's own folder first on the path, where other names than these libraries' may lie.
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != Path(__file__).resolve().parent]
    main()
