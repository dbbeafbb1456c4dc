"""What a ladder asks of a family of recipes: baselines without a model, and evidence read back from a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tunebook.config.schema import TrainConfig
    from tunebook.pipeline.prepare import Prepared
    from tunebook.pipeline.run_folder import RunFolder
    from tunebook.statistics.outcomes import Outcome


class Family(Protocol):
    """A family's part of `compare`; `Recipe.ladder` gives it."""

    @property
    def of_class(self) -> str:
        """What `class_outcomes` measures; empty where rows have no classes."""

    @property
    def per_class(self) -> bool:
        """Whether shots are counted by class; else they are rows in all."""

    @property
    def row(self) -> str:
        """What a row is called."""

    def metrics(self, labels: Sequence[str]) -> Sequence[str]:
        """Test metrics that runs can be compared by, the usual one first."""

    def refuse(self, prepared: Prepared, config: TrainConfig) -> None:
        """Raise the UserError that this config would end in once its run had started, where that is cheap to know."""

    def titles(self, prepared: Prepared) -> Mapping[str, str]:
        """What `majority` and `classical` are here, in words."""

    def answer(self, rung: str, prepared: Prepared, run: RunFolder, facts: Mapping[str, str]) -> dict[str, Any]:
        """Answer the test rows without tuning a model, by `majority` or `classical`.

        Args:
            rung: Which of them.
            prepared: The rows.
            run: Takes metrics.json, predictions.csv and report.html, and in `baseline/` what answers.
            facts: What became of the rows read.

        Returns:
            What the record keeps of it, `trained_parameters` among it.
        """

    def outcomes(self, metric: str, runs: Sequence[RunFolder], prepared: Prepared) -> Sequence[Outcome | None]:
        """What each finished run answered on the test rows, to be scored by a metric; None for one without it."""

    def class_outcomes(self, run: RunFolder, prepared: Prepared) -> Mapping[str, Outcome]:
        """The same for each class, by `of_class`; empty where rows have no classes."""
