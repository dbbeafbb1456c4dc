"""predictions.csv of an image classifier."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunebook.evaluation.findings.operating import answers
from tunebook.evaluation.findings.predictions import FindingPredictions
from tunebook.files import written_whole
from tunebook.tasks.image_classifier import NONE, ImageClassifier
from tunebook.tasks.image_preparation import ImageItems


def write_image_predictions(
    path: Path,
    classifier: ImageClassifier,
    believed: FindingPredictions,
    items: ImageItems,
    probabilities: NDArray[np.float64],
) -> None:
    """One line a row: file, line, image, truth, and what `predict` would write."""
    columns = ["file", "line", "image", "truth", *classifier.columns[1:]]
    predicted = classifier.predictions(probabilities)
    said = {1: "positive", 0: "negative", -1: "abstain"}
    at = [answers(p, probabilities[:, classifier.labels.index(p.finding)]) for p in classifier.points]
    with written_whole(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for i in range(len(believed)):
            place = [believed.files[i], believed.lines[i], believed.images[i], truth_in_words(classifier, items, i)]
            sides = [said[int(side[i])] for side in at]
            writer.writerow([*place, predicted[i], *(f"{p:.6f}" for p in probabilities[i]), *sides])


def truth_in_words(classifier: ImageClassifier, items: ImageItems, row: int) -> str:
    """The label of a row, or its findings."""
    target = items.targets[row]
    if not classifier.findings.several:
        return classifier.labels[int(target)]
    return "; ".join(n for n, flag in zip(classifier.labels, target, strict=True) if flag) or NONE
