from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from tunebook import __version__
from tunebook.bundle.card import render_card


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "card.md.jinja"
    path.write_text("{{ name }} {{ hub_id }} {{ version }}\n{% for line in lines %}\n- {{ line }}\n{% endfor %}\n")
    return path


def test_a_card_names_the_base_model_and_says_what_it_was_given(template: Path) -> None:
    assert render_card(template, "owner/model", lines=["a < b", "c"]) == (
        f"owner/model owner/model {__version__}\n- a < b\n- c\n"
    )
    assert render_card(template, "resnet18", lines=[]) == f"resnet18 None {__version__}\n"


def test_a_folder_of_this_machine_is_not_named(template: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert render_card(template, str(tmp_path / "mine"), lines=[]) == f"mine None {__version__}\n"


def test_a_card_with_a_gap_is_refused(template: Path) -> None:
    with pytest.raises(UndefinedError, match="lines"):
        render_card(template, "resnet18")
