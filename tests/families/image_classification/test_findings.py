"""Which labels are findings, and which one says that there is none."""

from __future__ import annotations

import numpy as np
import pytest

from tests.user_error import user_error
from tunebook.families.image_classification.findings import find_findings


@pytest.mark.parametrize(
    ("labels", "given", "negative", "names", "is_told"),
    [
        (("ill", "normal"), None, "normal", ("ill",), False),
        (("No Finding", "pneumonia"), None, "No Finding", ("pneumonia",), False),
        (("0", "1"), None, "0", ("1",), True),
        (("HEALTHY", "a", "b"), None, "HEALTHY", ("a", "b"), False),
        (("benign", "malignant"), "malignant", "malignant", ("benign",), False),
        (("melanoma", "naevus"), None, "melanoma", ("naevus",), True),
        (("melanoma", "naevus"), "naevus", "naevus", ("melanoma",), False),
        (("a", "b", "c"), None, None, ("a", "b", "c"), False),
        (("benign", "ill", "normal"), None, None, ("benign", "ill", "normal"), False),
        (("benign", "ill", "normal"), "normal", "normal", ("benign", "ill"), False),
    ],
)
def test_findings_of_single_labels(
    labels: tuple[str, ...], given: str | None, negative: str | None, names: tuple[str, ...], is_told: bool
) -> None:
    found = find_findings(labels, several=False, negative=given)
    assert (found.names, found.negative, found.several) == (names, negative, False)
    assert tuple(labels[i] for i in found.columns) == names
    assert bool(found.note) == is_told, "a guess is told"
    if negative is not None:
        assert negative in found.summary


def test_flags_of_single_labels_are_one_column_a_finding() -> None:
    found = find_findings(("a", "normal", "z"), several=False, negative=None)
    np.testing.assert_array_equal(found.flags(np.array([0, 1, 2, 2])), [[1, 0], [0, 0], [0, 1], [0, 1]])
    assert found.flags(np.zeros(0, dtype=np.int64)).shape == (0, 2)


def test_several_findings_are_all_of_them_whatever_they_are_called() -> None:
    found = find_findings(("normal", "effusion"), several=True, negative=None)
    assert (found.names, found.columns, found.negative) == (("normal", "effusion"), (0, 1), None)
    target = np.array([[1, 0], [0, 1], [1, 1]])
    np.testing.assert_array_equal(found.flags(target), target)


def test_a_negative_label_must_be_one() -> None:
    with user_error("config.unknown-choice", where="recipe.negative", match="there is no label 'fine'") as caught:
        find_findings(("ill", "normal"), several=False, negative="fine")
    assert caught.value.fix == "choose from: ill, normal"
    with user_error("config.conflict", where="recipe.negative", match=r"recipe\.negative names a label"):
        find_findings(("a", "b"), several=True, negative="a")
