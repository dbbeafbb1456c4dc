"""How models that put several labels on a text are compared: the usual labels, TF-IDF, and runs read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.config.schema import TrainConfig
from tunebook.data.pairs import whole_texts
from tunebook.families.prepared import Prepared
from tunebook.families.text_labels.answers import unanswered, usual_labels
from tunebook.families.text_labels.build import UNTRAINED
from tunebook.families.text_labels.evidence import LabelsEvidence
from tunebook.families.text_labels.predictions_csv import read_labels
from tunebook.families.text_labels.recipe import TextLabels
from tunebook.families.text_labels.scores import SeveralScorer
from tunebook.families.text_labels.thresholds import Chosen
from tunebook.families.text_stages import refuse_untrained
from tunebook.models.linear import chosen, fitted, probabilities_of, save_linear, text_features
from tunebook.run_folder import RunFolder
from tunebook.statistics.measure import measure
from tunebook.statistics.outcomes import Outcome
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.several import outcomes_by_label


@dataclass(frozen=True)
class LabelsComparison:
    """The part of models that put several labels on a text in `compare`."""

    recipe: TextLabels[Any]
    of_class: str = "f1"
    per_class: bool = False
    few_shot: Sequence[str] = ()
    row: str = "row"

    def metrics(self, labels: Sequence[str]) -> Sequence[str]:
        """Those of the recipe, the watched one first."""
        names = [str(name) for name, _ in self.recipe.metrics(labels).items(keep_base=True)]
        return [self.recipe.watch, *(name for name in names if name != self.recipe.watch)]

    def refuse(self, prepared: Prepared[Any], config: TrainConfig) -> None:
        """A model that was not trained has no answer."""
        refuse_untrained(config, UNTRAINED)

    def titles(self, prepared: Prepared[Any]) -> Mapping[str, str]:
        """The labels that most rows have; words and characters counted."""
        usual = usual_labels(_targets(prepared, "train"), _unanswered(prepared, "test")).predicted
        names = [label for label, flag in zip(prepared.labels, usual[0] if len(usual) else [], strict=False) if flag]
        return {
            "majority": f"{', '.join(names) or 'no label'} for all rows",
            "classical": "TF-IDF and a logistic regression for each label",
        }

    def answer(self, rung: str, prepared: Prepared[Any], run: RunFolder) -> tuple[LabelsEvidence, dict[str, Any]]:
        """Answer the test rows by counting."""
        trained, kept = 0, None
        if rung == "majority":
            answers = usual_labels(_targets(prepared, "train"), _unanswered(prepared, "test"))
        else:
            answers, kept, trained = _classical(self.recipe, prepared, run)
        config = prepared.config
        evidence = LabelsEvidence(self.recipe, answers, {}, config.evaluation, config.seed, rung, kept)
        return evidence, {"trained_parameters": trained}

    def outcomes(self, metric: str, runs: Sequence[RunFolder], prepared: Prepared[Any]) -> Sequence[Outcome | None]:
        """The runs' answers, by any metric of the recipe."""
        scorer = SeveralScorer.of(self.recipe.metrics(prepared.labels), {})
        return scorer.outcomes(metric, [self._read(run, prepared) for run in runs])

    def class_outcomes(self, run: RunFolder, prepared: Prepared[Any]) -> Mapping[str, Outcome]:
        """F1 of each label."""
        return outcomes_by_label(self._read(run, prepared))

    def _read(self, run: RunFolder, prepared: Prepared[Any]) -> Predictions:
        return read_labels(run.predictions, _unanswered(prepared, "test"))


def _targets(prepared: Prepared[Any], split: str) -> Any:
    return prepared.encoded.splits[split].targets


def _unanswered(prepared: Prepared[Any], split: str) -> Predictions:
    return unanswered(prepared.encoded.rows[split], prepared.labels)


def decided(like: Predictions, probabilities: NDArray[np.float64], by: Chosen) -> Predictions:
    """Rows answered with the labels that reach their thresholds."""
    edges = np.array([by.thresholds[label] for label in like.labels])
    return replace(like, probabilities=probabilities, predicted=(probabilities >= edges).astype(np.int64))


def _classical(recipe: TextLabels[Any], prepared: Prepared[Any], run: RunFolder) -> tuple[Predictions, Chosen, int]:
    """Fit on the training rows, choose penalty and thresholds by the validation rows, answer the test rows."""
    targets = _targets(prepared, "train")
    features = text_features()
    train = features.fit_transform(whole_texts(prepared.encoded.rows["train"]))
    held_out = {
        split: features.transform(whole_texts(prepared.encoded.rows[split])) for split in ("validation", "test")
    }
    like = {split: _unanswered(prepared, split) for split in held_out}
    watched = dict(recipe.metrics(prepared.labels).items(keep_base=True))[recipe.watch]

    def models(strength: float) -> list[Any]:
        return [fitted(train, column, strength) for column in targets.T]

    def probabilities(found: Sequence[Any], split: str) -> NDArray[np.float64]:
        each = [
            probabilities_of(model, held_out[split], 2, int(column[0]))[:, 1]
            for model, column in zip(found, targets.T, strict=True)
        ]
        return np.stack(each, axis=1)

    def thresholds(found: Sequence[Any]) -> tuple[Chosen, NDArray[np.float64]]:
        seen = probabilities(found, "validation")
        return Chosen.on(replace(like["validation"], probabilities=seen)), seen

    def validated(strength: float) -> float:
        by, seen = thresholds(models(strength))
        return measure(watched, decided(like["validation"], seen, by))[0]

    found = models(chosen(validated, recipe.watch_mode == "max"))
    by, _ = thresholds(found)
    answers = decided(like["test"], probabilities(found, "test"), by)
    vectorizers = [part for _, part in features.transformer_list]
    return answers, by, save_linear(run.path / "baseline", found, vectorizers)
