"""A mistake in a page of one's own names the page and the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Tunebook

PAGES = {
    "a key that is not there": ("experiment/own", "optim:\n  lrr: 0.1", "optim.lrr", 3),
    "a node that is not there": ("experiment/own", "optm:\n  lr: 0.1", "optm", 2),
    "a value of another type": ("experiment/own", "optim:\n  lr: high", "optim.lr", 3),
    "a number out of range": ("experiment/own", "seed: 1\noptim:\n  lr: 100", "optim.lr", 4),
    "an option that the recipe lacks": ("experiment/own", "recipe:\n  hed: softmax", "recipe.hed", 3),
    "a key of another family": ("experiment/own", "data:\n  pack: true", "data.pack", 3),
    "an option of a group": ("model/own", "# Ours.\nname: x\nnames: y", "model.names", 3),
}


def written(folder: Path, page: str, text: str) -> Path:
    file = folder / f"{page}.yaml"
    file.parent.mkdir(parents=True)
    head = "# @package _global_\n" if page.startswith("experiment/") else ""
    file.write_text(f"{head}{text}\n")
    return file


def place(tunebook: Tunebook, *arguments: str) -> str:
    done = tunebook("check", "recipe=review_sentiment", *arguments)
    assert done.returncode == 2, done.stderr
    return done.stderr.split("where: ")[1].split("\n")[0]


@pytest.mark.parametrize("mistake", PAGES)
def test_the_page_and_the_line_of_a_mistake_are_named(mistake: str, tunebook: Tunebook, tmp_path: Path) -> None:
    page, text, key, line = PAGES[mistake]
    file = written(tmp_path, page, text)
    chosen = "+experiment=own" if page.startswith("experiment/") else "model=own"
    assert place(tunebook, "--config-dir", str(tmp_path), chosen) == f"{key} in {file}:{line}"


def test_a_node_that_is_set_to_a_value_names_its_page(tunebook: Tunebook, tmp_path: Path) -> None:
    file = written(tmp_path, "experiment/own", "data: 3")
    assert place(tunebook, f"--config-dir={tmp_path}", "+experiment=own") == str(file)


def test_a_value_that_was_typed_is_not_the_pages(tunebook: Tunebook, tmp_path: Path) -> None:
    written(tmp_path, "experiment/own", "optim:\n  lr: 100")
    assert place(tunebook, "--config-dir", str(tmp_path), "+experiment=own", "optim.lr=100") == "optim.lr"
