"""The recipe keeps the contract."""

from __future__ import annotations

from tunebook.testing import check_recipe


def test_local_news_keeps_the_contract() -> None:
    """Every check of `tunebook verify`."""
    check_recipe("local_news")
