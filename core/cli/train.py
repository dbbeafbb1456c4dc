"""`tunebook train`: from rows to a tuned model, its report and its bundle."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunebook.cli.output import print_data, print_judged, say
from tunebook.errors import UserError
from tunebook.run_folder import make_run_folder, nothing_half_written, open_run_folder, save_config
from tunebook.training.ranks import announce

if TYPE_CHECKING:
    from tunebook.config.schema import TrainConfig
    from tunebook.families.prepared import Prepared
    from tunebook.run_folder import RunFolder


def train_command(config: Any, run_dir: str) -> float | None:
    """Start a run in a new folder; returns the watched test metric, which sweepers can optimise."""
    from tunebook.pipeline.prepare import typed

    made = typed(config)  # a wrong name is answered before torch is loaded

    from tunebook.pipeline.train import check_devices

    check_devices(made)
    run = make_run_folder(run_dir)
    made.run_dir = str(run.path)
    with nothing_half_written(run):
        save_config(made, run)
        announce(str(run.path))
        return train_in(made, run)


def resume_command(arguments: Sequence[str]) -> None:
    """Resume the run named by ``resume=<folder>``, with that run's own config."""
    paths = [a.removeprefix("resume=") for a in arguments if a.startswith("resume=")]
    others = [a for a in arguments if not a.startswith("resume=")]
    if others or len(paths) != 1:
        raise UserError(
            "A resumed run takes its own config; nothing else can be given with resume=.",
            code="command.bad-arguments",
            where=" ".join(others) or "resume",
            fix=f"tunebook train resume={paths[0]}, or start a new run with these options",
        )
    run = open_run_folder(paths[0])
    if (run.bundle / "tunebook.json").is_file() and run.report.is_file():
        raise UserError("This run is finished.", code="run.finished", where=paths[0], fix=f"look at {run.report}")
    announce(str(run.path))
    run.rejects.unlink(missing_ok=True)  # written anew where there still are any

    from tunebook.pipeline.train import read_config

    try:
        train_in(read_config(run), run, resumed=True)
    except UserError as error:
        if error.code != "data.rejected-rows":
            raise
        raise error.replace(fix="put these rows back as they were, or start a new run") from error


def train_in(config: TrainConfig, run: RunFolder, resumed: bool = False) -> float | None:
    """Train in a run's folder, and print what comes of it; None in a further process of the run."""
    from tunebook.pipeline.train import train

    judged = train(config, run, say, _show_rows, resumed=resumed)
    if judged is None:
        return None
    print_judged(judged)
    print(f"report: {run.report}\nmodel:  {run.bundle}")
    return judged.evidence.watched


def _show_rows(prepared: Prepared[Any]) -> None:
    print_data(prepared)
    sys.stdout.flush()
