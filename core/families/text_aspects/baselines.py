"""What a model of aspects is compared with: the commonest value of each aspect, TF-IDF, and runs read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.config.schema import TrainConfig
from tunebook.data.batch import IGNORE_INDEX
from tunebook.data.pairs import whole_texts
from tunebook.families.prepared import Prepared
from tunebook.families.sums_comparison import SumsComparison
from tunebook.families.text_aspects.build import UNTRAINED
from tunebook.families.text_aspects.columns import counts_of
from tunebook.families.text_aspects.evidence import AspectEvidence
from tunebook.families.text_aspects.measures import OVERALL, aspect_measures, overall_measures
from tunebook.families.text_aspects.predictions_csv import read_aspects
from tunebook.families.text_aspects.predictor import AspectAnswers, likeliest
from tunebook.families.text_stages import refuse_untrained
from tunebook.models.linear import chosen, fitted, probabilities_of, save_linear, text_features
from tunebook.run_folder import RunFolder
from tunebook.statistics.sums import RowSums


def majority(train: NDArray[np.int64], rows: int, values: int) -> AspectAnswers:
    """The commonest value of each aspect for all rows; its share of the training rows as probability.

    Args:
        train: Values of the training rows, ``[train rows, aspects]``.
        rows: How many are answered.
        values: Number of values.
    """
    counts = counts_of(train, values)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return AspectAnswers(np.tile(shares.argmax(axis=1), (rows, 1)), np.tile(shares.max(axis=1), (rows, 1)))


@dataclass(frozen=True)
class Linear:
    """TF-IDF of words and characters, and one logistic regression an aspect on it.

    Attributes:
        features: scikit-learn's vectorizers.
        models: Its regressions; None of an aspect that has one value.
        answers: To the test rows.
    """

    features: Any
    models: Sequence[Any]
    answers: AspectAnswers


def fit_linear(prepared: Prepared[Any]) -> Linear:
    """Fit on the known values of the training rows, choose one penalty by the watched metric of the validation rows."""
    encoded, options = prepared.encoded, prepared.recipe.options
    size, target = len(options.values), encoded.splits["train"].targets
    features = text_features()
    train = features.fit_transform(whole_texts(encoded.rows["train"]))
    held_out = {split: features.transform(whole_texts(encoded.rows[split])) for split in ("validation", "test")}

    def models(strength: float) -> list[Any]:
        known = [np.flatnonzero(column != IGNORE_INDEX) for column in target.T]
        return [fitted(train[rows], target[rows, i], strength) for i, rows in enumerate(known)]

    def answered(made: Sequence[Any], split: str) -> AspectAnswers:
        only = counts_of(target, size).argmax(axis=1)
        parts = [probabilities_of(each, held_out[split], size, int(only[i])) for i, each in enumerate(made)]
        probabilities = np.stack(parts, axis=1)
        return likeliest(probabilities, probabilities.argmax(axis=-1))

    def validated(strength: float) -> float:
        truth, answers = encoded.splits["validation"].targets, answered(models(strength), "validation")
        return overall_measures(truth, answers.predicted, size)[prepared.recipe.watch].value()

    found = models(chosen(validated))
    return Linear(features, found, answered(found, "test"))


@dataclass(frozen=True)
class AspectComparison(SumsComparison):
    """The part of models of aspects in `compare`."""

    names: Sequence[str] = OVERALL
    of_class: str = "macro_f1"

    def refuse(self, prepared: Prepared[Any], config: TrainConfig) -> None:
        """A model that was not trained has no answer."""
        refuse_untrained(config, UNTRAINED)

    def titles(self, prepared: Prepared[Any]) -> Mapping[str, str]:
        """The commonest values; words and characters counted."""
        return {
            "majority": "the most frequent value of each aspect for all rows",
            "classical": "TF-IDF and one logistic regression per aspect",
        }

    def answer(self, rung: str, prepared: Prepared[Any], run: RunFolder) -> tuple[AspectEvidence, dict[str, Any]]:
        """Answer the test rows by counting."""
        if rung == "majority":
            return self.baseline(rung, prepared), {"trained_parameters": 0}
        linear = fit_linear(prepared)
        vectorizers = [part for _, part in linear.features.transformer_list]
        trained = save_linear(run.path / "baseline", linear.models, vectorizers)
        return _evidence(prepared, rung, linear.answers), {"trained_parameters": trained}

    def baseline(self, rung: str, prepared: Prepared[Any]) -> AspectEvidence:
        """The test rows answered by `majority` or `classical`."""
        encoded, size = prepared.encoded, len(prepared.recipe.options.values)
        if rung == "majority":
            answers = majority(encoded.splits["train"].targets, len(encoded.rows["test"]), size)
        else:
            answers = fit_linear(prepared).answers
        return _evidence(prepared, rung, answers)

    def measures(self, lines: Sequence[Mapping[str, str]], prepared: Prepared[Any]) -> Mapping[str, RowSums]:
        """Mean macro F1 and exact match."""
        options = prepared.recipe.options
        return overall_measures(*read_aspects(lines, options), len(options.values))

    def class_measures(self, lines: Sequence[Mapping[str, str]], prepared: Prepared[Any]) -> Mapping[str, RowSums]:
        """Macro F1 of each aspect."""
        options = prepared.recipe.options
        truth, answers = read_aspects(lines, options)
        return {
            aspect: aspect_measures(truth[:, i], answers[:, i], len(options.values))[self.of_class]
            for i, aspect in enumerate(options.aspects)
        }


def _evidence(prepared: Prepared[Any], name: str, answers: AspectAnswers) -> AspectEvidence:
    config, rows = prepared.config, prepared.encoded.rows["test"]
    return AspectEvidence(prepared.recipe, rows, config.evaluation, config.seed, answers={name: answers})
