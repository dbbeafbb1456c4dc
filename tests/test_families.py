"""A family is a plugin: it can be taken away, and nothing else notices."""

from __future__ import annotations

import os
import re
import shutil
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.forked import run_forked
from tunebook.recipe import Recipe

ROOT = Path(__file__).parent.parent
FAMILIES = sorted(p.parent.name for p in (ROOT / "core/families").glob("*/family.py"))
BUILT_ON = {"text_generation": ["brief_to_text"]}
"""Families that build on another, and go with it."""

IMPORT_ALL = """
import importlib, pkgutil, tunebook, warnings
warnings.simplefilter("ignore")
names = [m.name for m in pkgutil.walk_packages(tunebook.__path__, "tunebook.") if "zygote" not in m.name]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""


def pages() -> dict[str, str]:
    """The family that each recipe's page takes in."""
    found = {}
    for page in sorted((ROOT / "conf/recipe").glob("*.yaml")):
        family = re.search(r"/family/(\w+)@recipe", page.read_text(encoding="utf-8"))
        assert family, f"{page.name} takes in no family"
        found[page.stem] = family[1]
    return found


def without(gone: list[str], site: Path) -> dict[str, str]:
    """Lay the package out as a wheel has it, without some families; returns the environment that finds it."""
    package = site / "tunebook"
    left_out = shutil.ignore_patterns("__pycache__")
    for source, target in (("core", package), ("recipes", package / "recipes"), ("conf", package / "conf")):
        shutil.copytree(ROOT / source, target, ignore=left_out)
    recipes = [name for name, family in pages().items() if family in gone]
    for family in gone:
        shutil.rmtree(package / "families" / family)
        (package / "conf/family" / f"{family}.yaml").unlink()
    for name in recipes:
        shutil.rmtree(package / "recipes" / name)
        (package / "conf/recipe" / f"{name}.yaml").unlink()
    dist = site / "tunebook-0.1.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: tunebook\nVersion: 0.1.0\n", encoding="utf-8")
    kept = [e for e in distribution("tunebook").entry_points if e.name not in gone and e.name not in recipes]
    lines = [line for entry in kept for line in (f"[{entry.group}]", f"{entry.name} = {entry.value}")]
    (dist / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(site)}


def test_every_family_stands_in_one_folder_and_one_entry_point() -> None:
    declared = [e.name for e in distribution("tunebook").entry_points if e.group == "tunebook.families"]
    assert sorted(declared) == FAMILIES
    assert sorted(p.stem for p in (ROOT / "conf/family").glob("*.yaml")) == FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_can_be_taken_away(family: str, tmp_path: Path) -> None:
    gone = [family, *BUILT_ON.get(family, [])]
    environment = without(gone, tmp_path)
    left = [name for name, of in pages().items() if of not in gone]

    def run(*command: str, code: str = "") -> str:
        done = run_forked(command, environment, tmp_path, 500, code=code)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    where = run(code="import tunebook; print(tunebook.__file__)")
    assert where.startswith(str(tmp_path)), "the copy is tried, not the checkout"
    assert int(run(code=IMPORT_ALL)) > 200
    listed = run("list")
    assert [line.split()[0] for line in listed.splitlines()] == left and "!" not in listed
    assert "ready to train" in run("check", f"recipe={left[0]}")


def test_an_author_meets_twelve_names_at_most() -> None:
    members = {name for name in {*dir(Recipe), *Recipe.__annotations__, "options"} if not name.startswith("_")}
    assert len(members) <= 12, sorted(members)
