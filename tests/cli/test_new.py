"""`tunebook new` writes a recipe that passes as written, or nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import Tunebook
from tunebook.errors import UserError
from tunebook.new_recipe.samples import FILES, SPLITS
from tunebook.new_recipe.write import FAMILIES, plan_recipe, write_recipe
from tunebook.testing import Workshop, check_recipe

ROOT = Path(__file__).parents[2]
HEADERS = ("text,label", "path,label", "text,hours")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_package_is_short_and_clean(family: str, tmp_path: Path):
    files = write_recipe(plan_recipe("ticket_routing", family, private=False, into=tmp_path))
    home = tmp_path / "ticket-routing"
    python = [home / name for name in files if name.endswith(".py")]
    assert sorted(path.name for path in python) == ["__init__.py", "test_ticket_routing.py"]
    assert sum(len(path.read_text().splitlines()) for path in python) <= 40
    assert len((home / "ticket_routing/conf/recipe/ticket_routing.yaml").read_text().splitlines()) <= 15
    assert sum((home / name).stat().st_size for name in files) < 60_000
    ruff, strict = [sys.executable, "-m", "ruff"], ["--select", "B,D,E,F,I,RUF,SIM,UP", "--ignore", "D203,D213,D107"]
    for command in (["check", *strict], ["format", "--check"]):  # with the settings in its pyproject.toml
        done = subprocess.run([*ruff, *command, str(home)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_folder_is_a_private_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, workshop: Workshop
):
    write_recipe(plan_recipe("help_desk", "text_generation", private=True, into=tmp_path))
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(tmp_path))
    assert all(outcome.good for outcome in check_recipe("help_desk", workshop=workshop))


@pytest.mark.parametrize("family", FAMILIES)
def test_samples_are_the_same_every_time_and_on_one_side_of_a_split(family: str):
    files = FILES[family]()
    assert files == FILES[family]()
    tables = [files[name] for name in files if name.startswith(tuple(SPLITS))]
    rows = [row for table in tables for row in table.decode().splitlines() if row not in HEADERS]
    assert len(rows) == len(set(rows)) >= 60


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (["ticket-routing"], ["'ticket-routing' is not a valid recipe name", "such as ticket_routing"]),
        (["TicketRouting"], ["is not a valid recipe name", "such as ticketrouting"]),
        (["class"], ["is not a valid recipe name", "such as my_recipe"]),
        (["3d"], ["is not a valid recipe name", "such as d"]),
        (["../up"], ["is not a valid recipe name"]),
        (["größe"], ["is not a valid recipe name"]),
        (["review_sentiment"], ["a recipe named 'review_sentiment' already", "tunebook 0"]),
        (["json"], ["a Python module named 'json' already", "json_recipe", "--folder"]),
        (["tunebook"], ["a Python module named 'tunebook' already"]),
        (["routing", "--into", "nowhere"], ["The folder to write into is missing", "where: --into "]),
        (["x" * 300], ["The name has 300 letters", "at most 64"]),
        (["taken"], ["There is such a folder already"]),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(arguments: list[str], phrases: list[str], tmp_path: Path):
    (tmp_path / "taken").mkdir()
    into = tmp_path / arguments[2] if "--into" in arguments else tmp_path
    with pytest.raises(UserError) as caught:
        plan_recipe(arguments[0], "text_classification", private=False, into=into)
    for phrase in phrases:
        assert phrase in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["taken"]


def test_the_wheel_holds_sub_packages_and_files_of_every_kind(tmp_path: Path):
    """The wheel is built from the source archive, as `python3 -m build` does it."""
    files = write_recipe(plan_recipe("ticket_routing", "text_classification", private=False, into=tmp_path))
    home = tmp_path / "ticket-routing"
    added = [
        *("ticket_routing/words/__init__.py", "ticket_routing/words/german/__init__.py"),
        *("ticket_routing/words/german/stems.json", "ticket_routing/data/teams.txt", "ticket_routing/data/model.onnx"),
    ]
    for name in (*added, "ticket_routing/__pycache__/__init__.pyc", "ticket_routing/words/__pycache__/old.pyc"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("")
    build = (
        "import sys, tarfile; from setuptools import build_meta\n"
        "made = build_meta.build_sdist('dist'); tarfile.open(f'dist/{made}').extractall('again', filter='data')\n"
    )
    again = "from setuptools import build_meta; build_meta.build_wheel('.')"
    for code, where in ((build, home), (again, home / "again" / "ticket_routing-0.1.0")):
        done = subprocess.run([sys.executable, "-c", code], cwd=where, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    (wheel,) = (home / "again" / "ticket_routing-0.1.0").glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert inside == {*added, *(name for name in files if name.startswith("ticket_routing/"))}


def test_at_the_terminal(tunebook: Tunebook, tmp_path: Path):
    done = tunebook("new", "ticket_routing", "--family", "text_clasification")
    assert done.returncode == 2 and "did you mean --family text_classification?" in done.stderr
    assert list((tmp_path / "work").iterdir()) == []
    done = tunebook("new", "ticket_routing", "--family", "text_classification")
    assert done.returncode == 0, done.stderr
    for command in ("cd ticket-routing", "pip install -e .", "tunebook verify ticket_routing"):
        assert f"  {command}\n" in done.stdout
    done = tunebook("new", "ticket_routing", "--family", "text_classification")
    assert done.returncode == 2 and "nothing is written over" in done.stderr
    shutil.rmtree(tmp_path / "work" / "ticket-routing")
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(tunebook: Tunebook, tmp_path: Path):
    (tmp_path / "work").chmod(0o500)
    done = tunebook("new", "ticket_routing", "--family", "text_classification")
    (tmp_path / "work").chmod(0o700)
    assert done.returncode == 2 and "cannot be written" in done.stderr
