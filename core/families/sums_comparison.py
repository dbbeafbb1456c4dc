"""The part in `compare` of a family whose metrics are formulas of sums over rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunebook.config.schema import TrainConfig
from tunebook.errors import UserError
from tunebook.families.prepared import Prepared
from tunebook.families.sums_evidence import SumsEvidence
from tunebook.report.files import lines_of
from tunebook.run_folder import RunFolder
from tunebook.statistics.outcomes import Outcome, sums_outcome
from tunebook.statistics.sums import RowSums


@dataclass(frozen=True)
class SumsComparison(ABC):
    """Baselines without a model, and runs read back from their predictions.csv; fills in `Comparison`.

    Attributes:
        names: Of the metrics that runs can be compared by, the usual one first.
        row: What a row is called.
        of_class: What is measured of each class; empty where rows have no classes.
        per_class: Whether shots are counted by class.
    """

    names: Sequence[str]
    row: str = "row"
    of_class: str = ""
    per_class: bool = False
    few_shot: Sequence[str] = ()

    def metrics(self, labels: Sequence[str]) -> Sequence[str]:
        """Those that there are."""
        return self.names

    def refuse(self, prepared: Prepared[Any], config: TrainConfig) -> None:
        """Nothing is known to fail, unless the family knows better."""
        return None

    @abstractmethod
    def titles(self, prepared: Prepared[Any]) -> Mapping[str, str]:
        """What `majority` and `classical` are here, in words."""

    @abstractmethod
    def baseline(self, rung: str, prepared: Prepared[Any]) -> SumsEvidence:
        """The test rows answered by `majority` or `classical`, which the evidence calls so."""

    @abstractmethod
    def measures(self, lines: Sequence[Mapping[str, str]], prepared: Prepared[Any]) -> Mapping[str, RowSums]:
        """What answers add up to, by metric; ``lines`` are those of a predictions.csv, by column."""

    def class_measures(self, lines: Sequence[Mapping[str, str]], prepared: Prepared[Any]) -> Mapping[str, RowSums]:
        """The same by class."""
        return {}

    def answer(self, rung: str, prepared: Prepared[Any], run: RunFolder) -> tuple[SumsEvidence, dict[str, Any]]:
        """Answer the test rows without a model."""
        (run.path / "baseline").mkdir(exist_ok=True)
        return self.baseline(rung, prepared), {"trained_parameters": 0}

    def outcomes(self, metric: str, runs: Sequence[RunFolder], prepared: Prepared[Any]) -> Sequence[Outcome | None]:
        """The runs' answers by a metric; None of one whose metric means nothing on its answers."""
        found = [self.measures(_lines(run, prepared), prepared)[metric] for run in runs]
        groups = prepared.encoded.rows["test"].groups
        return [sums_outcome(each, groups) if each.rows.any() and not each.reason else None for each in found]

    def class_outcomes(self, run: RunFolder, prepared: Prepared[Any]) -> Mapping[str, Outcome]:
        """The run's answers by class."""
        found = self.class_measures(_lines(run, prepared), prepared)
        groups = prepared.encoded.rows["test"].groups
        return {name: sums_outcome(each, groups) for name, each in found.items() if each.rows.any()}


def _lines(run: RunFolder, prepared: Prepared[Any]) -> list[dict[str, str]]:
    """A finished run's predictions.csv.

    Raises:
        UserError: It is about other rows.
    """
    rows = prepared.encoded.rows["test"]
    with lines_of(run.predictions) as lines:
        places = [(line["file"], int(line["line"])) for line in lines]
    if places != list(zip(rows.texts("file"), rows.lines, strict=True)):
        raise UserError(
            "These predictions are about other rows.",
            code="run.other-rows",
            where=str(run.predictions),
            fix="make the run once more",
        )
    return lines
