"""Training curves in files and services, through Lightning's own loggers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger

from tunebook.config.schema import LoggerConfig, LoggerName
from tunebook.training.run_log import Row, RunLog
from tunebook.training.surroundings import missing_package


def make_loggers(config: LoggerConfig, folder: Path, name: str, step: int, rows: Sequence[Row] = ()) -> list[Logger]:
    """The chosen loggers, writing on after ``step``; the run's own log is always among them.

    Args:
        config: Which ones.
        folder: Where their files lie.
        name: Of the run.
        step: Optimizer steps done before.
        rows: What was logged by then.

    Raises:
        UserError: The package behind a logger is not installed.
    """
    names: Sequence[LoggerName] = [n for n in config.names if n is not LoggerName.csv]
    log = RunLog(folder, rows)
    log.begin()
    return [log, *(_other(n, config, folder, name, step) for n in names)]


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
        raise missing_package(which) from error
