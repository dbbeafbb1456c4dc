from __future__ import annotations

import pytest

from tunebook.families.text_generation.metrics.nearest import NearestCopy


def test_nearest_takes_the_first_copy_and_refuses_nothing_known():
    nearest = NearestCopy(["a b", "a b", "c"], ["first", "second", "third"])
    assert nearest.write(["b a", "c", "unknown"]) == ["first", "third", "first"]
    assert nearest.nearest("unknown") == (0, 0.0)
    with pytest.raises(ValueError, match="at least one source"):
        NearestCopy([], [])
