"""What a model of numbers is compared with: the mean, TF-IDF with ridge regression, and runs read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.config.schema import TrainConfig
from tunebook.data.pairs import whole_texts
from tunebook.data.rows import Rows
from tunebook.families.text_regression.build import refuse_untrained, targets_of, train_targets
from tunebook.families.text_regression.predictions_csv import read_numbers
from tunebook.models.linear import chosen, ridge_regression, save_linear, text_features
from tunebook.run_folder import RunFolder
from tunebook.statistics.numbers import NumberPredictions, answering, measure_numbers, number_outcomes
from tunebook.statistics.outcomes import Outcome

if TYPE_CHECKING:
    from tunebook.families.prepared import Prepared
    from tunebook.families.text_regression.evidence import NumberEvidence
    from tunebook.families.text_regression.recipe import TextRegression


@dataclass(frozen=True)
class NumberComparison:
    """The part of models of numbers in `compare`."""

    recipe: TextRegression[Any]
    of_class: str = ""
    per_class: bool = False
    row: str = "row"

    def metrics(self, labels: Sequence[str]) -> Sequence[str]:
        """Those of the recipe, the watched one first."""
        names = [str(name) for name in self.recipe.metrics(labels)]
        return [self.recipe.watch, *(name for name in names if name != self.recipe.watch)]

    def refuse(self, prepared: Prepared[Any], config: TrainConfig) -> None:
        """A model that was not trained has no answer."""
        refuse_untrained(config)

    def titles(self, prepared: Prepared[Any]) -> Mapping[str, str]:
        """The mean; words and characters counted."""
        return {
            "majority": "the mean of the training rows for all rows",
            "classical": "TF-IDF and ridge regression",
        }

    def answer(self, rung: str, prepared: Prepared[Any], run: RunFolder) -> tuple[NumberEvidence, dict[str, Any]]:
        """Answer the test rows by counting."""
        from tunebook.families.text_regression.evidence import NumberEvidence

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


def unanswered(rows: Rows) -> NumberPredictions:
    """Rows with their truth, all answered with 0, to be answered."""
    return NumberPredictions(
        target=targets_of(rows),
        predicted=np.zeros(len(rows)),
        files=rows.texts("file"),
        lines=[int(line) for line in rows.column("line").to_pylist()],
        texts=whole_texts(rows),
        groups=np.array(rows.texts("group")) if "group" in rows.roles else None,
    )


@dataclass(frozen=True)
class Ridge:
    """TF-IDF of words and characters, and ridge regression on it.

    Attributes:
        features: scikit-learn's vectorizers.
        model: Its regression.
    """

    features: Any
    model: Any

    def answer(self, like: NumberPredictions) -> NumberPredictions:
        """Answer rows by their texts."""
        found = self.model.predict(self.features.transform(like.texts))
        return replace(like, predicted=np.asarray(found, dtype=np.float64))


def fit_ridge(recipe: TextRegression[Any], prepared: Prepared[Any]) -> Ridge:
    """Fit on the training rows, choose the penalty by the watched metric of the validation rows."""
    rows, target = prepared.encoded.rows, train_targets(prepared.encoded)
    features = text_features()
    train = features.fit_transform(whole_texts(rows["train"]))
    held_out = unanswered(rows["validation"])
    watched = dict(recipe.metrics(()).items(keep_base=True))[recipe.watch]

    def fitted(strength: float) -> Ridge:
        return Ridge(features, ridge_regression(strength).fit(train, target))

    def validated(strength: float) -> float:
        return measure_numbers(watched, held_out.target, fitted(strength).answer(held_out).predicted)

    return fitted(chosen(validated, recipe.watch_mode == "max"))
