"""`tunebook train resume=<folder>`: an interrupted run, from its newest checkpoint on."""

from __future__ import annotations

from collections.abc import Sequence

from tunebook.errors import UserError
from tunebook.run_folder import open_run_folder
from tunebook.run_lock import held


def resume_command(arguments: Sequence[str]) -> None:
    """Resume the run named by ``resume=<folder>``, with that run's own config."""
    paths = [a.removeprefix("resume=") for a in arguments if a.startswith("resume=")]
    others = [a for a in arguments if not a.startswith("resume=")]
    if others or len(paths) != 1:
        raise UserError(
            "A resumed run uses its own config; no other option can be given with resume=.",
            code="command.bad-arguments",
            where=" ".join(others) or "resume",
            fix=f"tunebook train resume={paths[0]}, or start a new run with these options",
        )
    run = open_run_folder(paths[0])
    if run.finished:
        raise UserError(
            "This run is finished.",
            code="run.finished",
            where=paths[0],
            fix=f"look at {run.report}; where its model is damaged, delete model/ and report.html, and resume again",
        )
    with held(run.path):  # before the libraries of a run are loaded, which takes long
        pass
    from tunebook.cli.run_training import resume  # torch begins here

    resume(run)
