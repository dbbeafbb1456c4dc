"""What a model of numbers is compared with: the mean, TF-IDF with ridge regression, and runs read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunebook.config.schema import TrainConfig
from tunebook.families.prepared import Prepared
from tunebook.families.text_regression.build import UNTRAINED, train_targets
from tunebook.families.text_regression.evidence import NumberEvidence
from tunebook.families.text_regression.predictions_csv import read_numbers
from tunebook.families.text_regression.recipe import TextRegression
from tunebook.families.text_regression.ridge import fit_ridge, unanswered
from tunebook.families.text_stages import refuse_untrained
from tunebook.models.linear import save_linear
from tunebook.run_folder import RunFolder
from tunebook.statistics.numbers import answering, number_outcomes
from tunebook.statistics.outcomes import Outcome


@dataclass(frozen=True)
class NumberComparison:
    """The part of models of numbers in `compare`."""

    recipe: TextRegression[Any]
    of_class: str = ""
    per_class: bool = False
    few_shot: Sequence[str] = ()
    row: str = "row"

    def metrics(self, labels: Sequence[str]) -> Sequence[str]:
        """Those of the recipe, the watched one first."""
        names = [str(name) for name in self.recipe.metrics(labels)]
        return [self.recipe.watch, *(name for name in names if name != self.recipe.watch)]

    def refuse(self, prepared: Prepared[Any], config: TrainConfig) -> None:
        """A model that was not trained has no answer."""
        refuse_untrained(config, UNTRAINED)

    def titles(self, prepared: Prepared[Any]) -> Mapping[str, str]:
        """The mean; words and characters counted."""
        return {
            "majority": "the mean of the training rows for all rows",
            "classical": "TF-IDF and ridge regression",
        }

    def answer(self, rung: str, prepared: Prepared[Any], run: RunFolder) -> tuple[NumberEvidence, dict[str, Any]]:
        """Answer the test rows by counting."""
        trained, like = 0, unanswered(prepared.encoded.rows["test"])
        if rung == "majority":
            answers = answering(float(train_targets(prepared.encoded).mean()), like)
        else:
            ridge = fit_ridge(self.recipe, prepared)
            answers = ridge.answer(like)
            vectorizers = [part for _, part in ridge.features.transformer_list]
            trained = save_linear(run.path / "baseline", [ridge.model], vectorizers)
        config = prepared.config
        evidence = NumberEvidence(self.recipe, answers, {}, config.evaluation, config.seed, rung)
        return evidence, {"trained_parameters": trained}

    def outcomes(self, metric: str, runs: Sequence[RunFolder], prepared: Prepared[Any]) -> Sequence[Outcome | None]:
        """The runs' answers, by any metric of the recipe."""
        found = dict(self.recipe.metrics(()).items(keep_base=True))[metric]
        like = unanswered(prepared.encoded.rows["test"])
        return number_outcomes(found, [read_numbers(run.predictions, like) for run in runs])

    def class_outcomes(self, run: RunFolder, prepared: Prepared[Any]) -> Mapping[str, Outcome]:
        """Numbers have no classes."""
        return {}
