"""How image classifiers are compared: the labels' shares, logistic regression on pixels, and runs read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from tunebook.config.schema import Method, TrainConfig
from tunebook.families.image_classification.batches import check_trains
from tunebook.families.image_classification.evidence import ImageEvidence
from tunebook.families.image_classification.findings import Findings, findings_of
from tunebook.families.image_classification.model.image_build import build
from tunebook.families.image_classification.predictor import ImageClassifier, finding_predictions
from tunebook.families.image_classification.preprocessing import stack_images
from tunebook.families.image_classification.recipe import ImageClassification
from tunebook.families.image_classification.scores import is_mean_ranking, score_findings
from tunebook.families.prepared import Prepared
from tunebook.models.adapt import backbone_linears, check_linears
from tunebook.models.linear import chosen, fitted, probabilities_of, save_linear
from tunebook.report.files import read_predictions
from tunebook.run_folder import RunFolder
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.metric_outcome import metric_outcomes
from tunebook.statistics.outcomes import Outcome, label_outcomes
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.ranking_outcome import ranking_outcome
from tunebook.statistics.ranking_scores import mean_ranking_scores

SIDE = 32
"""Height and width to which pictures are shrunk, in grey, for logistic regression."""
_CHUNK = 256

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ImageComparison:
    """The part of image classifiers in `compare`."""

    recipe: ImageClassification[Any]
    per_class: bool = True
    few_shot: Sequence[str] = ()
    row: str = "image"

    @property
    def of_class(self) -> str:
        """F1 of each label; where an image may have several findings the AUROC of each."""
        return "auroc" if self.recipe.options.findings is not None else "f1"

    def metrics(self, labels: Sequence[str]) -> Sequence[str]:
        """Those of the recipe, the watched one first."""
        names = [str(name) for name, _ in self.recipe.metrics(labels).items(keep_base=True)]
        return [self.recipe.watch, *(name for name in names if name != self.recipe.watch)]

    def refuse(self, prepared: Prepared[Any], config: TrainConfig) -> None:
        """No answer before training; no adapters in convolutions."""
        check_trains(config)
        if config.adapt.method is Method.lora:
            pre = prepared.encoded.tokenizer.preprocessing
            model = build(prepared.source, 1, pre.channels, pre.size)
            check_linears(model, backbone_linears(model))

    def titles(self, prepared: Prepared[Any]) -> Mapping[str, str]:
        """The labels' shares of the training rows; pixels."""
        return {
            "majority": "the labels' shares for all images",
            "classical": "logistic regression on pixels",
        }

    def answer(self, rung: str, prepared: Prepared[Any], run: RunFolder) -> tuple[ImageEvidence, dict[str, Any]]:
        """Answer the test rows without a network."""
        config, items = prepared.config, _items(prepared, "test")
        trained = 0
        if rung == "majority":
            probabilities = np.tile(_shares(prepared), (len(items), 1))
        else:
            probabilities, trained = _classical(self.recipe, prepared, run)
        classifier, rows = _without_network(self.recipe, prepared), prepared.encoded.rows["test"]
        seen = finding_predictions(classifier, rows, items, probabilities, self.recipe.options.subgroups)
        found = score_findings(self.recipe, classifier, seen, items, probabilities, config.evaluation, config.seed)
        evidence = ImageEvidence(self.recipe, classifier, found, items, probabilities, rung)
        return evidence, {"trained_parameters": trained}

    def outcomes(self, metric: str, runs: Sequence[RunFolder], prepared: Prepared[Any]) -> Sequence[Outcome | None]:
        """The runs' rankings of findings, or their answers by any metric of the recipe."""
        found = dict(self.recipe.metrics(prepared.labels).items(keep_base=True))[metric]
        if is_mean_ranking(metric, found, _findings(self.recipe, prepared)):
            return [ranking_outcome(self._predictions(run, prepared), metric) for run in runs]
        return metric_outcomes(found, [self._read(run, prepared) for run in runs])

    def class_outcomes(self, run: RunFolder, prepared: Prepared[Any]) -> Mapping[str, Outcome]:
        """F1 of each label; AUROC of each finding where an image may have several."""
        if self.of_class == "f1":
            return label_outcomes(self._read(run, prepared))
        seen = self._predictions(run, prepared)
        both = {name: _only(seen, i) for i, name in enumerate(seen.findings) if 0 < seen.target[:, i].sum() < len(seen)}
        return {name: ranking_outcome(one, "auroc") for name, one in both.items()}

    def _read(self, run: RunFolder, prepared: Prepared[Any]) -> Predictions:
        return read_predictions(run.predictions, _unanswered(prepared), _without_network(self.recipe, prepared).decide)

    def _predictions(self, run: RunFolder, prepared: Prepared[Any]) -> FindingPredictions:
        classifier, rows = _without_network(self.recipe, prepared), prepared.encoded.rows["test"]
        probabilities = self._read(run, prepared).probabilities
        return finding_predictions(classifier, rows, _items(prepared, "test"), probabilities, ())


def _only(seen: FindingPredictions, column: int) -> FindingPredictions:
    one = slice(column, column + 1)
    return replace(
        seen,
        findings=seen.findings[one],
        target=seen.target[:, one],
        probabilities=seen.probabilities[:, one],
    )


def _items(prepared: Prepared[Any], split: str) -> Any:
    return prepared.encoded.splits[split].items


def _findings(recipe: ImageClassification[Any], prepared: Prepared[Any]) -> Findings:
    return findings_of(recipe, prepared.labels)


def _shares(prepared: Prepared[Any]) -> Floats:
    """Of each label among the training rows, `[labels]`."""
    targets = _items(prepared, "train").targets
    if targets.ndim == 2:
        shares: Floats = targets.mean(axis=0)
        return shares
    return np.bincount(targets, minlength=len(prepared.labels)) / len(targets)


def _without_network(recipe: ImageClassification[Any], prepared: Prepared[Any]) -> ImageClassifier:
    """What decides by probabilities, whoever gives them."""
    findings = _findings(recipe, prepared)
    head, labels = recipe.head(prepared.labels), tuple(prepared.labels)
    return ImageClassifier(nn.Identity(), head, labels, findings, prepared.encoded.tokenizer)


def _unanswered(prepared: Prepared[Any]) -> Predictions:
    """The test rows with their truth, to be answered."""
    rows, targets = prepared.encoded.rows["test"], _items(prepared, "test").targets
    return Predictions(
        labels=tuple(prepared.labels),
        target=targets,
        probabilities=np.zeros((len(rows), len(prepared.labels))),
        predicted=np.zeros_like(targets),
        files=rows.texts("file"),
        lines=rows.lines,
        texts=rows.texts("image"),
        groups=rows.groups,
    )


def pixels(prepared: Prepared[Any], split: str) -> Floats:
    """The pictures in grey, 0 to 1, shrunk by averaging, `[rows, 1024]`."""
    items, parts = _items(prepared, split), [np.zeros((0, SIDE * SIDE))]
    for start in range(0, len(items), _CHUNK):
        batch = stack_images([items[i] for i in range(start, min(start + _CHUNK, len(items)))])
        light = prepared.encoded.tokenizer.brightness(batch["pixels"], batch["peak"]).mean(1, keepdim=True)
        parts.append(functional.adaptive_avg_pool2d(light, SIDE).flatten(1).double().numpy())
    return np.concatenate(parts)


def _classical(recipe: ImageClassification[Any], prepared: Prepared[Any], run: RunFolder) -> tuple[Floats, int]:
    """Fit on the training pixels, choose the penalty by the validation images, answer the test images.

    Returns:
        Probabilities `[rows, labels]`, and how many numbers were learned.
    """
    findings, labels = _findings(recipe, prepared), len(prepared.labels)
    seen = {split: pixels(prepared, split) for split in ("train", "validation", "test")}
    middle = seen["train"].mean(axis=0)
    targets = _items(prepared, "train").targets
    columns = [targets] if targets.ndim == 1 else list(targets.T)

    def models(strength: float) -> list[Any]:
        return [fitted(seen["train"] - middle, column, strength) for column in columns]

    def answered(found: Sequence[Any], split: str) -> Floats:
        if not findings.several:
            return probabilities_of(found[0], seen[split] - middle, labels, int(targets[0]))
        each = [
            probabilities_of(model, seen[split] - middle, 2, int(column[0]))[:, 1]
            for model, column in zip(found, columns, strict=True)
        ]
        return np.stack(each, axis=1)

    def score(strength: float) -> float:
        probabilities = answered(models(strength), "validation")
        rows, items = prepared.encoded.rows["validation"], _items(prepared, "validation")
        seen_ = finding_predictions(_without_network(recipe, prepared), rows, items, probabilities, ())
        return float(mean_ranking_scores(seen_, resamples=1)[0].value)

    found = models(chosen(score))
    return answered(found, "test"), save_linear(run.path / "baseline", found)
