"""The config of a run that was started before, and its rows and its model where these lie somewhere else now."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from tunebook.composing.own import stored_config
from tunebook.config.schema import TrainConfig
from tunebook.errors import UserError
from tunebook.pipeline.prepare import typed
from tunebook.run_folder import RunFolder

PLACES = ("data.train", "data.validation", "data.test", "data.image_root", "model.name", "model.weights")
"""Keys of what a run reads: it may lie somewhere else when the run is resumed, as long as it is the same."""


def read_config(run: RunFolder, places: Mapping[str, Any] | None = None) -> TrainConfig:
    """The config of a run, checked against the schema as if it were typed.

    Args:
        run: Its folder.
        places: Values of `PLACES` that differ from what the file says.

    Raises:
        UserError: The file was changed to something no config can be.
    """
    try:
        loaded = OmegaConf.load(run.config)
        if not isinstance(loaded, DictConfig) or "recipe" not in loaded:
            raise ValueError("it names no recipe")
        for key, value in (places or {}).items():
            OmegaConf.update(loaded, key, value, merge=False)
        return typed(stored_config(loaded))
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        raise UserError(
            f"The run's config cannot be read: {str(error).splitlines()[0]}.",
            code="run.damaged-config",
            where=str(run.config),
            fix="restore it, or start a new run",
        ) from error


def with_places(error: UserError, run: RunFolder, config: TrainConfig) -> UserError:
    """The error about something that a resumed run reads, with the command that names its new place."""
    key = (error.where or "").partition("=")[0]
    if key not in PLACES:
        return error
    found = dict(_moved_along(run, config)) or {key: "<its new place>"}
    named = " ".join(f"{each}={_quoted(place)}" for each, place in found.items())
    return error.replace(fix=f"where it was moved: {resume_with(run.path)} {named}")


def resume_with(path: Path | str) -> str:
    """The command that resumes the run in a folder, as it is typed in a shell."""
    return f"tunebook train resume={_quoted(str(path))}"


def _quoted(place: str) -> str:
    return place if place.startswith("<") else shlex.quote(place)


def _moved_along(run: RunFolder, config: TrainConfig) -> Iterator[tuple[str, str]]:
    """What is not where the config says, and is there where it was moved in the same folder as the run."""
    before, now = Path(config.run_dir), run.path
    while before.name == now.name and before != before.parent:
        before, now = before.parent, now.parent
    for key in PLACES:
        node, name = key.split(".")
        value = getattr(getattr(config, node), name, None)
        if isinstance(value, str) and not Path(value).exists() and before in Path(value).parents:
            place = now / Path(value).relative_to(before)
            if place.exists():
                yield key, str(place)
