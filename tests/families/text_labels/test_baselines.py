"""What `compare` answers without a model, against scikit-learn's own one-vs-rest."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier

from tests.laddered import prepared_for
from tests.topical import TOPICS
from tests.user_error import user_error
from tunebook.config.schema import Method
from tunebook.data.pairs import whole_texts
from tunebook.families.prepared import Prepared
from tunebook.models.linear import STRENGTHS, text_features
from tunebook.run_folder import RunFolder
from tunebook.statistics.thresholds import choose_thresholds


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared[Any]:
    return prepared_for(tmp_path_factory.mktemp("prepared"), "recipe=review_topics")[1]


def answered(prepared: Prepared[Any], rung: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    folder.mkdir()
    found: tuple[Any, dict[str, Any]] = comparison(prepared).answer(rung, prepared, RunFolder(folder))
    return found


def comparison(prepared: Prepared[Any]) -> Any:
    return prepared.recipe.family.stages.comparison(prepared.recipe)


def test_the_usual_answer_is_none_and_its_probabilities_are_the_shares(prepared: Prepared[Any], tmp_path: Path) -> None:
    evidence, record = answered(prepared, "majority", tmp_path / "run")
    assert not evidence.tuned.predicted.any() and record == {"trained_parameters": 0}
    shares = [each / 198 for each in (55, 53, 52, 54, 54)]
    assert evidence.tuned.probabilities[0].tolist() == pytest.approx(shares)
    assert comparison(prepared).titles(prepared)["majority"] == "no label for all rows"


def test_the_classical_answer_is_that_of_one_logistic_regression_a_label(
    prepared: Prepared[Any], tmp_path: Path
) -> None:
    evidence, record = answered(prepared, "classical", tmp_path / "run")
    texts = {split: whole_texts(prepared.encoded.rows[split]) for split in ("train", "validation", "test")}
    truth = {split: prepared.encoded.splits[split].targets for split in texts}
    features = text_features()
    train = features.fit_transform(texts["train"])
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for strength in STRENGTHS:
        model = OneVsRestClassifier(LogisticRegression(C=strength, max_iter=300))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(train, truth["train"])
        seen, test = (model.predict_proba(features.transform(texts[split])) for split in ("validation", "test"))
        edges = choose_thresholds(truth["validation"], seen)
        value = f1_score(truth["validation"], seen >= edges, average="macro")
        if best is None or value > best[0] + 1e-12:
            best = value, edges, test
    assert best is not None
    _, edges, test = best
    assert evidence.tuned.probabilities == pytest.approx(test, abs=1e-6)
    np.testing.assert_array_equal(evidence.tuned.predicted, test >= edges)
    assert list(evidence.chosen.thresholds) == list(TOPICS)
    assert record["trained_parameters"] == 5 * (train.shape[1] + 1)
    assert (tmp_path / "run/baseline/linear.safetensors").is_file()


def test_an_untrained_model_is_refused_before_its_run(prepared: Prepared[Any]) -> None:
    config = replace(prepared.config, adapt=replace(prepared.config.adapt, method=Method.none))
    with user_error("config.no-effect", where="adapt=none"):
        comparison(prepared).refuse(prepared, config)
