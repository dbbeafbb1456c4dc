"""The example plugins of the documentation, as a user has them who names their folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Callable[[str], Path]:
    """Make an example's folder known by its name; returns the folder."""

    def known(name: str) -> Path:
        monkeypatch.setenv("TUNEBOOK_RECIPES", str(EXAMPLES / name))
        return EXAMPLES / name

    return known


def lines_of_python(folder: Path) -> int:
    """Lines of all its code."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in folder.rglob("*.py"))
