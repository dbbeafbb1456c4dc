"""What can be checked of a recipe in a fresh process, in a second, without torch."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from tunebook.cli.list import print_recipes
from tunebook.cli.main import main as command_line
from tunebook.cli.options import field_help
from tunebook.composing.command import Command, register_schemas
from tunebook.composing.errors import check_keys, explain, is_config_error, unknown_key
from tunebook.composing.overrides import readable
from tunebook.composing.pages import trouble
from tunebook.composing.search_path import register_search_path
from tunebook.data.paths import resolve_paths
from tunebook.errors import UserError
from tunebook.pipeline.prepare import make_recipe, typed
from tunebook.plugins import Found, find_recipes, load_recipe_class
from tunebook.plugins.answers import columns_of, samples_of
from tunebook.plugins.contract import BrokenContract
from tunebook.plugins.families import family_name, find_families
from tunebook.plugins.options import typed_recipe_options
from tunebook.testing.outcome import Failed, NotApplicable, Status, outcome_of
from tunebook.testing.sample_rows import Slices, write_slices
from tunebook.testing.zygote import in_a_line, watch_network

HEAVY = ("torch", "lightning", "transformers", "torchmetrics", "torchvision", "timm", "peft", "sklearn", "pandas")
_SMALL = (
    *("trainer=cpu", "trainer.threads=1", "trainer.max_epochs=8", "trainer.max_steps=8", "trainer.checkpoint_every=3"),
    *("trainer.early_stop=null", "trainer.rehearse=false", "trainer.progress=false"),
    *("data.batch_size=4", "data.num_workers=0"),
    *("evaluation.resamples=20", "logger=csv"),
)
_SMALL_OF_FAMILY = {"zero_shot": "false", "max_generations": "4"}
"""What makes a run small where its family has such an option of ``evaluation``."""


def look(name: str, overrides: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run the first checks.

    Args:
        name: The recipe.
        overrides: The user's.
        folder: Takes a few of the recipe's rows.

    Returns:
        ``outcomes``: check -> status and reason; ``plan`` for the checks to come, where the
        recipe can be run at all; ``refused`` where the overrides cannot be.
    """
    found = find_recipes()[name]
    made: dict[str, Any] = {"outcomes": {}}

    def check(which: str, work: Callable[[], str]) -> bool:
        made["outcomes"][which] = outcome_of(work)
        return bool(made["outcomes"][which][0] == Status.passed.value)

    listed = _listed(found)
    composed = check("composes", lambda: _composes(found))
    check("lazy", lambda: _lazy(found, listed))
    if not composed:
        return made
    refused = _refusal(name, overrides)
    if refused:
        return {**made, "refused": refused}
    if check("options", lambda: _options(found, overrides)):
        check("typo", lambda: _typo(found, overrides))
        made |= _planned(found, overrides, folder, made["outcomes"])
    return made


def _planned(found: Found, overrides: Sequence[str], folder: Path, outcomes: dict[str, list[str]]) -> dict[str, Any]:
    """The plan, or why there is none: what the user gave, or the recipe's own code, which then fails a check."""
    try:
        return {"plan": _plan(found, overrides, folder)}
    except Exception as error:  # a stranger's code may raise anything
        if isinstance(error, UserError) and not isinstance(error, BrokenContract):
            return {"unplanned": error.parts()}
        outcomes["composes"] = [Status.failed.value, in_a_line(error, str(found.home or ""))]
    return {}


def compose_config(overrides: Sequence[str]) -> Any:
    """The config that ``tunebook train`` would have.

    Raises:
        UserError: It cannot be composed, with the message of the command line.
    """
    GlobalHydra.instance().clear()
    overrides = [readable(override) for override in overrides]
    command = Command.of("train", overrides)
    register_schemas(command)
    register_search_path(command.overrides, command.recipes)
    try:
        with initialize_config_module("tunebook.conf", version_base="1.3"):
            config = compose("train", overrides=["run_dir=run", *command.overrides])
        check_keys(config, command)
        return config
    except Exception as error:
        if is_config_error(error):
            raise explain(error, command) from error
        raise


def _listed(found: Found) -> list[str]:
    """What `list` imported that it should not have."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        print_recipes([])
    top = found.module.split(".")[0]
    # A family is imported, as its options say which keys a page may set; a recipe in the same package need not be.
    families = {entry.value.split(".")[0] for entry in find_families().get(family_name(found) or "", ())}
    own = {found.module} if top in {"tunebook", *families} else {found.module, top}
    return sorted(own & set(sys.modules)) + _heavy()


def _heavy() -> list[str]:
    return [module for module in HEAVY if module in sys.modules]


def _lazy(found: Found, listed: Sequence[str]) -> str:
    if listed:
        raise Failed(f"`tunebook list` imported {', '.join(listed)}")
    if _heavy():
        where = found.source or found.module
        raise Failed(f"importing {where} imports {', '.join(_heavy())}; import them inside the methods that need them")
    return "`list` imports none of its code; importing it loads none of " + ", ".join(HEAVY)


def _composes(found: Found) -> str:
    wrong = trouble(found)
    if wrong:
        raise Failed(in_a_line(wrong.error(found), ""))
    try:
        config = compose_config([f"recipe={found.name}"])
        loaded = load_recipe_class(found.name)
    except UserError as error:
        raise Failed(in_a_line(error, "")) from error
    return f"{loaded.__name__} of family {loaded.family.name}, model {config.model.name}"


def _refusal(name: str, overrides: Sequence[str]) -> dict[str, str | None] | None:
    """Why the user's own overrides cannot be, in the parts of its error: that is no fault of the recipe."""
    try:
        compose_config([f"recipe={name}", *overrides])
    except UserError as error:
        return error.parts()
    return None


def _options(found: Found, overrides: Sequence[str]) -> str:
    config_class = load_recipe_class(found.name).Config
    if not is_dataclass(config_class):
        raise Failed(f"{config_class.__name__} is not a dataclass: put @dataclass above it")
    node = compose_config([f"recipe={found.name}", *overrides]).recipe
    known, said = {field.name for field in fields(config_class)}, {str(key) for key in node}
    if known != said:
        missing = [f"{found.yaml} does not list recipe.{key}" for key in sorted(known - said)]
        extra = [f"{found.yaml} sets recipe.{key}, which {config_class.__name__} lacks" for key in sorted(said - known)]
        raise Failed("; ".join([*missing, *extra]))
    try:
        typed_recipe_options(node, config_class, found.name)
    except UserError as error:
        raise Failed(in_a_line(error, "")) from error
    helps = field_help(config_class)
    helpless = [name for name in sorted(known) if not helps.get(name, "").strip()]
    if helpless:
        fields_ = ", ".join(f"{config_class.__name__}.{name}" for name in helpless)
        raise Failed(f"no help for {fields_}: write a string beneath the field")
    return f"{len(known)} options, each with help, the same in page and Config"


def _misspelt(option: str) -> str:
    """An option with a letter in the middle typed twice."""
    middle = len(option) // 2
    return option[:middle] + option[middle - 1] + option[middle:] if len(option) > 1 else option * 2


def _typo(found: Found, overrides: Sequence[str]) -> str:
    chosen = [f"recipe={found.name}", *overrides]
    options = [field.name for field in fields(load_recipe_class(found.name).Config) if field.name != "name"]
    if not options:
        raise NotApplicable("it has no option but its name")
    command = Command.of("train", chosen)
    for option in options:
        fix = unknown_key(f"recipe.{_misspelt(option)}", command).fix or ""
        if f"did you mean recipe.{option}?" not in fix:
            raise Failed(
                f"for recipe.{_misspelt(option)} the message does not name recipe.{option} ({fix}); "
                f"is the option listed in {found.yaml} itself?"
            )
    # The last one is the recipe's own, where it has any: once through the whole command line.
    code, said = _message_at_the_terminal(["check", *chosen, f"recipe.{_misspelt(options[-1])}=1"])
    if code != 2 or f"did you mean recipe.{options[-1]}?" not in said:
        raise Failed(f"recipe.{_misspelt(options[-1])}=1 ends with exit code {code} and says: {said.strip()}")
    return f"recipe.{_misspelt(options[-1])} is refused: did you mean recipe.{options[-1]}?"


def _message_at_the_terminal(arguments: Sequence[str]) -> tuple[int, str]:
    GlobalHydra.instance().clear()
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            command_line(arguments)
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()


def _plan(found: Found, overrides: Sequence[str], folder: Path) -> dict[str, Any]:
    """The small run that the other checks share: its overrides, and rows that are few."""
    small = [f"recipe={found.name}", *_SMALL, f"data.cache_dir={folder / 'cache'}"]
    config = typed(compose_config([*small, *overrides]))
    recipe = make_recipe(config)
    small += [f"evaluation.{key}={value}" for key, value in _SMALL_OF_FAMILY.items() if hasattr(config.evaluation, key)]
    if hasattr(recipe.options, "max_new_tokens"):
        small += ["recipe.max_new_tokens=8"]
    given = {name: getattr(config.data, name) for name in ("train", "validation", "test")}
    named = {name: value for name, value in given.items() if value is not None}
    for split, value in named.items():
        resolve_paths(value, f"data.{split}", folders=True)  # what is not there is no fault of the recipe
    sources = named or {name: str(path) for name, path in samples_of(recipe, config.data.cache_dir).items()}
    if "train" not in sources:
        raise UserError(
            "The recipe has no sample rows to be verified with.",
            code="recipe.no-samples",
            where=f"recipe={recipe.options.name}",
            fix="put some in samples/train.csv beside its class, or name some: data.train=rows.csv",
        )
    cut, broken = write_slices(sources, columns_of(recipe, config.data), folder)
    rows = Slices({} if named else cut, broken.path if broken else None, cut.get("test"))
    # Where rows are named, those few take their place; the recipe's own stay unnamed, as it may know more of them.
    others = [o for o in overrides if not (named and o.startswith(tuple(f"data.{split}=" for split in named)))]
    instead = [f"data.{split}={json.dumps(path)}" for split, path in cut.items()] if named else []
    return {
        "overrides": [*small, *others, *instead],
        "rows": asdict(rows),
        "broken": broken.lines if broken else {},
    }


def main() -> None:
    """Answer a question on standard input: the sys.path, the recipe, the overrides and the folder."""
    job = json.loads(sys.stdin.readline())
    watch_network(str(Path(job["folder"]) / "network"))
    answers, sys.stdout = sys.stdout, sys.stderr
    made = look(job["name"], job["overrides"], Path(job["folder"]))
    print(json.dumps(made), file=answers)
