from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from tunebook.data.batch import IGNORE_INDEX
from tunebook.families.text_aspects.head import AspectsHead
from tunebook.families.text_aspects.measures import aspect_measures, matrices, overall_measures, validation_metrics

Numbers = np.ndarray
UNKNOWN = IGNORE_INDEX


def drawn(rows: int = 90, aspects: int = 3, values: int = 4, unknown: float = 0.2) -> tuple[Numbers, Numbers]:
    draw = np.random.default_rng(7)
    truth = draw.integers(0, values, (rows, aspects))
    answers = np.where(draw.random((rows, aspects)) < 0.6, truth, draw.integers(0, values, (rows, aspects)))
    truth[draw.random((rows, aspects)) < unknown] = UNKNOWN
    return truth, answers


def macro(truth: Numbers, answers: Numbers) -> float:
    return float(f1_score(truth, answers, average="macro", zero_division=0))


def test_each_aspect_has_the_scores_of_scikit_learn_on_its_known_rows() -> None:
    truth, answers = drawn()
    for i in range(3):
        known = truth[:, i] != UNKNOWN
        true, said = truth[known, i], answers[known, i]
        found = {name: each.value() for name, each in aspect_measures(truth[:, i], answers[:, i], 4).items()}
        mentioned = true > 0
        polarity = sorted({*true[mentioned], *said[mentioned]} - {0})
        assert found["macro_f1"] == pytest.approx(macro(true, said))
        assert found["accuracy"] == pytest.approx(accuracy_score(true, said))
        assert found["mentioned_f1"] == pytest.approx(f1_score(true > 0, said > 0))
        assert found["polarity_macro_f1"] == pytest.approx(
            f1_score(true[mentioned], said[mentioned], labels=polarity, average="macro", zero_division=0)
        )
        assert (matrices(truth, answers, 4)[i] == confusion_matrix(true, said, labels=range(4))).all()


def test_all_aspects_together() -> None:
    truth, answers = drawn()
    found = overall_measures(truth, answers, 4)
    each = [macro(truth[truth[:, i] != UNKNOWN, i], answers[truth[:, i] != UNKNOWN, i]) for i in range(3)]
    assert found["macro_f1"].value() == pytest.approx(np.mean(each))
    whole = [
        all(one == other for one, other in zip(*row, strict=True) if one != UNKNOWN)
        for row in zip(truth, answers, strict=True)
        if (row[0] != UNKNOWN).any()
    ]
    assert found["exact_match"].value() == pytest.approx(np.mean(whole))
    assert int(found["exact_match"].rows.sum()) == len(whole)


def test_scores_worked_out_by_hand() -> None:
    # 0 none, 1 bad, 2 good; four rows, the last unknown.
    truth, answers = np.array([0, 1, 2, UNKNOWN]), np.array([1, 1, 0, 2])
    found = {name: each.value() for name, each in aspect_measures(truth, answers, 3).items()}
    # none: 0 of (1 true, 1 said); bad: 1 of (1 true, 2 said) = 2/3; good: 0 of (1 true, 0 said).
    assert found["macro_f1"] == pytest.approx((0 + 2 / 3 + 0) / 3)
    assert found["accuracy"] == pytest.approx(1 / 3)
    # Mentioned: rows 2 and 3; said of rows 1 and 2: 2 * 1 / (2 + 2).
    assert found["mentioned_f1"] == pytest.approx(0.5)
    # Of rows 2 and 3: bad is right, good is missed.
    assert found["polarity_macro_f1"] == pytest.approx((1 + 0) / 2)


def test_what_is_undefined_is_not_nought() -> None:
    silent = aspect_measures(np.array([0, 0, UNKNOWN]), np.array([0, 0, 1]), 3)
    assert silent["macro_f1"].value() == 1.0
    assert np.isnan(silent["mentioned_f1"].value()) and np.isnan(silent["polarity_macro_f1"].value())
    # An aspect without known rows is left out of the mean; a row without known aspects is none to be right about.
    truth, answers = np.array([[0, UNKNOWN], [1, UNKNOWN], [UNKNOWN, UNKNOWN]]), np.array([[0, 1], [1, 1], [2, 2]])
    found = overall_measures(truth, answers, 3)
    assert found["macro_f1"].value() == 1.0 and found["exact_match"].value() == 1.0
    assert int(found["macro_f1"].rows.sum()) == int(found["exact_match"].rows.sum()) == 2


def test_validation_in_batches_gives_the_scores_of_testing() -> None:
    truth, _ = drawn()
    head, metrics = AspectsHead(3, 4), validation_metrics(3, 4)
    logits = torch.randn(len(truth), 12, generator=torch.Generator().manual_seed(0))
    for part in (slice(0, 40), slice(40, 90)):
        head.measure(metrics, logits[part], torch.zeros(0), {"target": torch.tensor(truth[part])})
    answers = head.decide(head.probabilities(logits)).numpy()
    tested = overall_measures(truth, answers, 4)
    for name, value in metrics.compute().items():
        assert float(value) == pytest.approx(tested[name].value())
