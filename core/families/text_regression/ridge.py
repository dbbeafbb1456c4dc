"""Ridge regression on TF-IDF, which a model of numbers must beat."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunebook.data.pairs import whole_texts
from tunebook.data.rows import Rows
from tunebook.families.prepared import Prepared
from tunebook.families.text_regression.build import targets_of, train_targets
from tunebook.families.text_regression.recipe import TextRegression
from tunebook.models.linear import chosen, ridge_regression, text_features
from tunebook.statistics.numbers import NumberPredictions, measure_numbers


def unanswered(rows: Rows) -> NumberPredictions:
    """Rows with their truth, all answered with 0, to be answered."""
    return NumberPredictions(
        target=targets_of(rows),
        predicted=np.zeros(len(rows)),
        files=rows.texts("file"),
        lines=rows.lines,
        texts=whole_texts(rows),
        groups=rows.groups,
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
