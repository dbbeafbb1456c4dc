"""Which recipes there are, who offers them, and where their files lie; none is imported."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.metadata import EntryPoint
from pathlib import Path

from tunebook.config.entries import distribution_of, entries
from tunebook.errors import UserError
from tunebook.plugins.private import PACKAGE, VARIABLE, folder_notes, private_recipes

GROUP = "tunebook.recipes"
_OURS = "tunebook"


@dataclass(frozen=True)
class Found:
    """A recipe that an installed distribution offers, or a folder of the user's.

    Attributes:
        name: What ``recipe=<name>`` selects.
        distribution: Who offers it: a distribution with its version, or a folder.
        code: ``package.module:Class``; without a class, the only recipe in the module is meant.
        home: Folder of its top package; None where it cannot be found.
        conf: Folder that holds ``recipe/<name>.yaml``; None where it cannot be found.
        rivals: Others that offer a recipe of this name.
    """

    name: str
    distribution: str
    code: str
    home: Path | None
    conf: Path | None
    rivals: tuple[Found, ...] = ()

    @property
    def module(self) -> str:
        """The module that its class is in."""
        return self.code.split("[")[0].partition(":")[0].strip()

    @property
    def attribute(self) -> str:
        """The name of its class; empty where the only recipe in the module is meant."""
        return self.code.split("[")[0].partition(":")[2].strip()

    @property
    def shipped(self) -> bool:
        """Whether it comes with Tunebook, so that our own tests have looked at its page."""
        return self.module.startswith(f"{_OURS}.") and not self.module.startswith(f"{PACKAGE}.")

    @property
    def source(self) -> Path | None:
        """The file of its module, where that can be told without importing anything."""
        if self.home is None:
            return None
        inner = self.home.joinpath(*self.module.removeprefix(top_package(self.module)).strip(".").split("."))
        places = (inner / "__init__.py", inner.parent / f"{inner.name}.py")
        return next((p for p in places if p.is_file()), None)

    @property
    def yaml(self) -> Path | None:
        """The recipe's page, ``conf/recipe/<name>.yaml``."""
        path = self.conf / "recipe" / f"{self.name}.yaml" if self.conf else None
        return path if path and path.is_file() else None

    @property
    def summary(self) -> str:
        """The first comment line of the recipe's page; empty where there is none."""
        try:
            text = self.yaml.read_text(encoding="utf-8", errors="replace") if self.yaml else ""
        except OSError:
            return ""
        for line in text.splitlines():
            said = line.lstrip("# ").strip()
            if line.startswith("#") and said and not said.startswith("@package"):
                return said
        return ""


def top_package(module: str) -> str:
    """The package whose folder can be found without importing anything of a stranger's."""
    parts = module.split(".")
    if module.startswith(f"{PACKAGE}."):
        return ".".join(parts[: PACKAGE.count(".") + 2])
    return ".".join(parts[:2]) if parts[0] == _OURS else parts[0]


def package_folders(package: str) -> list[Path]:
    """Where a package lies, without importing it; empty where it is not installed or no folder."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):
        return []
    return [Path(p) for p in spec.submodule_search_locations or ()] if spec else []


def _installed(entry: EntryPoint) -> Found:
    """The recipe of an entry point; its pages lie in ``conf/`` of its top package, ours in a package of their own."""
    bare = Found(entry.name, distribution_of(entry), entry.value, None, None)
    homes = package_folders(top_package(bare.module))
    confs = package_folders("tunebook.conf") if bare.module.startswith(f"{_OURS}.") else [h / "conf" for h in homes]
    # A namespace package lies in several places, one for each distribution that has a share in it.
    with_page = [c for c in confs if (c / "recipe" / f"{entry.name}.yaml").is_file()]
    conf = next(iter(with_page or [c for c in confs if c.is_dir()]), None)
    home = conf.parent if conf and conf.parent in homes else next(iter(homes), None)
    return replace(bare, home=home, conf=conf)


def _private(folder: Path) -> Found:
    conf, user = folder / "conf", Path(os.path.expanduser("~"))
    # The name of the user's home is nobody's business: what is shown here stands in model cards too.
    shown = Path("~") / folder.relative_to(user) if folder.is_relative_to(user) else folder
    return Found(
        folder.name,
        f"folder {shown}",
        f"{PACKAGE}.{folder.name}.recipe",
        folder,
        conf if conf.is_dir() else None,
    )


def offers() -> list[Found]:
    """All recipes on offer, sorted by name; a name that several offer comes several times."""
    found = [_installed(entry) for entry in entries(GROUP)] + [_private(f) for f in private_recipes()]
    # The same distribution can be listed twice where a checkout shadows its own installed metadata.
    distinct = list({(f.name, f.code, f.home): f for f in found}.values())
    return [
        replace(f, rivals=tuple(r for r in distinct if r.name == f.name and r is not f))
        for f in sorted(distinct, key=lambda f: f.name)
    ]


def find_recipes() -> dict[str, Found]:
    """All recipes on offer, by name, sorted; one that several offer has rivals, and cannot be used."""
    found: dict[str, Found] = {}
    for offer in offers():
        found.setdefault(offer.name, offer)
    return found


def unknown_recipe(name: str, known: Iterable[str]) -> UserError:
    """The error for a recipe that nobody offers."""
    near = get_close_matches(name, list(known), n=1)
    hint = f"did you mean recipe={near[0]}? " if near else ""
    notes = "".join(f"; {note}" for note in folder_notes())
    return UserError(
        f"There is no recipe named '{name}'.",
        code="recipe.not-found",
        where=f"recipe={name}",
        fix=f"{hint}`tunebook list` shows all recipes; one in a folder of yours needs {VARIABLE}=<folder>{notes}",
    )
