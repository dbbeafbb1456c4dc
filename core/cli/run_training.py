"""A training as the terminal sees it, in this process: torch is loaded."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tunebook.cli.output import print_data, print_judged, say
from tunebook.config.schema import TrainConfig
from tunebook.errors import UserError
from tunebook.families.prepared import Prepared
from tunebook.files import write_text
from tunebook.garbage import look_as_usual
from tunebook.pipeline.stored import read_config, with_places
from tunebook.pipeline.train import check_devices, train, train_as_follower
from tunebook.run_folder import RunFolder, new_run_folder, save_config
from tunebook.run_lock import held
from tunebook.training.interrupts import interruption_named
from tunebook.training.ranks import announce


def start(config: TrainConfig, run_dir: str) -> float | None:
    """Train in a new folder; returns the watched test metric."""
    look_as_usual()
    for note in check_devices(config):
        say(f"note: {note}")
    with new_run_folder(run_dir) as run, interruption_named(run.path):
        config.run_dir = str(run.path)
        save_config(config, run)
        announce(str(run.path))
        return train_in(config, run)


def resume(run: RunFolder, places: Mapping[str, Any]) -> None:
    """Resume the run in a folder.

    Args:
        run: The folder.
        places: Keys of what it reads that lies somewhere else now, with their values.
    """
    look_as_usual()
    with held(run.path), interruption_named(run.path):
        config = read_config(run, places)
        config.run_dir = str(run.path)
        before = run.config.read_text(encoding="utf-8")
        if places:
            save_config(config, run)  # before the other processes of the run read it
        announce(str(run.path))
        run.rejects.unlink(missing_ok=True)  # written again where there still are any
        try:
            train_in(config, run, resumed=True)
        except UserError as error:
            if places and (error.code == "run.changed" or error.code.startswith(("data.", "model."))):
                write_text(run.config, before)
            if error.code == "data.rejected-rows":
                raise error.replace(fix="restore these rows, or start a new run") from error
            raise with_places(error, run, config) from error


def follow(arguments: Sequence[str]) -> None:
    """Be a further process of the run in a folder, the one argument."""
    look_as_usual()
    train_as_follower(arguments[0])


def train_in(config: TrainConfig, run: RunFolder, resumed: bool = False) -> float | None:
    """Train in a run's folder, and print what comes of it; None in a further process of the run."""
    judged = train(config, run, say, _show_rows, resumed=resumed)
    if judged is None:
        return None
    print_judged(judged)
    print(f"report: {run.report}\nmodel:  {run.bundle}")
    return judged.evidence.watched


def _show_rows(prepared: Prepared[Any]) -> None:
    print_data(prepared)
    sys.stdout.flush()
