"""Training curves in files and services, through Lightning's own loggers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from tunebook.config.schema import LoggerConfig, LoggerName
from tunebook.errors import UserError
from tunebook.files import written_whole
from tunebook.training.ranks import rank

_BEFORE = ".metrics.before.csv"
"""Beside the folder of the logs: the rows of before, while a run that goes on writes them again."""


def read_history(folder: Path) -> list[dict[str, float]]:
    """The rows of ``metrics.csv``: what was logged at each step, numbers only."""
    return [{k: float(v) for k, v in row.items()} for row in _rows(folder)]


def _rows(folder: Path) -> list[dict[str, str]]:
    """The rows of ``metrics.csv`` as they stand there, without empty cells."""
    before = folder.parent / _BEFORE
    file = before if before.is_file() else folder / "metrics.csv"
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [{k: v for k, v in row.items() if v} for row in csv.DictReader(stream)]


def make_loggers(config: LoggerConfig, folder: Path, name: str, step: int) -> list[Logger]:
    """The chosen loggers, writing on after ``step``; the CSV file is always among them.

    Raises:
        UserError: The package behind a logger is not installed.
    """
    names: Sequence[LoggerName] = [n for n in config.names if n is not LoggerName.csv]
    return [_csv(folder, step), *(_other(n, config, folder, name, step) for n in names)]


def _csv(folder: Path, step: int) -> Logger:
    """Lightning's CSV logger, which deletes the file of the run it goes on with: give it the rows back.

    Rows after the step that the run resumes from were logged by steps that are now done again. The others lie in a file
    beside until they are written again, so that a kill in between loses none.
    """
    logger = CSVLogger(folder.parent, name="", version=folder.name, flush_logs_every_n_steps=1)
    if rank() == 0:  # the others write nothing
        kept = [row for row in _rows(folder) if int(row["step"]) < step]
        before = folder.parent / _BEFORE
        if kept:
            _keep(before, kept)
        (folder / "metrics.csv").unlink(missing_ok=True)
        logger.experiment.metrics.extend(kept)
        logger.experiment.save()
        before.unlink(missing_ok=True)
    return logger


def _keep(file: Path, rows: Sequence[dict[str, str]]) -> None:
    with written_whole(file) as stream:
        writer = csv.DictWriter(stream, sorted({key for row in rows for key in row}))
        writer.writeheader()
        writer.writerows(rows)


def _other(which: LoggerName, config: LoggerConfig, folder: Path, name: str, step: int) -> Logger:
    arguments: dict[str, Any]
    try:
        if which is LoggerName.tensorboard:
            return TensorBoardLogger(folder.parent, name="", version=folder.name, purge_step=step or None)
        if which is LoggerName.wandb:
            from lightning.pytorch.loggers import WandbLogger

            arguments = {"project": config.project, "save_dir": folder, "name": name, "id": name}
            return WandbLogger(resume="allow", **arguments)
        from lightning.pytorch.loggers import MLFlowLogger

        uri = config.uri or f"file:{folder / 'mlflow'}"
        return MLFlowLogger(experiment_name=config.project, run_name=name, tracking_uri=uri)
    except ModuleNotFoundError as error:
        raise UserError(
            f"The logger '{which.name}' needs a package that is not installed.",
            code="package.missing",
            where="logger.names",
            fix=f'pip install "tunebook[{which.name}]"',
        ) from error
