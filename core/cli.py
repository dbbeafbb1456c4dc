"""The command line: a verb, then what it works on. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from tunebook import __version__
from tunebook.errors import UserError

USAGE = """\
Tunebook: fine-tuning recipes with an honest report.

usage: tunebook <verb> ...

  list                            the recipes there are
  show <recipe>                   every option of a recipe: type, default, help
  check recipe=<name> [key=value ...]     look at the rows and the config; train nothing
  train recipe=<name> [key=value ...]     tune, score, report, and write a bundle
  train resume=<run folder>       go on with an interrupted run, exactly where it was
  evaluate bundle=<run or bundle> data.test=<rows> [key=value ...]     score on new rows
  predict <run or bundle> [files ...]     label rows of files, or lines of standard input

Hydra's own options work with check, train and evaluate: -m (sweeps), --cfg job, --info ...
Tab completion: eval "$(tunebook -sc install=bash)"

  tunebook train recipe=review_sentiment
  tunebook train recipe=review_sentiment data.train=reviews.csv data.label=stars model=minilm
"""

_OUT_OF_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


def _task(verb: str) -> Callable[[Any, str], float | None]:
    """The function behind a composing verb; imported late, because it may import torch."""
    if verb == "train":
        from tunebook.commands.train import train_command

        return train_command
    if verb == "check":
        from tunebook.commands.check import check_command

        return check_command
    from tunebook.commands.evaluate import evaluate_command

    return evaluate_command


def _run_task(verb: str, config: Any) -> float | None:
    """Hydra's task function: the work, with the folder that Hydra chose for it."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from tunebook.compose import explain, is_config_error

    hydra = HydraConfig.get()
    try:
        return _task(verb)(config, hydra.runtime.output_dir)
    except Exception as error:
        if hydra.mode == RunMode.MULTIRUN:
            raise  # the sweep decides what one failing job means
        if is_config_error(error):
            error = explain(error, verb, list(hydra.overrides.task))
        # Leaves through SystemExit because Hydra prints lines of its own about any other exception.
        raise SystemExit(_report(error)) from error


def _compose_and_run(verb: str, arguments: Sequence[str]) -> None:
    import hydra

    from tunebook.compose import explain, is_config_error, register_schemas
    from tunebook.plugins import register_search_path

    register_schemas()
    register_search_path()
    # Errors come to us whole, and leave as one message.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [sys.argv[0], *arguments]

    def task(config: Any) -> float | None:
        return _run_task(verb, config)

    try:
        hydra.main(config_path="pkg://tunebook.conf", config_name=verb, version_base="1.3")(task)()
    except Exception as error:
        if is_config_error(error):
            raise explain(error, verb, [a for a in arguments if "=" in a]) from error
        raise


def _composing_verb(verb: str, arguments: Sequence[str]) -> None:
    if any(a in ("-h", "--help") for a in arguments):
        from tunebook.commands.show import print_verb_help

        print_verb_help(verb)
        return
    if verb == "train":
        from tunebook.commands.ranks import follows_another_rank, follow

        if follows_another_rank():
            follow()
            return
        if any(a.startswith("resume=") and a != "resume=null" for a in arguments):
            from tunebook.commands.train import resume_command

            resume_command(arguments)
            return
    _compose_and_run(verb, arguments)


def _complete(arguments: Sequence[str]) -> None:
    """Tab completion: the verb is ours, the rest of the line is Hydra's."""
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    query = any(a.startswith("query=") for a in arguments)
    verb = words[1] if len(words) > 1 else ""
    if query and verb not in ("check", "train", "evaluate"):
        print("list show check train evaluate predict")
        return
    if query and verb in ("check", "train", "evaluate"):
        os.environ["COMP_LINE"] = line.replace(f" {verb}", "", 1)
    _compose_and_run(verb if query else "train", arguments)


def _dispatch(arguments: Sequence[str]) -> None:
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if verb in ("-h", "--help", "help"):
        print(USAGE, end="")
    elif verb == "--version":
        print(f"tunebook {__version__}")
    elif verb in ("-sc", "--shell-completion", "--shell_completion"):
        _complete(arguments)
    elif verb == "list":
        from tunebook.commands.show import print_recipes

        print_recipes(rest)
    elif verb == "show":
        from tunebook.commands.show import print_recipe

        print_recipe(rest)
    elif verb in ("check", "train", "evaluate"):
        _composing_verb(verb, rest)
    elif verb == "predict":
        from tunebook.commands.predict import predict_command

        predict_command(rest)
    elif verb == "_worker":
        from tunebook.commands.ranks import work_in

        work_in(rest[0])
    else:
        raise _unknown_verb(verb)


def _unknown_verb(verb: str) -> UserError:
    from difflib import get_close_matches

    near = get_close_matches(verb, ["list", "show", "check", "train", "evaluate", "predict"], n=1)
    hint = f"did you mean `tunebook {near[0]}`? " if near else ""
    return UserError(
        f"There is no verb '{verb}'.", where=f"tunebook {verb}", mend=f"{hint}`tunebook --help` shows all"
    )


def _as_user_error(error: OSError) -> UserError | None:
    """An operating system's refusal that the user can mend; None for any other."""
    where = str(error.filename) if error.filename else None
    if error.errno in _OUT_OF_ROOM:
        return UserError(
            f"There is no room left to write: {error.strerror}.",
            where=where,
            mend="free some space, or write elsewhere with run_dir=... (cached rows: data.cache_dir=...); "
            "what was written before is whole",
        )
    if error.errno in _NOT_WRITABLE:
        return UserError(
            f"This cannot be read or written: {error.strerror}.",
            where=where,
            mend="check its permissions, or choose another folder with run_dir=...",
        )
    return None


def _report(error: BaseException) -> int:
    """Print an error for a person; return the exit code. What is no user error is raised again."""
    if isinstance(error, OSError):
        error = _as_user_error(error) or error
    if not isinstance(error, UserError):
        raise error
    print(f"error: {error.told()}", file=sys.stderr)
    return error.exit_code


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the ``tunebook`` command; always ends in an exit code."""
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
