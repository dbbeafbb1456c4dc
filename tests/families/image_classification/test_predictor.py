"""Answers of an image classifier: by the likelier label, by an operating point, or none at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from torch import nn

from tests.user_error import user_error
from tunebook import SoftmaxHead
from tunebook.families.image_classification.findings import check_point, find_findings
from tunebook.families.image_classification.heads import make_head
from tunebook.families.image_classification.metrics.operating import OperatingPoint
from tunebook.families.image_classification.model.image import Preprocessing
from tunebook.families.image_classification.options import ImageClassificationConfig
from tunebook.families.image_classification.points import check_rules
from tunebook.families.image_classification.predictor import ImageClassifier
from tunebook.families.image_classification.preprocessing import ImagePreparation


def point(name: str, finding: str, low: float, high: float | None = None) -> OperatingPoint:
    rule = "threshold 0.5" if high is None else "abstain 0.9 0.9"
    return OperatingPoint(name, rule, finding, low, low if high is None else high, True, 10, 10)


def classifier(labels: tuple[str, ...], several: bool = False, **given: Any) -> ImageClassifier:
    options = ImageClassificationConfig(name="x", findings=list(labels) if several else None)
    return ImageClassifier(
        nn.Identity(),
        make_head(labels, options),
        labels,
        find_findings(labels, several, None),
        ImagePreparation(Preprocessing(8, 1, (0.5,), (0.5,))),
        **given,
    )


PAIRS = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5], [0.3, 0.7], [0.05, 0.95]])
"""Probabilities of ill and normal."""
BOTH = (point("screening", "ill", 0.3), point("confirming", "ill", 0.9), point("sure", "ill", 0.2, 0.8))


def test_without_a_chosen_point_the_likelier_label_is_the_answer() -> None:
    made = classifier(("ill", "normal"), points=BOTH)
    assert made.decide(PAIRS).tolist() == [0, 0, 0, 1, 1]
    assert made.predictions(PAIRS) == ["ill", "ill", "ill", "normal", "normal"]


@pytest.mark.parametrize(
    ("chosen", "decided", "predicted"),
    [
        ("screening", [0, 0, 0, 0, 1], ["ill", "ill", "ill", "ill", "normal"]),
        ("confirming", [0, 1, 1, 1, 1], ["ill", "normal", "normal", "normal", "normal"]),
        ("sure", [0, 0, 0, 1, 1], ["ill", "abstain", "abstain", "abstain", "normal"]),
    ],
)
def test_a_chosen_point_gives_the_answer(chosen: str, decided: list[int], predicted: list[str]) -> None:
    made = classifier(("ill", "normal"), points=BOTH, point=chosen)
    assert made.decide(PAIRS).tolist() == decided, "scores take the likelier label where a point abstains"
    assert made.predictions(PAIRS) == predicted
    # The same where the finding is the second output.
    turned = classifier(("a_normal", "ill"), points=BOTH, point=chosen)
    turned.findings = find_findings(("a_normal", "ill"), False, "a_normal")
    assert turned.predictions(PAIRS[:, ::-1]) == [p.replace("normal", "a_normal") for p in predicted]


def test_several_findings_are_answered_one_by_one() -> None:
    points = (point("screening", "a", 0.2), point("screening", "b", 0.8), point("sure", "a", 0.1, 0.9))
    probabilities = np.array([[0.3, 0.7], [0.1, 0.9], [0.6, 0.5], [0.1, 0.1]])
    plain = classifier(("a", "b"), several=True, points=points)
    assert plain.decide(probabilities).tolist() == [[0, 1], [0, 1], [1, 1], [0, 0]]
    assert plain.predictions(probabilities) == ["b", "b", "a; b", "none"]
    chosen = classifier(("a", "b"), several=True, points=points, point="screening")
    assert chosen.decide(probabilities).tolist() == [[1, 0], [0, 1], [1, 0], [0, 0]]
    assert chosen.predictions(probabilities) == ["a", "b", "a", "none"]


def test_probabilities_are_calibrated_in_double_precision() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (20, 3))
    made = classifier(("a", "b", "c"), temperature=1.7)
    np.testing.assert_allclose(made.probabilities(logits), softmax(logits / 1.7, axis=1), rtol=1e-12)
    several = classifier(("a", "b", "c"), several=True, temperature=0.4)
    np.testing.assert_allclose(several.probabilities(logits), expit(logits / 0.4), rtol=1e-12)


def test_the_columns_of_an_answer_are_those_of_the_labels_and_points() -> None:
    made = classifier(("ill", "normal"), points=BOTH)
    assert made.columns == [
        *("image", "prediction", "probability_ill", "probability_normal"),
        *("ill_at_screening", "ill_at_confirming", "ill_at_sure"),
    ]


def test_logits_are_those_of_the_model_in_evaluation_mode() -> None:
    class Means(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert not self.training
            return torch.stack([x.mean(dim=(1, 2, 3)), x.amax(dim=(1, 2, 3))], dim=1)

    made = classifier(("ill", "normal"))
    made.model = Means()
    stored = np.random.default_rng(0).integers(0, 256, (70, 8, 8, 1), dtype=np.uint8)
    items: Any = [(pixels, 255.0, np.int64(0), i) for i, pixels in enumerate(stored)]
    told: list[int] = []
    logits = made.logits(items, "cpu", told.append)
    light = (stored / 255 - 0.5) / 0.5
    expected = np.stack([light.mean(axis=(1, 2, 3)), light.max(axis=(1, 2, 3))], axis=1)
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    assert sum(told) == 70 and made.logits([], "cpu").shape == (0, 2)


def test_a_point_that_is_not_there_or_cannot_answer_is_refused() -> None:
    one, three = find_findings(("ill", "normal"), False, None), find_findings(("a", "b", "normal"), False, None)
    check_point(None, three)
    check_point("screening", one)
    check_point("screening", find_findings(("a", "b"), True, None))
    rules = {"screening": "sensitivity 0.9", "confirming": "specificity 0.9"}
    check_rules(rules, "screening")
    with user_error("config.unknown-choice", where="recipe.point", match="no operating point 'screen'") as caught:
        check_rules(rules, "screen")
    assert caught.value.fix == "choose from: screening, confirming"
    with user_error("config.conflict", where="recipe.point", match="2 exclude each other"):
        check_point("screening", three)


class Careful(SoftmaxHead):
    """Ill from a tenth on."""

    def decide(self, probabilities: torch.Tensor) -> torch.Tensor:
        return (probabilities[:, 0] < 0.1).long()


def test_the_heads_own_answer_wins_unless_a_point_is_chosen() -> None:
    made = classifier(("ill", "normal"), points=BOTH)
    made.head = Careful(2)
    assert made.decide(PAIRS).tolist() == [0, 0, 0, 0, 1]
    assert made.predictions(PAIRS) == ["ill", "ill", "ill", "ill", "normal"]
    made.point = "confirming"
    assert made.decide(PAIRS).tolist() == [0, 1, 1, 1, 1], "a chosen point keeps its meaning"
    made.point = "sure"
    assert made.decide(PAIRS).tolist() == [0, 0, 0, 0, 1], "where it abstains, the head decides"
    assert made.predictions(PAIRS) == ["ill", "abstain", "abstain", "abstain", "normal"]
