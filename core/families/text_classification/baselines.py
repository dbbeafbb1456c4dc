"""How text classifiers are compared: the most frequent label, TF-IDF with logistic regression, and runs read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.config.schema import TrainConfig
from tunebook.data.pairs import whole_texts
from tunebook.families.prepared import Prepared
from tunebook.families.text_classification.evidence import TextEvidence, unanswered
from tunebook.families.text_classification.recipe import TextClassification
from tunebook.models.linear import chosen, fitted, probabilities_of, save_linear, text_features
from tunebook.report.files import read_predictions
from tunebook.run_folder import RunFolder
from tunebook.statistics.measure import measure
from tunebook.statistics.metric_outcome import metric_outcomes
from tunebook.statistics.outcomes import Outcome, label_outcomes
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.scores import majority
from tunebook.training.solve import FEW, USUAL, folds


@dataclass(frozen=True)
class TextComparison:
    """The part of text classifiers in `compare`."""

    recipe: TextClassification[Any]
    of_class: str = "f1"
    per_class: bool = True
    few_shot: Sequence[str] = ("classical", "head", "contrastive")
    row: str = "row"

    def metrics(self, labels: Sequence[str]) -> Sequence[str]:
        """Those of the recipe, the watched one first."""
        names = [str(name) for name, _ in self.recipe.metrics(labels).items(keep_base=True)]
        return [self.recipe.watch, *(name for name in names if name != self.recipe.watch)]

    def refuse(self, prepared: Prepared[Any], config: TrainConfig) -> None:
        """Nothing is known to fail that would not fail for every rung."""

    def titles(self, prepared: Prepared[Any]) -> Mapping[str, str]:
        """The most frequent label; words and characters counted."""
        return {
            "majority": "the most frequent label for all rows",
            "classical": "TF-IDF and logistic regression",
        }

    def answer(self, rung: str, prepared: Prepared[Any], run: RunFolder) -> tuple[TextEvidence, dict[str, Any]]:
        """Answer the test rows by counting."""
        trained = 0
        if rung == "majority":
            counts = np.bincount(_targets(prepared, "train"), minlength=len(prepared.labels))
            answers = majority(counts, _unanswered(prepared, "test"))
        else:
            answers, trained = _classical(self.recipe, prepared, run)
        config = prepared.config
        evidence = TextEvidence(self.recipe, answers, {}, config.evaluation, config.seed, rung)
        return evidence, {"trained_parameters": trained}

    def outcomes(self, metric: str, runs: Sequence[RunFolder], prepared: Prepared[Any]) -> Sequence[Outcome | None]:
        """The runs' answers, by any metric of the recipe."""
        found = dict(self.recipe.metrics(prepared.labels).items(keep_base=True))[metric]
        return metric_outcomes(found, [self._read(run, prepared) for run in runs])

    def class_outcomes(self, run: RunFolder, prepared: Prepared[Any]) -> Mapping[str, Outcome]:
        """F1 of each label."""
        return label_outcomes(self._read(run, prepared))

    def _read(self, run: RunFolder, prepared: Prepared[Any]) -> Predictions:
        return read_predictions(run.predictions, _unanswered(prepared, "test"))


def _targets(prepared: Prepared[Any], split: str) -> Any:
    return prepared.encoded.splits[split].targets


def _unanswered(prepared: Prepared[Any], split: str) -> Predictions:
    return unanswered(prepared.encoded.rows[split], prepared.labels)


def _answering(prepared: Prepared[Any], split: str, probabilities: NDArray[np.float64]) -> Predictions:
    predicted = probabilities.argmax(1).astype(np.int64)
    return replace(_unanswered(prepared, split), probabilities=probabilities, predicted=predicted)


def _classical(recipe: TextClassification[Any], prepared: Prepared[Any], run: RunFolder) -> tuple[Predictions, int]:
    """Fit on the training rows with the best penalty, answer the test rows.

    The penalty is chosen by five-fold cross-validation on few training rows, by the validation rows of many.
    """
    labels, target = len(prepared.labels), _targets(prepared, "train")
    features = text_features()
    train = features.fit_transform(whole_texts(prepared.encoded.rows["train"]))
    rows = {split: whole_texts(prepared.encoded.rows[split]) for split in ("validation", "test")}
    held_out = {split: features.transform(texts) for split, texts in rows.items()}
    watched = dict(recipe.metrics(prepared.labels).items(keep_base=True))[recipe.watch]

    few = len(target) <= FEW
    parts = folds(target, prepared.config.seed, prepared.encoded.rows["train"].groups) if few else []

    def answered(model: Any, split: str) -> Predictions:
        return _answering(prepared, split, probabilities_of(model, held_out[split], labels, int(target[0])))

    def score(strength: float) -> float:
        if not few:
            return measure(watched, answered(fitted(train, target, strength), "validation"))[0]
        found = np.zeros((len(target), labels))
        for own in parts:
            others = np.setdiff1d(np.arange(len(target)), own)
            model = fitted(train[others], target[others], strength)
            found[own] = probabilities_of(model, train[own], labels, int(target[others][0]))
        return measure(watched, _answering(prepared, "train", found))[0]

    best = USUAL if few and not parts else chosen(score, recipe.watch_mode == "max")
    model = fitted(train, target, best)
    answers = answered(model, "test")
    vectorizers = [part for _, part in features.transformer_list]
    return answers, save_linear(run.path / "baseline", [model], vectorizers)
