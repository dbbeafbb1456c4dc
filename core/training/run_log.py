"""The log of a run: a row a logged step in ``metrics.csv``, continued without a gap by a run that resumes."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.apply_func import convert_tensors_to_scalars
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from tunebook.files import written_whole

Row = dict[str, float]


class RunLog(Logger):
    """Writes ``metrics.csv`` in a folder, the columns in the order of the alphabet.

    Lightning's own CSV logger deletes the file of the run that it resumes, and writes it anew in place for every new
    column: a kill then loses rows. Here the file is appended to, or replaced at once.

    Args:
        folder: Where the file lies.
        rows: Those of before, where a run resumes.
    """

    def __init__(self, folder: Path, rows: Sequence[Row] = ()) -> None:
        super().__init__()
        self.rows: list[Row] = [dict(row) for row in rows]
        self._folder, self._columns, self._written = folder, list[str](), 0

    @property
    def name(self) -> str:
        """Part of a logger's interface in Lightning; not used."""
        return ""

    @property
    def version(self) -> str:
        """Part of a logger's interface in Lightning; not used."""
        return self._folder.name

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """They are in the run's config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add a row."""
        self.rows.append({**convert_tensors_to_scalars(dict(metrics)), "step": step or 0})

    @rank_zero_only
    def begin(self) -> None:
        """Make the file hold the rows of before, and no row of a step that is done again."""
        if self.rows:
            self.save()
        else:
            (self._folder / "metrics.csv").unlink(missing_ok=True)

    @rank_zero_only
    def save(self) -> None:
        """Write the rows that are not in the file yet."""
        columns = sorted({key for row in self.rows[self._written :] for key in row} | set(self._columns))
        if columns != self._columns or not self._written:
            self._folder.mkdir(parents=True, exist_ok=True)
            with written_whole(self._folder / "metrics.csv") as stream:
                writer = csv.DictWriter(stream, columns)
                writer.writeheader()
                writer.writerows(self.rows)
        else:
            with (self._folder / "metrics.csv").open("a", newline="", encoding="utf-8") as stream:
                csv.DictWriter(stream, columns).writerows(self.rows[self._written :])
        self._columns, self._written = columns, len(self.rows)


def rows_after_batch(trainer: Trainer) -> list[Row]:
    """The rows of the run's log, with the one that Lightning adds only after the callbacks of this batch."""
    log, connector = run_log(trainer), trainer._logger_connector
    if not connector.should_update_logs:
        return list(log.rows)
    values = convert_tensors_to_scalars(connector.metrics["log"])
    step = trainer.fit_loop.epoch_loop._batches_that_stepped
    return [*log.rows, {"epoch": trainer.current_epoch, **values, "step": step}] if values else list(log.rows)


def run_log(trainer: Trainer) -> RunLog:
    """The log among a trainer's loggers."""
    return next(logger for logger in trainer.loggers if isinstance(logger, RunLog))


def read_history(folder: Path) -> list[Row]:
    """The rows of ``metrics.csv``, without empty cells; none where there is no such file."""
    file = folder / "metrics.csv"
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(stream)]
