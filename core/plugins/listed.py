"""The options that a recipe's page lists, read without importing the recipe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tunebook.plugins.find import Found, package_folders


def listed_options(found: Found) -> Iterator[str]:
    """The recipe's options on its page, and those of its family that the page takes in among its defaults."""
    from omegaconf import OmegaConf

    if found.yaml is None:
        return
    page: Any = OmegaConf.load(found.yaml)
    yield from (str(key) for key in OmegaConf.select(page, "recipe") or {})
    for entry in page.get("defaults") or []:
        family = re.fullmatch(r"/family/(\w+)@recipe", entry) if isinstance(entry, str) else None
        for folder in package_folders("tunebook.conf") if family else []:
            file = folder / "family" / f"{family.group(1)}.yaml" if family else folder
            yield from (str(key) for key in OmegaConf.load(file)) if file.is_file() else ()
