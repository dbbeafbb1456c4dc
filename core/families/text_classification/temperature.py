"""The temperature of a text classifier and the probability below which it is not sure, from the validation rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunebook.data.columns import TEXT
from tunebook.data.pairs import pairs_of
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared
from tunebook.families.text_classification.calibration import Calibration
from tunebook.families.text_classification.options import TextEvaluation
from tunebook.families.text_classification.predictor import TextClassifier
from tunebook.families.text_classification.recipe import TextClassification
from tunebook.families.text_classification.zero_shot import ZeroShotClassifier
from tunebook.models.final_layer import final_layer
from tunebook.progress import counting
from tunebook.statistics.abstention import choose_threshold
from tunebook.statistics.temperature import fit_temperature, scaled
from tunebook.training.devices import choose_accelerator
from tunebook.training.softmax_head import activation_of

LEAST = 50
"""Validation rows below which a temperature would say more of them than of the model."""
_COMPARED, _TOLERANCE = 8, 1e-3
"""Rows that show whether a final layer takes a temperature, and how far their logits may be off."""


def calibrate(prepared: Prepared[TextClassification[Any]], classifier: TextClassifier) -> Calibration | None:
    """Choose a temperature and a threshold on the validation rows; the model is given the temperature.

    Nothing is chosen for a zero-shot model's or another head's temperature: there is no softmax of a linear layer.

    Args:
        prepared: The rows.
        classifier: The trained model, changed in place.

    Returns:
        What was chosen; None where nothing was asked for.
    """
    config, recipe = prepared.config, prepared.recipe
    wanted = node_as(config.evaluation, TextEvaluation).abstain_error
    softmax = activation_of(classifier.head) == "softmax" and not isinstance(classifier.model, ZeroShotClassifier)
    fits = softmax and recipe.options.calibrate
    if not fits and wanted is None:
        return None
    rows = prepared.encoded.rows["validation"]
    target = prepared.encoded.splits["validation"].targets
    temperature, note = None, f"{len(rows)} validation rows are too few, it takes {LEAST}" if fits else ""
    if wanted is None and len(rows) < LEAST:
        return Calibration(len(rows), note=note)
    texts, pairs, device = rows.texts(TEXT), pairs_of(rows), torch.device(choose_accelerator(config.trainer))
    with counting("validation rows", len(rows), config.trainer.progress) as advance:
        logits = classifier.logits(texts, device, advance, pairs)
    if fits and len(rows) >= LEAST:
        fit = fit_temperature(logits, target, multilabel=False)
        few = slice(_COMPARED)
        if fit.note:  # a bound says more of the few rows than of the model
            note = fit.note
        elif folded(classifier, fit.value, logits[few], texts[few], None if pairs is None else pairs[few], device):
            temperature, note, logits = fit.value, "", scaled(logits, fit.value)
        else:
            note = "the model has no linear layer at its end that takes one"
    threshold = None
    if wanted is not None:
        probabilities = classifier.head.probabilities(torch.from_numpy(logits)).double()
        answers = classifier.head.decide(probabilities).numpy()
        given: NDArray[np.float64] = probabilities.numpy()[np.arange(len(rows)), answers]
        threshold = choose_threshold(given, answers == target, wanted, config.evaluation.confidence, rows.groups)
    return Calibration(len(rows), temperature, note, wanted, threshold)


def folded(
    classifier: TextClassifier,
    temperature: float,
    logits: NDArray[np.float64],
    texts: list[str],
    pairs: list[str] | None,
    device: torch.device,
) -> bool:
    """Divide the final layer by the temperature, unless the logits of a few texts do not follow it.

    Args:
        classifier: The trained model, changed in place.
        temperature: What its logits are to be divided by.
        logits: Of these texts before, ``[texts, outputs]``.
        texts: A few of them.
        pairs: Their second texts, where the model reads two.
        device: Where to run.

    Returns:
        Whether the model has the temperature now; if not it is as it was.
    """
    layer = final_layer(classifier.model, classifier.head.outputs)
    if layer is None:
        return False
    before = {name: each.detach().clone() for name, each in layer.named_parameters(recurse=False)}
    _set(layer, {name: each / temperature for name, each in before.items()})
    expected = scaled(logits, temperature)
    got = classifier.logits(texts, device, pairs=pairs)
    if np.allclose(got, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
        return True
    _set(layer, before)
    return False


def _set(layer: nn.Linear, values: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in layer.named_parameters(recurse=False):
            parameter.copy_(values[name])
