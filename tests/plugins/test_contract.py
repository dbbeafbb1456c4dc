"""Options of types that a config can hold are taken, and all others refused where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Tunebook, write_reviews
from tests.plugins.conftest import Written, line_of
from tunebook.plugins import load_recipe_class
from tunebook.plugins.contract import BrokenContract

OPTIONS = '''@dataclass
class RoutingConfig(TextClassificationConfig):
    """Options of routing."""

    mode: {kind} = "fast"
    """How it goes."""


class Routing(TextClassification[RoutingConfig]):
    """Which team a ticket goes to."""

    Config = RoutingConfig
'''


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("Sequence[str]", "the option mode of its RoutingConfig: Unexpected type annotation: Sequence[str]"),
        ("Speed", "the types of its RoutingConfig cannot be read: name 'Speed' is not defined"),
    ],
)
def test_an_option_that_no_config_can_hold_is_refused_with_its_line(kind: str, what: str, written: Written):
    file = written(code=OPTIONS.replace("{kind}", repr(kind)))
    with pytest.raises(BrokenContract) as caught:
        load_recipe_class("routing")
    assert what in caught.value.what
    place = "    mode: " if "option" in what.split(" of ")[0] else "@dataclass"
    assert str(caught.value.where).endswith(line_of(file, place))


def test_a_literal_is_shown_checked_and_completed_like_an_enum(written: Written, tunebook: Tunebook, tmp_path: Path):
    written(code=OPTIONS.replace("{kind}", 'Literal["fast", "careful"]'), options="  mode: fast\n")
    rows = write_reviews(tmp_path / "rows.csv", 40)
    shown = tunebook("show", "routing")
    assert shown.returncode == 0, shown.stderr
    line = next(line for line in shown.stdout.splitlines() if line.startswith("recipe.mode"))
    assert line.split()[1:3] == ["fast|careful", "fast"]
    done = tunebook("check", "recipe=routing", f"data.train={rows}", "recipe.mode=carefull")
    assert done.returncode == 2 and "did you mean careful?" in done.stderr
    assert "Invalid value 'carefull', expected one of [fast, careful]" in done.stderr
    done = tunebook("check", "recipe=routing", f"data.train={rows}", "recipe.mode=careful")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("own", "meant"),
    [
        ("    def metric(self, labels): ...", "metrics"),
        ("    def heads(self, labels): ...", "head"),
        ("    def invlaid(self, row): ...", "invalid"),
        ("    @staticmethod\n    def colums(data): ...", "columns"),
        ("    watch_mod = 'min'", "watch_mode"),
    ],
)
def test_a_misspelt_part_of_the_contract_is_refused_with_its_line(own: str, meant: str, written: Written):
    file = written(inside=own + "\n")
    with pytest.raises(BrokenContract, match=f"and no `{meant}`") as caught:
        load_recipe_class("routing")
    assert str(caught.value.where).endswith(line_of(file, own)) and f"write {meant}," in str(caught.value.fix)


@pytest.mark.parametrize(
    "own",
    [
        "    def wording(self, label): ...\n    def invalid_words(self, text): ...\n",
        "    def _metric(self, labels): ...\n",
        "    def column(self, data): ...\n    def columns(self, data): return [self.column(data)]\n",
    ],
    ids=["another name", "a private name", "a helper beside the part itself"],
)
def test_a_helper_of_ones_own_is_taken(own: str, written: Written):
    written(inside=own)
    assert load_recipe_class("routing").__name__ == "Routing"


def test_a_part_of_a_base_of_ones_own_counts_like_one_of_the_familys(written: Written):
    file = written(code="from .base import Base\n\n\nclass Routing(Base):\n    def tones(self, text): ...\n")
    base = "class Base(TextClassification):\n    def tone(self, text): ...\n"
    (file.parent / "base.py").write_text(f"from tunebook import TextClassification\n\n\n{base}")
    with pytest.raises(BrokenContract, match="and no `tone`"):
        load_recipe_class("routing")
