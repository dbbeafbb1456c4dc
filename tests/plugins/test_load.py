"""A recipe that cannot be made, or that prints where it should not: one message with its line."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tests.conftest import Tunebook, write_reviews
from tests.plugins.conftest import CLASS, Written, line_of, options
from tunebook.errors import UserError
from tunebook.plugins import load_recipe_class
from tunebook.plugins.contract import BrokenContract
from tunebook.plugins.load import new_recipe


@pytest.mark.parametrize(
    "own",
    [
        "    def __init__(self, options, words):\n        super().__init__(options)\n",
        "    def __init__(self):\n        pass\n",
        "    def __init__(self, options, *, words):\n        super().__init__(options)\n",
    ],
)
def test_an_init_of_another_signature_is_refused_with_its_line(own: str, written: Written):
    file = written(own)
    with pytest.raises(BrokenContract, match=r"is called as __init__\(self, options\)") as caught:
        load_recipe_class("routing")
    assert line_of(file, "def __init__") in str(caught.value.where)


def test_the_init_that_a_dataclass_gets_is_refused_where_the_class_is(written: Written):
    file = written(code="@dataclass\n" + CLASS + "    words: int\n    title: str\n")
    with pytest.raises(BrokenContract, match=r"it has __init__\(self, words, title\)") as caught:
        load_recipe_class("routing")
    assert str(caught.value.where).endswith(line_of(file, "@dataclass\n"))


def test_an_init_that_loses_the_options_is_refused_and_one_that_adds_to_them_is_not(written: Written):
    file = written("    def __init__(self, options):\n        self.words = 2\n")
    with pytest.raises(BrokenContract, match="does not keep the options") as caught:
        new_recipe(load_recipe_class("routing"), options())
    assert caught.value.where == line_of(file, "def __init__")
    file.write_text(
        file.read_text().replace("        self.words", "        super().__init__(options)\n        self.words")
    )
    given = options()
    importlib.reload(sys.modules["tunebook.plugins.private.routing.recipe"])
    made = new_recipe(load_recipe_class("routing"), given)
    assert made.options is given and made.words == 2  # type: ignore[attr-defined]


def test_two_recipes_in_one_file_are_both_named_with_their_lines(written: Written):
    file = written(code=CLASS + "\n" + CLASS.replace("Routing", "Sorting"))
    with pytest.raises(UserError) as caught:
        load_recipe_class("routing")
    first, second = (line_of(file, f"class {name}").rsplit(":", 1)[1] for name in ("Routing", "Sorting"))
    assert f"defines Routing (line {first}) and Sorting (line {second})" in caught.value.what
    assert str(caught.value.where).endswith(f"{file}:{second}")


def test_what_a_recipe_prints_when_it_is_imported_stays_out_of_the_answers(written: Written, tunebook: Tunebook):
    file = written('    print("loading words")\n')
    done = tunebook("check", "recipe=routing", "data.train=rows.csv")
    assert done.returncode == 2 and "loading words" not in done.stdout
    said = done.stderr.splitlines()
    assert said[0] == "loading words"
    assert said[1].startswith("note: the recipe 'routing' prints when it is imported (folder ")
    assert f", {line_of(file, 'print(')}); " in said[1]


def test_a_user_error_without_names_is_told_with_its_line_and_how_to_write_it(
    written: Written, tunebook: Tunebook, tmp_path: Path
):
    file = written('    def check_labels(self, labels, data):\n        raise UserError("no", "data.label", "yes")\n')
    rows = write_reviews(tmp_path / "rows.csv", 40)
    done = tunebook("check", "recipe=routing", f"data.train={rows}")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "failed in its `check_labels`" in done.stderr and line_of(file, "raise UserError") in done.stderr
    assert "UserError('what is wrong', code='routing.<mistake>', where=" in done.stderr
