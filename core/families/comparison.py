"""What a ladder asks of a family of recipes: baselines without a model, and evidence read back from a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from tunebook.config.schema import TrainConfig
from tunebook.data.rows import Rows
from tunebook.families.evidence import Evidence
from tunebook.families.prepared import Prepared
from tunebook.run_folder import RunFolder
from tunebook.statistics.outcomes import Outcome


class Comparison(Protocol):
    """A family's part of `compare`; `Stages.comparison` gives it."""

    @property
    def of_class(self) -> str:
        """What `class_outcomes` measures; empty where rows have no classes."""

    @property
    def per_class(self) -> bool:
        """Whether shots are counted by class; else they are rows in all."""

    @property
    def few_shot(self) -> Sequence[str]:
        """Ways of learning from few rows that are tried against each other (`Way`); none: as ``adapt`` says."""

    @property
    def row(self) -> str:
        """What a row is called."""

    def metrics(self, labels: Sequence[str]) -> Sequence[str]:
        """Test metrics that runs can be compared by, the usual one first."""

    def refuse(self, prepared: Prepared[Any], config: TrainConfig) -> None:
        """Raise the UserError that this config would end in once its run had started, where that is cheap to know."""

    def titles(self, prepared: Prepared[Any]) -> Mapping[str, str]:
        """What `majority` and `classical` are here, in words."""

    def answer(self, rung: str, prepared: Prepared[Any], run: RunFolder) -> tuple[Evidence, dict[str, Any]]:
        """Answer the test rows without tuning a model, by `majority` or `classical`.

        Args:
            rung: Which of them.
            prepared: The rows.
            run: Takes in `baseline/` what answers.

        Returns:
            What is known of the answers, and what the record says of them, `trained_parameters` among it.
        """

    def outcomes(self, metric: str, runs: Sequence[RunFolder], prepared: Prepared[Any]) -> Sequence[Outcome | None]:
        """What each finished run answered on the test rows, to be scored by a metric; None for one without it."""

    def class_outcomes(self, run: RunFolder, prepared: Prepared[Any]) -> Mapping[str, Outcome]:
        """The same for each class, by `of_class`; empty where rows have no classes."""


@runtime_checkable
class ComparisonOfModels(Protocol):
    """What a family's `Comparison` has besides where scores or rows go with the model.

    Without it several models are compared by any metric, and refused where one cannot answer rows that another can.
    """

    def between_models(self, metric: str) -> str:
        """The metric by which models are compared in place of one that goes with the model; else the same."""

    def why_between_models(self, metric: str) -> str:
        """Why it is another, as a sentence."""

    def common_rows(self, metric: str, models: Mapping[str, Prepared[Any]]) -> tuple[Rows, Sequence[str]]:
        """The test rows that all models are scored on, and what is left out, in sentences.

        Args:
            metric: What they are compared by.
            models: Label of each -> the rows as it takes them.

        Raises:
            UserError: There are none.
        """
