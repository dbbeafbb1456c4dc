"""predictions.csv of an image classifier."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunebook.families.image_classification.predictor import ImageClassifier
from tunebook.families.image_classification.preprocessing import ImageItems
from tunebook.files import written_whole
from tunebook.report.files import show_probability
from tunebook.statistics.findings import FindingPredictions


def write_image_predictions(
    path: Path,
    classifier: ImageClassifier,
    predictions: FindingPredictions,
    items: ImageItems,
    probabilities: NDArray[np.float64],
) -> None:
    """One line a row: file, line, image, truth, and what `predict` would write."""
    columns = ["file", "line", "image", "truth", *classifier.columns[1:]]
    predicted = classifier.predictions(probabilities)
    at = [classifier.sides(point, probabilities) for point in classifier.points]
    with written_whole(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for i in range(len(predictions)):
            place = [
                predictions.files[i],
                predictions.lines[i],
                predictions.images[i],
                truth_in_words(classifier, items, i),
            ]
            writer.writerow(
                [*place, predicted[i], *map(show_probability, probabilities[i]), *(sides[i] for sides in at)]
            )


def truth_in_words(classifier: ImageClassifier, items: ImageItems, row: int) -> str:
    """The label of a row, or its findings."""
    target = items.targets[row]
    if not classifier.findings.several:
        return classifier.labels[int(target)]
    return classifier.named(target)
