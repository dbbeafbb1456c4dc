"""Entry points are those that Python finds, of the first distribution of a name, and new ones are seen."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tunebook.config.entries import entries


def offer(folder: Path, package: str, name: str) -> None:
    info = folder / f"{package}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[some.group]\n{name} = {package}:{name}\n")


def test_they_are_those_of_the_standard_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("one", "two"):
        monkeypatch.syspath_prepend(tmp_path / folder)
    offer(tmp_path / "two", "Same_Name", "first")
    offer(tmp_path / "one", "same.name", "second")  # which the other shadows
    offer(tmp_path / "one", "another", "third")
    assert sys.path[:2] == [str(tmp_path / "two"), str(tmp_path / "one")]
    assert {each.name for each in entries("some.group")} == {"first", "third"}
    for group in ("some.group", "tunebook.recipes", "tunebook.families", "console_scripts"):
        assert sorted(entries(group)) == sorted(entry_points(group=group))


def test_one_that_is_installed_meanwhile_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert not entries("some.group")
    offer(tmp_path, "late", "new")
    assert [each.name for each in entries("some.group")] == ["new"]
