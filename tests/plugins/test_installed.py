"""Two packages made by `tunebook new`, in an environment of their own: as wheels beside our wheel, and editable."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.test_package import copy_checkout

NAMES = {"ticket_routing": "text_classification", "leaf_spots": "image_classification"}
SMALL = ("trainer=cpu", "trainer.max_steps=2", "evaluation.resamples=20", "logger=csv")


@dataclass(frozen=True)
class Environment:
    """A fresh environment: its own packages first, and the heavy libraries of the one that runs the tests."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Environment:
        venv.create(folder, with_pip=False)
        (site,) = folder.glob("lib/python*/site-packages")
        torch = find_spec("torch")
        assert torch is not None and torch.origin is not None
        # A folder named in a .pth file gives its modules; its own .pth files, such as that of an editable Tunebook,
        # are not read.
        (site / "libraries.pth").write_text(f"{Path(torch.origin).parent.parent}\n")
        return cls(folder)

    def python(self, *arguments: str, where: Path, code: int = 0) -> str:
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "TUNEBOOK_RECIPES")}
        environment |= {"TUNEBOOK_CACHE": str(self.folder / "cache"), "OMP_NUM_THREADS": "1"}
        command = [str(self.folder / "bin" / "python"), *arguments]
        done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, timeout=400)
        assert done.returncode == code, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def pip(self, verb: str, *arguments: str, where: Path) -> None:
        plain = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
        self.python("-m", "pip", verb, *plain, *arguments, where=where)

    def tunebook(self, *arguments: str, where: Path, code: int = 0) -> str:
        return self.python("-m", "tunebook", *arguments, where=where, code=code)


Install = Callable[[Environment, list[Path], Path], None]


def as_wheel(environment: Environment, projects: list[Path], work: Path) -> None:
    dist = work / "dist" / projects[0].name
    environment.pip("wheel", "--wheel-dir", str(dist), *map(str, projects), where=work)
    made = sorted(map(str, dist.glob("*.whl")))
    assert len(made) == len(projects), made
    environment.pip("install", "--no-compile", *made, where=work)


def editable(environment: Environment, projects: list[Path], work: Path) -> None:
    each = [argument for project in projects for argument in ("--editable", str(project))]
    environment.pip("install", "--no-compile", *each, where=work)


@pytest.mark.skipif(sys.platform == "win32", reason="environments are laid out otherwise there")
@pytest.mark.parametrize(
    ("install", "trained", "verified"),
    [(as_wheel, "ticket_routing", "leaf_spots"), (editable, "leaf_spots", "ticket_routing")],
)
def test_two_new_packages_work_beside_ours(install: Install, trained: str, verified: str, tmp_path: Path) -> None:
    environment = Environment.made(tmp_path / "environment")
    (tmp_path / "tunebook").mkdir()
    checkout, work = copy_checkout(tmp_path / "tunebook"), tmp_path / "work"
    work.mkdir()
    install(environment, [checkout], work)
    ours = environment.python("-c", "import tunebook; print(tunebook.__file__)", where=work)
    assert ours.startswith(str(tmp_path)), "the running environment's Tunebook was imported"
    for name, family in NAMES.items():
        environment.tunebook("new", name, "--family", family, where=work)
    install(environment, [work / name.replace("_", "-") for name in NAMES], work)

    listed = environment.tunebook("list", where=work)
    for name in NAMES:
        assert f"({name.replace('_', '-')} 0.1.0)" in listed
        assert f"options of {name}" in environment.tunebook("show", name, where=work)
    assert "!" not in listed
    environment.tunebook("train", f"recipe={trained}", *SMALL, "run_dir=run", where=work)
    samples = work / trained.replace("_", "-") / trained / "samples"
    environment.tunebook("predict", "run", str(samples / "test.csv"), "-o", "answers.csv", where=work)
    assert len((work / "answers.csv").read_text().splitlines()) == 19
    if install is as_wheel:
        assert "16 of 16 checks passed" in environment.tunebook("verify", verified, where=work)
    else:  # its own test, which runs the same checks
        project = work / verified.replace("_", "-")
        assert "1 passed" in environment.python("-m", "pytest", "-p", "no:cacheprovider", where=project)
