"""A package that offers parts of a run by entry points, on the path as `pip install -e .` would leave it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest


def write_package(folder: Path, module: str, code: str, **groups: Mapping[str, str]) -> Path:
    """Write ``<module>.py`` and its metadata into a folder; returns the folder.

    Args:
        folder: Where.
        module: Name of the module; the distribution is called so too.
        code: What is in it.
        groups: By group (``optimizers`` is ``tunebook.optimizers``): names, each with what it is called in the module.
    """
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    points = [
        f"[tunebook.{group}]\n" + "".join(f"{name} = {module}:{attribute}\n" for name, attribute in names.items())
        for group, names in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points))
    return folder


def offer(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, code: str, **groups: Mapping[str, str]) -> None:
    """The same, in this process."""
    monkeypatch.syspath_prepend(str(write_package(folder / module, module, code, **groups)))
