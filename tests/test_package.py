"""The wheel holds what the checkout holds, under one import name, and works from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RENAMED = {"core": "tunebook", "recipes": "tunebook/recipes", "conf": "tunebook/conf"}
TOP = ["pyproject.toml", "README.md", "LICENSE"]


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-deps", "--no-index"]
    subprocess.run(command, check=True, timeout=300)


def sources() -> Iterator[tuple[Path, str]]:
    """Every file of the package folders, with its name in the wheel."""
    for folder, name in RENAMED.items():
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path, f"{name}/{path.relative_to(ROOT / folder).as_posix()}"


def copy_checkout(copy: Path) -> Path:
    """Copy what a wheel is built from: build/ in the checkout may hold files that were deleted long ago."""
    for folder in RENAMED:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in TOP:
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copy_checkout(tmp_path_factory.mktemp("checkout"))
    out = tmp_path_factory.mktemp("dist")
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(out), str(copy))
    (made,) = out.glob("tunebook-*.whl")
    return made


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_file_of_the_package_is_in_the_wheel(names: set[str]) -> None:
    missing = [str(path.relative_to(ROOT)) for path, name in sources() if name not in names]
    assert not missing, f"not matched by package-data in pyproject.toml: {missing}"


@pytest.mark.parametrize(
    "name",
    [
        "tunebook/py.typed",
        "tunebook/conf/recipe/review_sentiment.yaml",
        "tunebook/conf/family/image_classification.yaml",
        "tunebook/new_recipe/templates/pyproject.toml.jinja",
        "tunebook/testing/zygote.py",
        "tunebook/recipes/review_sentiment/samples/train.csv",
        "tunebook/report/report.html.jinja",
        "tunebook/models/starters/starter_text/tokenizer.json",
    ],
)
def test_what_is_no_code_is_in_the_wheel_too(names: set[str], name: str) -> None:
    assert name in names


def test_the_wheel_has_one_top_level_name(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"tunebook"}
    assert names - {name for _, name in sources()} == {name for name in names if ".dist-info/" in name}


def test_the_wheel_carries_the_licence(names: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_installed_wheel_lists_and_checks(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip("install", "--target", str(site), str(wheel))
    environment = {**os.environ, "PYTHONPATH": str(site), "TUNEBOOK_CACHE": str(tmp_path / "cache")}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import tunebook, tunebook.conf; print(tunebook.__file__, tunebook.conf.__file__)"
    for path in run("-c", where).split():
        assert path.startswith(str(site)), "the checkout was imported, not the wheel"
    assert "review_sentiment" in run("-m", "tunebook", "list")
    assert "ready to train" in run("-m", "tunebook", "check", "recipe=review_sentiment")
