"""The worst mistakes as pictures, with where the model looked."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tunebook.families.image_classification.metrics.gallery import overlay, worst_mistakes
from tunebook.families.image_classification.model.gradcam import grad_cam
from tunebook.families.image_classification.predictor import ImageClassifier
from tunebook.families.image_classification.preprocessing import ImageItems, moved, stack_images
from tunebook.report.report import Picture
from tunebook.statistics.findings import FindingPredictions

MISTAKES = 12
log = logging.getLogger(__name__)


def gallery(
    classifier: ImageClassifier, predictions: FindingPredictions, items: ImageItems, device: str
) -> list[Picture]:
    """The most confident wrong answers: each picture, and again under a map of what spoke for the finding."""
    classifier.model.eval().to(device)
    return [
        _picture(classifier, predictions, items, row, column, device)
        for row, column in worst_mistakes(predictions, MISTAKES)
    ]


def _picture(
    classifier: ImageClassifier, predictions: FindingPredictions, items: ImageItems, row: int, column: int, device: str
) -> Picture:
    batch = moved(stack_images([items[row]]), device)
    light = classifier.preparation.brightness(batch["pixels"], batch["peak"])
    inputs = classifier.preparation.normalised(light)
    try:
        heat = grad_cam(classifier.model, inputs, _evidence(classifier, classifier.findings.columns[column]))
    except ValueError as error:  # an architecture without a map of features: the picture alone
        log.debug("no Grad-CAM: %s", error)
        heat = np.zeros(inputs.shape[-2:], dtype=np.float32)
    finding, where = predictions.findings[column], f"{predictions.files[row]}:{predictions.lines[row]}"
    truth = "there" if predictions.target[row, column] else "not there"
    sure = f"{finding}: {truth}, predicted with probability {predictions.probabilities[row, column]:.2f}"
    return Picture(overlay(_bytes(light), heat), f"{where}. {sure}.", f"{where}, {finding} {truth}")


def _evidence(classifier: ImageClassifier, label: int) -> int | Callable[[Tensor], Tensor]:
    """What is looked for: a label's own output, or its probability where no output is a label's own."""
    if classifier.head.outputs == len(classifier.labels):
        return label
    return lambda outputs: classifier.head.probabilities(outputs)[:, label]


def _bytes(light: Tensor) -> NDArray[np.uint8]:
    """``[1, channels, size, size]`` of 0 to 1 as pixels to be shown."""
    pixels: NDArray[np.uint8] = np.rint(light[0].permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)
    return pixels if pixels.shape[2] == 3 else pixels[..., 0]
