"""Models from before deep learning, by scikit-learn: what any tuned model must beat to be worth its cost."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from tunebook.files import write_atomically, write_json

STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""Inverse strengths of regularisation (scikit-learn's C) to choose from by the validation rows."""
_ITERATIONS = 300

Floats = NDArray[np.float64]


def text_features() -> Any:
    """TF-IDF of words and pairs of words, beside that of 2 to 4 characters within words; sublinear counts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    return FeatureUnion([("words", words), ("characters", characters)])


def logistic_regression(strength: float) -> Any:
    """Multinomial logistic regression with an L2 penalty; deterministic."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=_ITERATIONS)


def ridge_regression(strength: float) -> Any:
    """Linear regression with an L2 penalty of 1 / strength; deterministic."""
    from sklearn.linear_model import Ridge

    return Ridge(alpha=1 / strength)


def fitted(features: Any, target: NDArray[np.int64], strength: float) -> Any:
    """A logistic regression on features `[rows, features]`; of one class alone there is nothing to learn: None."""
    if len(np.unique(target)) < 2:
        return None

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the weakest penalties of few rows: nearly there is enough
        return logistic_regression(strength).fit(features, target)


def probabilities_of(model: Any, features: Any, labels: int, only: int = 0) -> Floats:
    """Probabilities `[rows, labels]`; a label without a training row has none."""
    found = np.zeros((features.shape[0], labels))
    if model is None:
        found[:, only] = 1.0
    else:
        found[:, model.classes_] = model.predict_proba(features)
    return found


def chosen(score: Callable[[float], float], higher_is_better: bool = True) -> float:
    """The strength with the best validation score; of equals the strongest penalty, of none that is defined 1."""
    scored = [(score(strength), strength) for strength in STRENGTHS]
    known = [(value if higher_is_better else -value, -strength) for value, strength in scored if not np.isnan(value)]
    return -max(known)[1] if known else 1.0


def save_linear(folder: Path, models: Sequence[Any], words: Sequence[Any] = ()) -> int:
    """Keep the numbers of linear models as safetensors, and the vocabulary of their features as JSON.

    Args:
        folder: Takes `linear.safetensors` and `vocabulary.json`.
        models: Logistic or ridge regressions; None is left out.
        words: TF-IDF vectorizers whose features they read, in order.

    Returns:
        How many numbers training moved: coefficients and intercepts.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for number, model in enumerate(models):
        if model is not None:
            arrays[f"{number}.coefficients"] = np.ascontiguousarray(model.coef_)
            arrays[f"{number}.intercepts"] = np.ascontiguousarray(model.intercept_)
            if hasattr(model, "classes_"):
                arrays[f"{number}.classes"] = np.ascontiguousarray(model.classes_)
    trained = sum(array.size for name, array in arrays.items() if not name.endswith("classes"))
    for number, each in enumerate(words):
        arrays[f"{number}.idf"] = np.ascontiguousarray(each.idf_)
    folder.mkdir(exist_ok=True)
    write_atomically(folder / "linear.safetensors", lambda stream: stream.write(save(arrays)))
    if words:
        vocabulary = [{word: int(place) for word, place in each.vocabulary_.items()} for each in words]
        write_json(folder / "vocabulary.json", json.loads(json.dumps(vocabulary)))
    return int(trained)
