"""Where a key of a config was set, if not at the terminal: the user's own page, or a recipe's, with the line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from tunebook.composing.command import Command
from tunebook.composing.pages import is_global
from tunebook.errors import UserError
from tunebook.plugins.listed import line_of

_KEY = re.compile(r"\w+(\.\w+)*")
_ABSENT = object()
"""In place of the value of a key that is not there, which may be null."""


def with_page(told: UserError, error: Exception, command: Command) -> UserError:
    """The message for an error of composing, with the page that Hydra names in it, unless that is one of Tunebook's.

    Args:
        told: The message.
        error: What Hydra raised.
        command: What was typed.
    """
    named = re.match(r"In '([^']+)': \w+ raised while composing", str(error))
    if named is None:
        return told
    page = named.group(1)
    confs = (found.conf for found in command.recipes.values() if found.conf and not found.shipped)
    file = next((f for folder in (*command.folders, *confs) if (f := folder / f"{page}.yaml").is_file()), None)
    if file is None:
        return told
    if not _KEY.fullmatch(told.where or ""):
        return told.replace(where=str(file))
    return told.replace(where=_place(told.where or "", told.where or "", page.rpartition("/")[0], file))


def with_place(error: UserError, config: Any, command: Command, runtime: Any) -> UserError:
    """The error about a key, with the page that set its value; as it is where the value was typed, or is a default.

    Args:
        error: What is wrong with the config.
        config: What was composed.
        command: What was typed.
        runtime: Hydra's record of the pages that it took.
    """
    key = (error.where or "").partition("=")[0]
    typed = any(override.lstrip("+").startswith(f"{key}=") for override in command.overrides)
    if typed or not error.code.startswith("config.") or not _KEY.fullmatch(key):
        return error
    value = OmegaConf.select(config, key)
    for group, file in _chosen_pages(runtime):
        text = file.read_text(encoding="utf-8")
        said = OmegaConf.select(OmegaConf.create(text), _key_in(group, text, key), default=_ABSENT)
        if said is not _ABSENT and said == value:
            return error.replace(where=_place(error.where or "", key, group, file))
    return error


def _chosen_pages(runtime: Any) -> Iterator[tuple[str, Path]]:
    """Group and file of each page that Hydra took from a folder; those of Tunebook's own are in a package."""
    folders = [Path(source.path) for source in runtime.config_sources if source.schema == "file"]
    for group, option in runtime.choices.items():
        files = (folder / str(group) / f"{option}.yaml" for folder in folders)
        yield from ((str(group), file) for file in files if file.is_file())


def _place(where: str, key: str, group: str, file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return f"{where} in {file}:{line_of(text, _key_in(group, text, key))}"


def _key_in(group: str, text: str, key: str) -> str:
    """A key of the config as the page of a group has it."""
    return key if is_global(text) else key.removeprefix(f"{group.replace('/', '.')}.")
