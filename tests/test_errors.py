"""Every mistake of a user has a code, and docs/errors.md says what each means."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunebook.errors import UserError

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/errors.md"
CODE = re.compile(r"[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*")


class Stopped(UserError):
    """One that takes arguments of its own and has an exit code of its own, as an interrupted run's."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}", code="run.stopped", where="run")
        self.exit_code = 143


def errors_made(tree: ast.Module) -> Iterator[ast.Call]:
    """Each call that makes a UserError, or that a subclass makes itself one by."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "UserError" for base in node.bases):
            inits = (call for call in ast.walk(node) if isinstance(call, ast.Call))
            yield from (call for call in inits if ast.unparse(call.func) == "super().__init__")
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "UserError":
            yield node


def codes_in(*folders: str) -> dict[str, set[str]]:
    """Code -> the places that raise it."""
    found: dict[str, set[str]] = {}
    for file in (file for folder in folders for file in (ROOT / folder).rglob("*.py")):
        for call in errors_made(ast.parse(file.read_text(encoding="utf-8"))):
            place = f"{file.relative_to(ROOT)}:{call.lineno}"
            if [keyword.arg for keyword in call.keywords] == [None]:  # the parts of an error of another process
                continue
            code = next((k.value for k in call.keywords if k.arg == "code"), None)
            assert isinstance(code, ast.Constant), f"{place}: an error needs a code that is written out"
            assert CODE.fullmatch(str(code.value)), f"{place}: {code.value} is not <room>.<mistake>"
            found.setdefault(str(code.value), set()).add(place)
    return found


def listed() -> dict[str, list[tuple[str, str, str]]]:
    """Section -> its rows: code, meaning, what to do. Of a family that is not there, its section is left out."""
    sections: dict[str, list[tuple[str, str, str]]] = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title = section.splitlines()[0]
        family = re.search(r"\(`(\w+)`\)", title)
        if family is None or (ROOT / "core/families" / family.group(1)).is_dir():
            sections[title] = re.findall(r"^\| `([^`]+)` \| (.+) \| (.+) \|$", section, re.M)
    return sections


def test_every_error_has_a_code_and_every_code_is_on_the_page() -> None:
    made = codes_in("core", "recipes", "pretraining")
    rows = [row for section in listed().values() for row in section]
    codes = [code for code, _, _ in rows]
    assert len(made) > 100
    assert set(codes) == set(made), f"docs/errors.md: {sorted(set(codes) ^ set(made))}"
    assert len(set(codes)) == len(codes), "a code stands on the page twice"


def test_the_page_is_in_order() -> None:
    for title, rows in listed().items():
        assert rows == sorted(rows), f"docs/errors.md, {title}: sort by code"


def test_an_error_is_one_message() -> None:
    error = UserError("there is no x", code="data.missing-x", where="data.x", fix="data.x=1")
    assert error.message() == "There is no x.\n  where: data.x\n  fix:   data.x=1"
    assert UserError("data.x is empty!", code="data.empty-x").message() == "data.x is empty!"


def test_an_error_keeps_its_kind_where_it_is_copied_and_carried() -> None:
    stopped = Stopped(7)
    carried = pickle.loads(pickle.dumps(stopped))
    assert isinstance(carried, Stopped) and vars(carried) == vars(stopped)
    moved = stopped.replace(where="elsewhere")
    assert isinstance(moved, Stopped) and (moved.exit_code, moved.code) == (143, "run.stopped")
    assert (moved.where, stopped.where) == ("elsewhere", "run")
    assert vars(UserError(**carried.parts())) == stopped.parts()


@pytest.mark.parametrize(
    ("what", "printed"),
    [
        ("there is no label", "There is no label."),
        ("validation rows have a label", "Validation rows have a label."),
        ("labels that differ by case", "Labels that differ by case."),
        ("reviews has no column 'text'", "reviews has no column 'text'."),
        ("train holds several splits: a, b", "train holds several splits: a, b."),
        ("a is no folder", "A is no folder."),
        ("rows.csv is empty", "rows.csv is empty."),
        ("data.train is set!", "data.train is set!"),
    ],
)
def test_a_name_at_the_start_of_a_message_stays_as_it_is_written(what: str, printed: str) -> None:
    assert UserError(what, code="x.y").message() == printed
