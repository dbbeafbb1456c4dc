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
