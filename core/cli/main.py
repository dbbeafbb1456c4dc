"""The command line: a verb, then what it works on. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tunebook import __version__
from tunebook.errors import UserError

if TYPE_CHECKING:
    from tunebook.composing.command import Command

USAGE = """\
Tunebook: fine-tuning recipes with an honest report.

usage: tunebook <verb> ...

  list                            the recipes there are
  show <recipe>                   every option of a recipe: type, default, help
  check recipe=<name> [key=value ...]     look at the rows and the config; train nothing
  train recipe=<name> [key=value ...]     tune, score, report, and write a bundle
  train resume=<run folder>       resume an interrupted run, exactly where it was
  compare recipe=<name> [key=value ...]     what tuning buys: baselines, few shots, head, LoRA, full, on the same rows
  evaluate bundle=<run or bundle> data.test=<rows> [key=value ...]     score on new rows
  predict <run or bundle> [files ...]     answer rows of files, images, or lines of standard input
  chat <run or bundle>            talk with a model that writes, or answer lines of standard input turn by turn
  export <run or bundle> -o model.onnx    the model of an image recipe for programs without Python
  new <name> --family <family>    write a recipe to start from: text_classification, image_classification ...
  verify <recipe> [key=value ...] check that a recipe keeps the contract

Hydra's own options work with check, train, compare and evaluate: -m (sweeps), --cfg job, --info ...
Tab completion: eval "$(tunebook -sc install=bash)"

  tunebook train recipe=review_sentiment
  tunebook train recipe=review_sentiment data.train=reviews.csv data.label=stars model=minilm
"""

_VERBS = tuple(["list", "show", "check", "train", "compare", "evaluate", "predict", "chat", "export", "new", "verify"])


def _task(verb: str) -> Callable[[Any, str], float | None]:
    """The function behind a composing verb; imported late, because it may import torch."""
    if verb == "train":
        from tunebook.cli.train import train_command

        return train_command
    if verb == "check":
        from tunebook.cli.check import check_command

        return check_command
    if verb == "compare":
        from tunebook.cli.compare import compare_command

        return compare_command
    if verb == "rung":
        from tunebook.compare.launch import rung_command

        return rung_command
    from tunebook.cli.evaluate import evaluate_command

    return evaluate_command


def _run_task(command: Command, config: Any, records: Path) -> float | None:
    """Hydra's task function: the work, with the folder that Hydra chose for it."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from tunebook.cli.sweep import leave_outcome
    from tunebook.composing.errors import check_keys, explain, is_config_error
    from tunebook.run_folder import remove_empty

    hydra = HydraConfig.get()
    told = hydra.mode == RunMode.MULTIRUN and command.verb != "rung"  # of which `compare` tells itself
    # Not resolved: an interpolation in it may be the very mistake to tell of.
    overrides = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    assert isinstance(overrides, list)
    command = replace(command, overrides=overrides)
    try:
        if command.verb != "rung":  # which no person types
            check_keys(config, command)
        value = _task(command.verb)(config, hydra.runtime.output_dir)
        if told:
            leave_outcome(records, command, config)
        return value
    except Exception as error:
        remove_empty(Path(hydra.runtime.output_dir))  # Hydra made it before anything was checked
        if is_config_error(error):
            error = explain(error, command)
        if told:
            leave_outcome(records, command, config, error)
        if hydra.mode == RunMode.MULTIRUN:
            raise error  # the sweep decides what one failing job means
        # Leaves through SystemExit because Hydra prints lines of its own about any other exception.
        raise SystemExit(_report(error, hydra.runtime.output_dir)) from error


def _compose_and_run(verb: str, arguments: Sequence[str]) -> None:
    from tunebook.cli.sweep import with_first_choices
    from tunebook.composing.command import Command
    from tunebook.composing.errors import check_typed_keys, explain, is_config_error, old_name_in_file
    from tunebook.composing.overrides import readable
    from tunebook.composing.search_path import register_search_path

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
    overrides = [readable(a) for a in overrides]
    command = Command.of(verb, overrides, bundle_recipe=_bundle_recipe(overrides) if verb == "evaluate" else None)
    register_search_path(command.overrides, command.recipes)
    check_typed_keys(command)
    # argparse stumbles over overrides on both sides of an option: `data.train=a.csv -m seed=1,2`.
    sys.argv = [sys.argv[0], *with_first_choices(command, flags), *flags]
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
            raise explain(error, command) from error
        raise


def _with_hydra(command: Command) -> None:
    """Let Hydra compose, and run the task."""
    import hydra

    from tunebook.cli.sweep import table_of_runs
    from tunebook.composing.command import register_schemas

    register_schemas(command)
    with table_of_runs() as records:

        def task(config: Any) -> float | None:
            return _run_task(command, config, records)

        hydra.main(config_path="pkg://tunebook.conf", config_name=command.verb, version_base="1.3")(task)()


def _bundle_recipe(overrides: Sequence[str]) -> str | None:
    """The recipe of the bundle that is to be scored; None where there is no such bundle, or several."""
    from tunebook.bundle.manifest import find_bundle, read_manifest

    named = [o.partition("=")[2].strip("'\"") for o in overrides if o.startswith("bundle=")]
    try:
        return read_manifest(find_bundle(named[-1])).recipe if named else None
    except UserError:
        return None  # which the command tells of, unless there is a mistake in its config


def _is_override(argument: str) -> bool:
    return argument.startswith("~") or (not argument.startswith("-") and "=" in argument)


def _composing_verb(verb: str, arguments: Sequence[str]) -> None:
    if any(a in ("-h", "--help") for a in arguments):
        from tunebook.cli.show import print_verb_help

        print_verb_help(verb)
        return
    if verb == "train":
        from tunebook.training.ranks import announced_run, follows_another_rank

        if follows_another_rank():
            from tunebook.pipeline.train import train_as_follower

            train_as_follower(announced_run())
            return
        if any(a.startswith("resume=") and a != "resume=null" for a in arguments):
            from tunebook.cli.train import resume_command

            resume_command(arguments)
            return
    _compose_and_run(verb, arguments)


def _dispatch(arguments: Sequence[str]) -> None:
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if verb in ("-h", "--help", "help"):
        print(USAGE, end="")
    elif verb == "--version":
        print(f"tunebook {__version__}")
    elif verb in ("-sc", "--shell-completion", "--shell_completion"):
        if any(a.startswith("query=") for a in arguments):
            from tunebook.cli.completion import print_candidates

            print_candidates(_VERBS)
        else:
            _compose_and_run("train", arguments)  # Hydra prints the shell's function
    elif verb == "list":
        from tunebook.cli.show import print_recipes

        print_recipes(rest)
    elif verb == "show":
        from tunebook.cli.show import print_recipe

        print_recipe(rest)
    elif verb in ("check", "train", "compare", "evaluate"):
        _composing_verb(verb, rest)
    elif verb == "_rung":
        from tunebook.compare.run_process import end_with_parent

        end_with_parent()
        _compose_and_run("rung", rest)
    elif verb == "predict":
        from tunebook.cli.predict import predict_command

        predict_command(rest)
    elif verb == "chat":
        from tunebook.cli.chat import chat_command

        chat_command(rest)
    elif verb == "export":
        from tunebook.cli.export import export_command

        export_command(rest)
    elif verb == "new":
        from tunebook.cli.new import new_command

        new_command(rest)
    elif verb == "verify":
        from tunebook.cli.verify import verify_command

        sys.exit(verify_command(rest))
    elif verb == "_worker":
        from tunebook.pipeline.train import train_as_follower

        train_as_follower(rest[0])
    elif verb == "_member":
        from tunebook.cli.refusals import as_user_error
        from tunebook.compare.run_process import member_command

        member_command(rest[0], as_user_error)
    else:
        raise _unknown_verb(verb)


def _unknown_verb(verb: str) -> UserError:
    from difflib import get_close_matches

    near = get_close_matches(verb, _VERBS, n=1)
    hint = f"did you mean `tunebook {near[0]}`? " if near else ""
    return UserError(
        f"There is no verb '{verb}'.",
        code="command.unknown-verb",
        where=f"tunebook {verb}",
        fix=f"{hint}`tunebook --help` shows all",
    )


def _report(error: BaseException, run_dir: str | None = None) -> int:
    """Print an error for a person; return the exit code. What is no user error is raised again."""
    from tunebook.cli.refusals import as_user_error

    known = as_user_error(error, run_dir)
    if known is None:
        raise error
    print(f"{known.kind}{known.message()}", file=sys.stderr)
    return known.exit_code


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the ``tunebook`` command; always ends in an exit code."""
    logging.raiseExceptions = False  # a log line whose reader left, as of `--info | head`, is nobody's mistake
    try:
        _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe (head, less) left; silence the interpreter's own complaint at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        sys.exit(_report(error))
    sys.exit(0)
