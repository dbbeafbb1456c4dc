"""`tunebook train resume=<folder>`: an interrupted run, from its newest checkpoint on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from tunebook.composing.overrides import readable
from tunebook.errors import UserError
from tunebook.pipeline.prepare import check_sources
from tunebook.pipeline.stored import PLACES, read_config, resume_with, with_places
from tunebook.run_folder import open_run_folder
from tunebook.run_lock import held
from tunebook.training.surroundings import check_surroundings


def resume_command(arguments: Sequence[str]) -> None:
    """Resume the run named by ``resume=<folder>``, with that run's own config; what it reads may lie elsewhere now."""
    paths = [a.removeprefix("resume=") for a in arguments if a.startswith("resume=")]
    others = [a for a in arguments if not a.startswith("resume=")]
    moved = [a for a in others if a.partition("=")[0] in PLACES and not a.endswith("=")]
    if len(moved) < len(others) or len(paths) != 1:
        raise UserError(
            "A resumed run uses its own config; no other option can be given with resume=, but for where its rows and "
            "its model are.",
            code="command.bad-arguments",
            where=" ".join(a for a in others if a not in moved) or "resume",
            fix=f"{resume_with(paths[0])}, or start a new run with these options",
        )
    run = open_run_folder(paths[0])
    if run.finished:
        raise UserError(
            "This run is finished.",
            code="run.finished",
            where=paths[0],
            fix=f"look at {run.report}; where its model is damaged, delete model/ and report.html, and resume again",
        )
    places = dict(map(_place, moved))
    with held(run.path):  # before the libraries of a run are loaded, which takes long
        config = read_config(run, places)
        check_surroundings(config)
        try:
            check_sources(config)
        except UserError as error:
            raise with_places(error, run, config) from error
    from tunebook.cli.run_training import resume  # torch begins here

    resume(run, places)


def _place(override: str) -> tuple[str, Any]:
    """Key and value of a typed override.

    Raises:
        UserError: Hydra cannot read it.
    """
    key, _, _ = override.partition("=")
    try:
        return key, OverridesParser.create().parse_override(readable(override)).value()
    except HydraException as error:
        raise UserError(
            f"The value of {key} cannot be read.",
            code="config.bad-override",
            where=override,
            fix=f"quote it: {key}='<path>'",
        ) from error
