"""What a run leaves behind, and where."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunebook.errors import UserError
from tunebook.files import write_text
from tunebook.run_lock import PROBE, held, is_left_over
from tunebook.untrusted import check_folder, check_yaml


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def record(self) -> Path:
        """What the run was made of: data hashes, versions, seeds, device."""
        return self.path / "record.json"

    @property
    def rejects(self) -> Path:
        """Rows that were not used, and why."""
        return self.path / "rejects.jsonl"

    @property
    def metrics(self) -> Path:
        """Scores with interval and n."""
        return self.path / "metrics.json"

    @property
    def predictions(self) -> Path:
        """The test rows with their answers."""
        return self.path / "predictions.csv"

    @property
    def suspects(self) -> Path:
        """The rows whose label is probably wrong."""
        return self.path / "suspects.csv"

    @property
    def losses(self) -> Path:
        """How surprised a model that writes is by each test row."""
        return self.path / "losses.csv"

    @property
    def preferences(self) -> Path:
        """The implicit rewards of the test rows of a model that learned from preferences."""
        return self.path / "preferences.csv"

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.path / "report.html"

    @property
    def checkpoints(self) -> Path:
        """Where an interrupted run goes on from."""
        return self.path / "checkpoints"

    @property
    def logs(self) -> Path:
        """Training curves."""
        return self.path / "logs"

    @property
    def adapter(self) -> Path:
        """Trained adapters, until they go into the finished model's folder."""
        return self.path / "adapter"

    @property
    def bundle(self) -> Path:
        """The finished model."""
        return self.path / "model"

    @property
    def finished(self) -> bool:
        """Whether the run ended with a model and its report."""
        return (self.bundle / "tunebook.json").is_file() and self.report.is_file()


def _is_used(folder: Path) -> bool:
    """Whether a folder holds more than what a run leaves that failed before its first checkpoint."""
    names = {entry.name for entry in folder.iterdir() if not is_left_over(entry)}
    return bool(names - {RunFolder(folder).rejects.name})


def made_empty(folder: Path, what: str) -> bool:
    """Make a folder that ``run_dir`` names; whether nothing is in it, or only the rejects of a run that failed.

    Args:
        folder: The folder, which may be there.
        what: What it is, for the message.

    Raises:
        UserError: It cannot be made, or not be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _is_used(folder):
            return False
        (folder / PROBE).touch()  # fail now, not after an hour of training
        (folder / PROBE).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"The {what} cannot be written: {error.strerror}.",
            code="file.not-writable",
            where=str(folder),
            fix="choose another one with run_dir=...",
        ) from error
    return True


@contextmanager
def new_run_folder(path: str | Path) -> Iterator[RunFolder]:
    """Make a new folder for a run, and be the only process that writes to it.

    Where the run fails before its first checkpoint, only what helps to fix it is left: rejects.jsonl.

    Raises:
        UserError: It holds files already, cannot be made, or another process writes to it.
    """
    run = RunFolder(Path(path).absolute())
    if not made_empty(run.path, "run folder"):
        raise _in_use(run, path)
    with held(run.path):
        if _is_used(run.path):  # another process was first, and has ended
            raise _in_use(run, path)
        run.rejects.unlink(missing_ok=True)
        try:
            yield run
        except BaseException:
            if not any(run.checkpoints.glob("step-*.ckpt")):
                _clear(run)
            raise


def check_unused(path: str | Path) -> None:
    """Refuse a folder for a new run as `new_run_folder` does, without making it.

    Raises:
        UserError: It holds files already.
    """
    run = RunFolder(Path(path).absolute())
    if run.path.is_dir() and _is_used(run.path):
        raise _in_use(run, path)


def _in_use(run: RunFolder, path: str | Path) -> UserError:
    named = shlex.quote(str(path))
    what, fix = "The run folder already holds files; a run never overwrites another.", ""
    if run.finished:
        what = "The run folder already holds a finished run, which is never overwritten."
        fix = f", or use its model: tunebook predict {named}, or tunebook evaluate bundle={named} data.test=<rows>"
    elif run.config.is_file() and not run.report.is_file():
        fix = f", or resume that run: tunebook train resume={named}"
    return UserError(what, code="file.exists", where=str(run.path), fix=f"choose another one with run_dir=...{fix}")


def open_run_folder(path: str) -> RunFolder:
    """The folder of a run that was started before.

    Raises:
        UserError: There is none, or something in it is no file or leads out of it.
    """
    run = RunFolder(Path(path).expanduser().absolute())
    if not run.config.is_file():
        what = "This folder holds no run" if run.path.is_dir() else "There is no such folder"
        raise UserError(
            f"{what}.", code="run.not-found", where=f"resume={path}", fix="give the folder that holds config.yaml"
        )
    check_folder(run.path, links=False)
    check_yaml(run.config)
    return run


def _clear(run: RunFolder) -> None:
    for entry in list(run.path.iterdir()) if run.path.is_dir() else []:
        if entry == run.rejects:
            continue
        with contextlib.suppress(OSError):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    remove_empty(run.path)


def remove_empty(folder: Path) -> None:
    """Remove a run folder that nothing was written to, and the folders above it that were made for it alone.

    Never the folder that the command was started in, nor one that is outside of it: those are not ours.
    """
    here, folder = Path.cwd(), folder.absolute()
    with contextlib.suppress(OSError):
        if folder != here:
            folder.rmdir()
        for above in folder.parents:
            if here not in above.parents:
                break
            above.rmdir()


def save_config(config: Any, run: RunFolder) -> None:
    """Write the resolved config, as plain values."""
    from omegaconf import OmegaConf

    write_text(run.config, OmegaConf.to_yaml(OmegaConf.structured(config), resolve=True))
