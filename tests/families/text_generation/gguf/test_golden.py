"""Whether a file's tokens and next tokens are near enough to the bundle's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.user_error import user_error
from tunebook.families.text_generation.gguf.golden import ERRORS, TOLERANCES, Reference, check_tokens, compare

PLACE = Path("model.gguf")
LOGITS = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], dtype=np.float32))
EXPECTED = Reference(["a"], [[5, 6]], [[0, 2]], [LOGITS])


def test_equal_answers() -> None:
    verdict = compare(EXPECTED, [LOGITS + 3], "f32", PLACE)  # a constant changes no probability
    assert (verdict.prompts, verdict.same, verdict.tokens, verdict.chosen) == (1, 1, 2, 2)
    assert verdict.largest == pytest.approx(0, abs=1e-6) and verdict.error == pytest.approx(0, abs=1e-6)


def test_rows_for_tokens_that_nobody_has_are_left_out() -> None:
    wider = np.concatenate([LOGITS, np.full((2, 2), -50, dtype=np.float32)], axis=1)
    assert compare(EXPECTED, [wider], "f32", PLACE).largest == pytest.approx(0, abs=1e-6)


def test_differences_are_counted_by_hand() -> None:
    moved = np.log(np.array([[0.69, 0.21, 0.1], [0.1, 0.3, 0.6]], dtype=np.float32))
    verdict = compare(EXPECTED, [moved], "q8_0", PLACE)
    assert verdict.largest == pytest.approx(0.01, abs=1e-6)
    change = np.log(np.array([0.69 / 0.7, 0.21 / 0.2, 1.0]))
    wanted = np.sqrt(np.var(change) / 2 / np.mean([np.var(np.log([0.7, 0.2, 0.1])), np.var(np.log([0.1, 0.3, 0.6]))]))
    assert verdict.error == pytest.approx(wanted, rel=1e-4)
    assert "1 of 1 greedy answers and 2 of their 2 tokens" in verdict.words
    with user_error("export.other-answers", where=str(PLACE), match=r"probability 0\.01,") as caught:
        compare(EXPECTED, [moved], "f32", PLACE)
    assert caught.value.fix == "use the bundle itself"


@pytest.mark.parametrize("precision", sorted(TOLERANCES))
def test_another_choice_is_refused_in_every_precision(precision: str) -> None:
    swapped = LOGITS[:, [1, 0, 2]]
    assert TOLERANCES[precision] < 0.5 and ERRORS[precision] < 0.5
    with user_error("export.other-answers", match="0 of 1 greedy answers and 1 of their 2 tokens"):
        compare(EXPECTED, [swapped], precision, PLACE)


@pytest.mark.parametrize("precision", sorted(ERRORS))
def test_a_model_that_is_sure_of_nothing_is_compared_too(precision: str) -> None:
    """Probabilities of a fresh model are all near 1 in the size of its vocabulary, whatever is wrong with it."""
    draw = np.random.default_rng(0)
    one, other = draw.normal(0, 0.01, (2, 8, 1000)).astype(np.float32)
    answer = one.argmax(axis=1).tolist()
    with user_error("export.other-answers", match="error of the logits 1.4 deviations"):
        compare(Reference(["a"], [[1]], [answer], [one]), [other], precision, PLACE)


def test_values_that_are_no_numbers_are_refused() -> None:
    with user_error("export.other-answers"):
        compare(EXPECTED, [LOGITS * np.nan], "q8_0", PLACE)


def test_other_tokens_are_refused() -> None:
    check_tokens(EXPECTED, [[5, 6]], PLACE)
    with user_error("export.other-answers", match="golden prompt 1 .* from token 2 on"):
        check_tokens(EXPECTED, [[5, 7]], PLACE)
    with user_error("export.other-answers", match="from token 3 on"):
        check_tokens(EXPECTED, [[5, 6, 7]], PLACE)
