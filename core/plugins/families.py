"""Which families there are, and which of them a recipe's page names; only that one is imported."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

from tunebook.config.entries import distribution_name, distribution_of, entries
from tunebook.errors import UserError
from tunebook.families.family import Family
from tunebook.plugins.class_source import FAMILIES, FAMILY_ON_PAGE, base_names, parsed
from tunebook.plugins.find import Found, package_folders, top_package

GROUP = "tunebook.families"


def find_families() -> dict[str, tuple[EntryPoint, ...]]:
    """All families on offer, by name, sorted; one that several packages offer has several entry points."""
    found: dict[str, dict[tuple[str, str], EntryPoint]] = {}
    for entry in sorted(entries(GROUP), key=lambda e: e.name):
        # The same distribution can be listed twice where a checkout shadows its own installed metadata.
        found.setdefault(entry.name, {})[entry.value, distribution_name(entry)] = entry
    return {name: tuple(offers.values()) for name, offers in found.items()}


def load_family(name: str) -> Family:
    """Import a family.

    Raises:
        UserError: Nobody offers it, several do, or it cannot be imported or is none; the message names the package.
    """
    known = find_families()
    offers = known.get(name, ())
    if not offers:
        raise UserError(
            f"There is no family named '{name}'.",
            code="family.unknown",
            where=f"/family/{name}@recipe",
            fix=f"install the package that has it, or take one of: {', '.join(known)}",
        )
    if len(offers) > 1:
        both = " and ".join(sorted(distribution_of(offer) for offer in offers))
        raise UserError(
            f"The family '{name}' is offered by {both}.",
            code="family.ambiguous",
            where=GROUP,
            fix="uninstall one of them",
        )
    entry = offers[0]
    where = f"{distribution_of(entry)}, {entry.value}"
    fix = f"fix or reinstall {distribution_of(entry).split()[0]}"
    try:
        family = entry.load()
    except Exception as error:  # a stranger's code may raise anything
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(
            f"The family '{name}' cannot be imported: {said}", code="family.broken", where=where, fix=fix
        ) from error
    if not isinstance(family, Family) or family.name != name:
        raise UserError(
            f"The entry point of the family '{name}' is not a Family of that name.",
            code="family.broken",
            where=where,
            fix=fix,
        )
    return family


def family_conf(name: str) -> Path | None:
    """The folder with the family's page, ``family/<name>.yaml``, found without importing it; None where none is."""
    for entry in find_families().get(name, ()):
        top = top_package(entry.value.partition(":")[0])
        homes = package_folders("tunebook.conf") if top.startswith("tunebook.") else package_folders(top)
        for folder in homes if top.startswith("tunebook.") else [home / "conf" for home in homes]:
            if (folder / "family" / f"{name}.yaml").is_file():
                return folder
    return None


def family_name(found: Found) -> str | None:
    """The family that a recipe's page takes in, or else that its class derives from; None where neither says."""
    try:
        named = FAMILY_ON_PAGE.search(found.yaml.read_text(encoding="utf-8")) if found.yaml else None
        if named:
            return named.group(1)
        bases = base_names(parsed(found.source), found.attribute) if found.source else ()
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None  # what is wrong with it is reported where the recipe is checked
    return next((FAMILIES[base] for base in bases if base in FAMILIES), None)


def families_with(key: str, evaluate: bool = False) -> Sequence[str]:
    """The families whose recipes have a key of the config, such as ``data.pack``.

    Args:
        key: The dotted key.
        evaluate: Whether it is one of `evaluate`, whose nodes are others.
    """
    node, _, name = key.partition(".")
    attribute = f"new_{node}" if evaluate else node
    if attribute not in Family.__dataclass_fields__:  # a node that all families share: none need be imported
        return []
    return [
        family.name
        for family in all_families().values()
        if name.partition(".")[0] in getattr(getattr(family, attribute), "__dataclass_fields__", ())
    ]


def all_families() -> dict[str, Family]:
    """Every family that can be imported, by name; what is wrong with another is reported when it is used."""
    made = {}
    for name in find_families():
        try:
            made[name] = load_family(name)
        except UserError:
            continue
    return made
