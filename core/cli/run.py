"""From what was typed to the work: Hydra composes the config, the verb's function takes it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from tunebook.bundle.manifest import find_bundle, read_manifest
from tunebook.cli.arguments import Arguments
from tunebook.cli.completion import config_folders
from tunebook.cli.refusals import report
from tunebook.cli.sweep import leave_outcome, table_of_runs, with_first_choices
from tunebook.cli.verbs import COMPOSING, named
from tunebook.composing.command import Command, register_schemas
from tunebook.composing.errors import check_keys, check_typed_keys, explain, is_config_error, old_name_in_file
from tunebook.composing.hydra_node import guarded
from tunebook.composing.overrides import readable
from tunebook.composing.places import with_page, with_place
from tunebook.composing.search_path import register_search_path
from tunebook.errors import UserError
from tunebook.run_folder import remove_empty
from tunebook.untrusted import check_pages

_TASKS = {**COMPOSING, "rung": "tunebook.compare.launch:rung_command"}


def compose_and_run(verb: str, arguments: Sequence[str]) -> None:
    """Do what a verb does with the config that the arguments compose; with ``-m`` for each that they compose.

    Raises:
        UserError: They compose none, or it cannot be done.
    """
    # Errors come to us whole, and leave as one message.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    overrides = [a for a in arguments if _is_override(a)]
    flags = [a for a in arguments if not _is_override(a)]
    nameless = next((a for a in overrides if a.startswith("=")), None)
    if nameless is not None:  # Hydra falls over it
        raise UserError(
            "A value has no key.",
            code="config.bad-override",
            where=nameless,
            fix="overrides are written key=value, without spaces",
        )
    _refuse_pickles(flags)
    overrides = [readable(a) for a in overrides]
    command = Command.of(verb, overrides, bundle_recipe=_bundle_recipe(overrides) if verb == "evaluate" else None)
    command = replace(command, folders=tuple(config_folders(flags)))
    for folder in command.folders:
        check_pages(folder)
    register_search_path(command.overrides, command.recipes)
    check_typed_keys(command)
    # argparse stumbles over overrides on both sides of an option: `data.train=a.csv -m seed=1,2`.
    sys.argv = [sys.argv[0], *with_first_choices(command, flags), *flags]
    check_flags(verb, sys.argv[1:])
    try:
        try:
            _with_hydra(command)
        except Exception as error:
            if not (is_config_error(error) and old_name_in_file(error, command)):
                raise
            command = replace(command, old_names=True)
            _with_hydra(command)
    except Exception as error:
        if is_config_error(error):
            raise with_page(explain(error, command), error, command) from error
        raise


def check_flags(verb: str, typed: Sequence[str]) -> None:
    """Refuse options that Hydra does not have, in a message like any other.

    Raises:
        UserError: There are some.
    """
    from hydra._internal.utils import get_args_parser

    example = f"tunebook {verb} recipe=<name> key=value"
    read = Arguments(verb, example, parents=[get_args_parser()], add_help=False).read(typed)
    if read.shell_completion and read.overrides not in [
        [f"{what}={shell}"] for what in ("install", "uninstall", "query") for shell in ("bash", "fish", "zsh")
    ]:
        raise UserError(
            "Tab completion is installed for bash, fish or zsh.",
            code="command.bad-arguments",
            where=" ".join(typed),
            fix='eval "$(tunebook -sc install=bash)"',
        )


def _refuse_pickles(flags: Sequence[str]) -> None:
    """Refuse the one option of Hydra's that unpickles a file, by any abbreviation that argparse takes.

    Raises:
        UserError: It was typed.
    """
    for flag in flags:
        name = flag.partition("=")[0]
        if len(name) > 2 and "--experimental-rerun".startswith(name):
            raise UserError(
                "A pickled run is not read back: a pickle can run any code.",
                code="config.no-pickle",
                where=flag,
                fix="train resume=<run folder> resumes a run; a run's overrides are in its config.yaml",
            )


def _with_hydra(command: Command) -> None:
    """Let Hydra compose, and run the task."""
    register_schemas(command)
    with table_of_runs() as records:

        def task(config: Any) -> float | None:
            return _run_task(command, config, records)

        with guarded(records / "hydra"):
            hydra.main(config_path="pkg://tunebook.conf", config_name=command.verb, version_base="1.3")(task)()


def _run_task(command: Command, config: Any, records: Path) -> float | None:
    """Hydra's task function: the work, with the folder that Hydra chose for it."""
    settings = HydraConfig.get()
    recorded = settings.mode == RunMode.MULTIRUN and command.verb != "rung"  # `compare` reports its own
    # Not resolved: an interpolation in it may be the very mistake to report.
    overrides = OmegaConf.to_container(settings.overrides.task, resolve=False)
    assert isinstance(overrides, list)
    command = replace(command, overrides=overrides)
    try:
        if command.verb != "rung":  # which no person types
            check_keys(config, command)
        value: float | None = named(_TASKS[command.verb])(config, settings.runtime.output_dir)
        if recorded:
            leave_outcome(records, command, config)
        return value
    except Exception as error:
        remove_empty(Path(settings.runtime.output_dir))  # Hydra made it before anything was checked
        if is_config_error(error):
            error = explain(error, command)
        if isinstance(error, UserError):
            error = with_place(error, config, command, settings.runtime)
        if recorded:
            leave_outcome(records, command, config, error)
        if settings.mode == RunMode.MULTIRUN:
            raise error  # the sweep decides what one failing job means
        # Leaves through SystemExit because Hydra prints lines of its own about any other exception.
        raise SystemExit(report(error, settings.runtime.output_dir)) from error


def _bundle_recipe(overrides: Sequence[str]) -> str | None:
    """The recipe of the bundle that is to be scored; None where there is no such bundle, or several."""
    bundles = [o.partition("=")[2].strip("'\"") for o in overrides if o.startswith("bundle=")]
    try:
        return read_manifest(find_bundle(bundles[-1])).recipe if bundles else None
    except UserError:
        return None  # which the command reports, unless there is a mistake in its config


def _is_override(argument: str) -> bool:
    return argument.startswith("~") or (not argument.startswith("-") and "=" in argument)
