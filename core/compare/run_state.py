"""How far one run of a ladder is: not begun, interrupted, failed or finished, and what it took so far."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunebook.compare.plan import PlannedRun
from tunebook.errors import UserError
from tunebook.files import write_json
from tunebook.run_folder import RunFolder
from tunebook.untrusted import read_json


@dataclass(frozen=True)
class HeldOut:
    """What cross-validation found of a run's way of learning.

    Attributes:
        score: The metric; None where the rows have none.
        rows: Training rows that were answered by a model that had not seen them.
        seconds: What it took.
    """

    score: float | None
    rows: int
    seconds: float


@dataclass(frozen=True)
class RungRun:
    """A planned run and its folder.

    Attributes:
        planned: What was planned.
        run: The folder.
    """

    planned: PlannedRun
    run: RunFolder

    @classmethod
    def of(cls, planned: PlannedRun, folder: Path) -> RungRun:
        """The run in the folder of its comparison."""
        return cls(planned, RunFolder(folder / planned.folder))

    @property
    def cost_file(self) -> Path:
        """What each of its processes took."""
        return self.run.path / "cost.json"

    @property
    def cross_validation_file(self) -> Path:
        """How its way of learning did on its own training rows, where it competes with others."""
        return self.run.path / "cross_validation.json"

    @property
    def log(self) -> Path:
        """What its processes said."""
        return self.run.path / "rung.log"

    @property
    def failed_file(self) -> Path:
        """Why it failed."""
        return self.run.path / "failed.json"

    @property
    def finished(self) -> bool:
        """Whether all that the comparison reads is there; cost.json says so last."""
        attempts = self.attempts
        if self.planned.held_out and not self.cross_validation_file.is_file():
            return False
        return self.run.metrics.is_file() and bool(attempts) and bool(attempts[-1].get("finished"))

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """What each process took: `seconds`, `peak_memory`, `device_memory`; without them of one that was killed."""
        found: list[dict[str, Any]] = self.read(self.cost_file) if self.cost_file.is_file() else []
        if not isinstance(found, list) or not all(map(_is_attempt, found)):
            raise self.damaged(self.cost_file)
        return found

    def read(self, file: Path) -> Any:
        """Read a JSON file of the run.

        Raises:
            UserError: It is gone or damaged; repeating a run is easier than repairing it.
        """
        try:
            return read_json(file)
        except (OSError, ValueError) as error:
            raise self.damaged(file) from error

    def scores(self) -> dict[str, dict[str, Any]]:
        """The scores in its metrics.json, by metric: value, n, interval, higher_is_better.

        Raises:
            UserError: As `read`, or the file holds something else.
        """
        found = self.read(self.run.metrics)
        scores = found.get("test") if isinstance(found, dict) else None
        if not isinstance(scores, dict) or not scores or not all(map(_is_score, scores.values())):
            raise self.damaged(self.run.metrics)
        return scores

    @property
    def unfit(self) -> str:
        """Why its model should not be shipped, as its metrics.json says; "" if it says nothing of it."""
        found = self.read(self.run.metrics)
        reason = found.get("unfit", "") if isinstance(found, dict) else ""
        return reason if isinstance(reason, str) else ""

    def held_out(self, metric: str) -> HeldOut:
        """A metric on its held-out training rows.

        Raises:
            UserError: As `read`, or the file holds something else.
        """
        found = self.read(self.cross_validation_file)
        try:
            value = found["scores"].get(metric)
            return HeldOut(None if value is None else float(value), int(found["rows"]), float(found["seconds"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self.damaged(self.cross_validation_file) from error

    def record(self) -> dict[str, Any]:
        """Its record.json: among others the fingerprint of its test rows and the number of its training rows.

        Raises:
            UserError: As `read`, or the file holds something else.
        """
        found = self.read(self.run.record)
        try:
            if isinstance(found["rows"]["test"], str) and isinstance(found["row_counts"]["train"], int):
                record: dict[str, Any] = found
                return record
        except (KeyError, TypeError):
            pass
        raise self.damaged(self.run.record)

    def damaged(self, file: Path) -> UserError:
        """What is said of a file that was finished and cannot be read."""
        return UserError(
            "A file of a finished run is gone or damaged.",
            code="compare.damaged-folder",
            where=str(file),
            fix=f"remove the folder {self.run.path} and run the command again: only that run is repeated",
        )

    @property
    def begun(self) -> bool:
        """Whether a process was at work on it."""
        return bool(self.attempts)

    @property
    def failure(self) -> str | None:
        """Why it failed, where it did."""
        if self.finished or not self.failed_file.is_file():
            return None
        found = self.read(self.failed_file)
        if not isinstance(found, dict) or "reason" not in found:
            raise self.damaged(self.failed_file)
        return str(found["reason"])

    @property
    def seconds(self) -> float:
        """Wall-clock time of all its processes that ended by themselves."""
        return float(sum(attempt.get("seconds", 0.0) for attempt in self.attempts))

    @property
    def peak_memory(self) -> float:
        """Most resident memory of any of them, MiB."""
        return float(max((attempt.get("peak_memory", 0.0) for attempt in self.attempts), default=0.0))

    @property
    def device_memory(self) -> float:
        """Most memory of a GPU that any of them held, MiB; 0 where none was used."""
        return float(max((attempt.get("device_memory", 0.0) for attempt in self.attempts), default=0.0))

    @property
    def measured(self) -> bool:
        """Whether no part of its time is unknown."""
        return all("seconds" in attempt for attempt in self.attempts)

    def fail(self, reason: str) -> None:
        """Keep the reason."""
        write_json(self.failed_file, {"reason": reason})

    def forget_failure(self) -> None:
        """It is tried again."""
        with suppress(FileNotFoundError):
            self.failed_file.unlink()


def _is_attempt(found: Any) -> bool:
    """Whether it is what is written of a process."""
    numbers = ("seconds", "peak_memory", "device_memory")
    return isinstance(found, dict) and all(isinstance(found.get(name, 0.0), (int, float)) for name in numbers)


def _is_score(found: Any) -> bool:
    """Whether it is what a run writes of a metric."""
    if not isinstance(found, dict) or not isinstance(found.get("n"), int) or "higher_is_better" not in found:
        return False
    return found.get("value") is None or isinstance(found["value"], (int, float))
