"""A private recipe whose class is written by the test."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HEAD = """from dataclasses import dataclass
from enum import Enum
from typing import Literal, Sequence

from tunebook import TextClassification, TextClassificationConfig, UserError
from tunebook.data.columns import Column


"""
CLASS = '''class Routing(TextClassification[TextClassificationConfig]):
    """Which team a ticket goes to."""

    Config = TextClassificationConfig

'''
PAGE = """# @package _global_
# Which team a ticket goes to.
defaults:
  - /family/text_classification@recipe
  - _self_
data:
  label: label
recipe:
  name: routing
"""

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """Write the recipe `routing`: what its class holds, or its whole code; returns its recipe.py."""

    def write(inside: str = "", code: str | None = None, options: str = "") -> Path:
        folder = tmp_path / "recipes" / "routing"
        (folder / "conf" / "recipe").mkdir(parents=True)
        (folder / "conf" / "recipe" / "routing.yaml").write_text(PAGE + options)
        (folder / "recipe.py").write_text(HEAD + (CLASS + inside if code is None else code))
        for module in [m for m in sys.modules if m.startswith("tunebook.plugins.private.routing")]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setenv("TUNEBOOK_RECIPES", str(folder.parent))
        return folder / "recipe.py"

    return write


def line_of(file: Path, text: str) -> str:
    """Where a text stands first, as messages say it."""
    return f"{file}:{file.read_text().split(text)[0].count(chr(10)) + 1}"


def options(**more: Any) -> Any:
    """Options of the recipe as a family has them."""
    from tunebook import TextClassificationConfig

    return TextClassificationConfig(name="routing", **more)
