"""Tab completion: verbs, recipes, options, groups, config keys with their values, and file names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from tunebook.cli.verbs import COMPOSING, VERBS

OPTIONS: dict[str, tuple[str, ...]] = {
    "--cfg": ("job", "hydra", "all"),
    "--config-dir": (),
    "--help": (),
    "--hydra-help": (),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    "--multirun": (),
    "--package": (),
    "--resolve": (),
}
"""Hydra's options that work with our verbs, and what may follow them."""
FOLDER_OPTIONS = ("--config-dir", "-cd")
PATHS = {
    *("data.train", "data.validation", "data.test", "data.image_root", "data.cache_dir", "run_dir", "resume"),
    *("bundle", "model.name", "model.weights", "model.chat_template", "recipe.template", "recipe.schema"),
    "hydra.sweep.dir",
}
"""Keys whose value may be a file or a folder."""
_PLAIN = re.compile(r"[\w./+@%:,=~-]+")
# bash expands what it is offered: a file called $(command) would be run. A blank would make two words of one.


def print_candidates() -> None:
    """Print what the word that is being typed may become, one a line; the shell hands on the line so far."""
    found = candidates(os.environ.get("COMP_LINE", ""))
    print("\n".join(each for each in found if _PLAIN.fullmatch(each)))


def candidates(line: str) -> list[str]:
    """What the last word of a command line may become; none where the shell's own file names are as good."""
    words = line.split()
    word = words.pop() if words and not line[-1].isspace() else ""
    if len(words) < 2:
        return _beginning(word, VERBS)
    verb, before = words[1], words[2:]
    if verb in ("show", "verify"):
        from tunebook.plugins import find_recipes  # recipes begin here: verbs do without

        return _beginning(word, find_recipes())
    if verb not in COMPOSING:
        return []
    if word.startswith("-"):
        return _beginning(word, OPTIONS)
    last = before[-1] if before else ""
    if last in FOLDER_OPTIONS:
        return [name for name in _files("", word) if name.endswith("/")]
    if choices := _beginning(word, OPTIONS.get(last, ())):
        return choices
    key, equals, value = word.partition("=")
    if equals and (key in PATHS - {"model.name"} or value.startswith(("/", "./", "../", "~/"))):
        return list(_files(f"{key}=", value))
    from tunebook.cli.config_completion import config_candidates  # Hydra begins here

    overrides = [each for each in before if "=" in each and not each.startswith("-")]
    overrides += [f"hydra.searchpath=['file://{folder}']" for folder in config_folders(before)]
    files = _files(f"{key}=", value) if key in PATHS else ()
    return sorted({*config_candidates(verb, overrides, word), *files})


def _beginning(word: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(word)]


def config_folders(before: Sequence[str]) -> list[Path]:
    """The folder that ``--config-dir`` names, if it is there."""
    named = [after for option, after in pairwise(before) if option in FOLDER_OPTIONS]
    named += [each.partition("=")[2] for each in before if each.startswith("--config-dir=")]
    return [Path(folder).absolute() for folder in named[:1] if Path(folder).is_dir()]


def _files(before: str, typed: str) -> Iterator[str]:
    """Files and folders that a path may become; those with a dot in front only where it was typed."""
    folder, slash, stem = typed.rpartition("/")
    try:
        entries = sorted(Path(f"{folder}{slash}" or ".").expanduser().iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(stem) and (stem.startswith(".") or not entry.name.startswith(".")):
            yield f"{before}{folder}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
