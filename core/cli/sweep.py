"""A sweep (`-m`): over recipes too, and with a table of its runs at the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from tunebook.bundle.manifest import find_bundle, read_manifest
from tunebook.composing.command import Command
from tunebook.errors import UserError
from tunebook.plugins import load_recipe_class, unknown_recipe

_FOLDER = "hydra.sweep.dir='runs/sweep_${now:%Y-%m-%d_%H-%M-%S-%f}'"


@dataclass(frozen=True)
class SweptRun:
    """One run of a sweep, as its table shows it.

    Attributes:
        number: Its place in the sweep, from 0.
        overrides: What it was given.
        folder: Its run folder; "" where it has none.
        metric: The watched metric; "" where nothing is scored.
        error: Why it failed; "" where it did not.
    """

    number: int
    overrides: tuple[str, ...]
    folder: str = ""
    metric: str = ""
    error: str = ""


def with_first_choices(command: Command, flags: Sequence[str]) -> list[str]:
    """The overrides from which a sweep over recipes or experiments is composed.

    Hydra composes its own part of a sweep without what is swept over, and would find no recipe: it is given the first
    one besides. Runs that have no recipe in common lie side by side in ``runs/``.

    Args:
        command: What was typed.
        flags: What was typed besides overrides.

    Raises:
        UserError: A recipe among them is unknown.
    """
    overrides = list(command.overrides)
    if not {"-m", "--multirun"} & set(flags) or any(o.startswith("hydra/sweeper=") for o in overrides):
        return overrides
    choices = {o.partition("=")[0]: _choices(o) for o in overrides if re.match(r"(recipe|\+\w+)=", o)}
    for name in choices.get("recipe", []):
        if name not in command.recipes:
            raise unknown_recipe(name, command.recipes)
    swept = {key: names for key, names in choices.items() if len(names) > 1}
    own_folder = command.verb == "train" and not any(o.startswith(("hydra.sweep.dir=", "run_dir=")) for o in overrides)
    folder = [_FOLDER] if own_folder and swept and len(choices.get("recipe", [])) != 1 else []
    # Of two values of a group Hydra's sweeper takes the later one.
    return [*(f"{key}={names[0]}" for key, names in swept.items()), *overrides, *folder]


def _choices(override: str) -> list[str]:
    """The options of a group that an override chooses, of which a sweep has several; none where it cannot be read."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:  # which says what is wrong with it when it composes
        return []
    if parsed.is_sweep_override():
        return list(parsed.sweep_string_iterator()) if parsed.is_choice_sweep() else []
    return [str(parsed.value())]


@contextmanager
def table_of_runs() -> Iterator[Path]:
    """A folder in which each run of a sweep leaves how it ended; at the end they are shown, failed or not."""
    with TemporaryDirectory(prefix="tunebook-sweep-") as folder:
        try:
            yield Path(folder)
        finally:
            files = sorted(Path(folder).glob("*.json"), key=lambda path: int(path.stem))
            if files:
                from tunebook.cli.sweep_table import print_table  # rich begins here

                print_table([SweptRun(**json.loads(file.read_text(encoding="utf-8"))) for file in files])


def leave_outcome(records: Path, command: Command, config: Any, error: Exception | None = None) -> None:
    """Leave how a run ended for the table.

    Args:
        records: The folder for it.
        command: What was done, with the overrides of this run.
        config: The run's config.
        error: What it failed with.
    """
    hydra = HydraConfig.get()
    said = error.what if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    folder = Path(hydra.runtime.output_dir)
    run = SweptRun(
        hydra.job.num,
        tuple(command.overrides),
        str(folder) if folder.is_dir() and any(folder.iterdir()) else "",
        "" if error else _watched(command.verb, config),
        said.split("\n")[0] if error else "",
    )
    (records / f"{run.number}.json").write_text(json.dumps(asdict(run)), encoding="utf-8")


def _watched(verb: str, config: Any) -> str:
    """The name of the watched metric of a run that was scored."""
    if verb not in ("train", "evaluate"):
        return ""
    if verb == "train":
        from tunebook.pipeline.prepare import make_recipe, typed  # the run has loaded it; a sweep starts without it

        return make_recipe(typed(config)).watch
    name = read_manifest(find_bundle(config.bundle)).recipe
    return load_recipe_class(name).watch
