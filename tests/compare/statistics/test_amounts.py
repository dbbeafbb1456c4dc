from __future__ import annotations

import pytest

from tunebook.compare.statistics.amounts import show_bytes, show_count, show_time


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.04 s"), (2.3, "2.3 s"), (9.96, "10 s"), (24.4, "24 s"), (150, "2.5 min"), (5400, "1.5 h")],
)
def test_times(seconds: float, words: str) -> None:
    assert show_time(seconds) == words


@pytest.mark.parametrize(("number", "words"), [(960, "960"), (111_600, "111.6 k"), (22_700_000, "22.7 M")])
def test_counts(number: int, words: str) -> None:
    assert show_count(number) == words


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (2048, "2.0 KiB"), (9_646_899, "9.2 MiB"), (3 << 30, "3.0 GiB")]
)
def test_sizes(size: int, words: str) -> None:
    assert show_bytes(size) == words
