"""Claims of answers that their context does not have, by hand."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from tunebook.families.text_generation.metrics.grounding import GROUNDING_MEASURES, grounding_measures
from tunebook.statistics.sums import score

SOURCE = "The Tollgate lamp is £42 and comes within 3 days.\nWhat is the lamp?"
WRITTEN = [
    ("It is £42, within 3 days.", (1, 0, 0)),
    ("It is £24.", (0, 1, 0)),
    ("It is the lamp by Pemberton, for £9.99.", (0, 1, 1)),
    ("It comes from Norway.", (0, 0, 1)),
    ("", (1, 0, 0)),
    ("The Tollgate lamp.", (1, 0, 0)),
]


def test_each_share_is_that_counted_by_hand() -> None:
    outputs = [output for output, _ in WRITTEN]
    found = grounding_measures([SOURCE] * len(outputs) + [None], [*outputs, "£1,000 from Paris"])
    assert tuple(found) == GROUNDING_MEASURES
    for column, (name, measure) in enumerate(found.items()):
        assert measure.sums[:-1, 0].tolist() == [right[column] for _, right in WRITTEN], name
        assert measure.sums[:-1, 1].tolist() == [1] * len(outputs) and not measure.sums[-1].any()
        scored, hits = score(measure), sum(right[column] for _, right in WRITTEN)
        low, high = binomtest(hits, len(outputs)).proportion_ci(method="wilson")
        assert (scored.low, scored.high) == pytest.approx((low, high), abs=1e-6)
        assert scored.higher_is_better is (name == "grounded_share")


def test_answers_without_a_context_have_no_such_measure() -> None:
    assert grounding_measures([None, None], ["£1", "£2"]) == {}


def test_ordinary_words_are_no_names() -> None:
    said = ["It is by the City wall."]
    assert grounding_measures([SOURCE], said)["unsupported_names_share"].sums[0, 0] == 1
    assert grounding_measures([SOURCE], said, frozenset(("city",)))["unsupported_names_share"].sums[0, 0] == 0
