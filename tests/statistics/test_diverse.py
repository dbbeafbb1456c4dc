"""Rows drawn by their gradients: beside the gradients themselves, and k-means++ by hand."""

from __future__ import annotations

import numpy as np

from tunebook.statistics.diverse import badge


def made_up(rows: int = 60, labels: int = 4, features: int = 5) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.dirichlet(np.ones(labels), rows), draw.normal(size=(rows, features))


def test_as_k_means_plus_plus_on_the_gradients_themselves():
    probabilities, features = made_up()
    errors = probabilities - np.eye(4)[probabilities.argmax(1)]
    gradients = (errors[:, :, None] * features[:, None, :]).reshape(60, -1)
    draw, expected = np.random.default_rng(3), [int(np.linalg.norm(gradients, axis=1).argmax())]
    for _ in range(19):
        far = np.min([((gradients - gradients[i]) ** 2).sum(1) for i in expected], axis=0)
        expected.append(int(draw.choice(60, p=far / far.sum())))
    assert badge(probabilities, features, 20, seed=3).tolist() == expected


def test_no_row_twice_and_all_of_them_at_most():
    probabilities, features = made_up()
    assert sorted(badge(probabilities, features, 60, seed=0)) == list(range(60))


def test_copies_come_last():
    probabilities, features = (np.concatenate([part, part]) for part in made_up(30))
    first = badge(probabilities, features, 30, seed=0) % 30
    assert sorted(first) == list(range(30))


def test_sure_rows_are_one_point_whatever_they_say():
    """Their gradient is nothing."""
    probabilities, features = made_up(20, 2)
    probabilities[:10] = [1.0, 0.0]
    assert (badge(probabilities, features, 10, seed=0) < 10).sum() <= 1
