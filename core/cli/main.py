"""The command line: a verb, then what it works on. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from tunebook import __version__
from tunebook.cli.verbs import COMPOSING, HIDDEN, PLAIN, VERBS, named
from tunebook.errors import UserError
from tunebook.garbage import look_seldom
from tunebook.interruption import Terminated, raise_on_sigterm
from tunebook.training.ranks import announced_run, follows_another_rank

USAGE = """\
Tunebook: fine-tuning recipes with an honest report.

usage: tunebook <verb> ...

  list                            all recipes
  show <recipe>                   every option of a recipe: type, default, help
  check recipe=<name> [key=value ...]     validate the rows and the config without training
  train recipe=<name> [key=value ...]     tune, score, report, and write a bundle
  train resume=<run folder>       resume an interrupted run exactly where it stopped
  compare recipe=<name> [key=value ...]     what tuning gains: baselines, few shots, head, LoRA, full, on the same rows
  evaluate bundle=<run or bundle> data.test=<rows> [key=value ...]     score on new rows
  predict <run or bundle> [files ...]     predict for rows of files, images, or lines of standard input
  pick <run or bundle> files ...  which rows to label next: those that the model is unsure of, unlike each other
  chat <run or bundle>            talk with a model that writes, or answer lines of standard input turn by turn
  export <run or bundle> -o model.onnx    the model of an image or text recipe for programs without Python
  new <name> --family <family>    write a recipe to start from: text_classification, image_classification ...
  verify <recipe> [key=value ...] check a recipe against the contract

Hydra's own options work with check, train, compare and evaluate: -m (sweeps), --cfg job, --info ...
Tab completion: eval "$(tunebook -sc install=bash)"

  tunebook train recipe=review_sentiment
  tunebook train recipe=review_sentiment data.train=reviews.csv data.label=stars model=minilm
"""


def _dispatch(arguments: Sequence[str]) -> int:
    """Do what was typed; returns the exit code."""
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if verb in ("-h", "--help", "help"):
        print(USAGE, end="")
    elif verb == "--version":
        print(f"tunebook {__version__}")
    elif verb in ("-sc", "--shell-completion", "--shell_completion"):
        if any(a.startswith("query=") for a in arguments):
            named("tunebook.cli.completion:print_candidates")()
        else:
            named("tunebook.cli.run:compose_and_run")("train", arguments)  # Hydra prints the shell's function
    elif verb in COMPOSING:
        _composing_verb(verb, rest)
    elif verb in PLAIN or verb in HIDDEN:
        return named({**PLAIN, **HIDDEN}[verb])(rest) or 0
    else:
        raise _unknown_verb(verb, rest)
    return 0


def _composing_verb(verb: str, arguments: Sequence[str]) -> None:
    if any(a in ("-h", "--help") for a in arguments):
        named("tunebook.cli.options:print_verb_help")(verb)
    elif verb == "train" and follows_another_rank():
        named(HIDDEN["_worker"])([announced_run()])
    elif verb == "train" and any(a.startswith("resume=") and a != "resume=null" for a in arguments):
        named("tunebook.cli.resume:resume_command")(arguments)
    else:
        named("tunebook.cli.run:compose_and_run")(verb, arguments)


def _unknown_verb(verb: str, arguments: Sequence[str]) -> UserError:
    if verb == "resume":
        folder = shlex.quote(arguments[0]) if arguments else "<run folder>"
        return UserError(
            "There is no verb 'resume'.",
            code="command.unknown-verb",
            where="tunebook resume",
            fix=f"tunebook train resume={folder}",
        )
    near = get_close_matches(verb, VERBS, n=1)
    hint = f"did you mean `tunebook {near[0]}`? " if near else ""
    return UserError(
        f"There is no verb '{verb}'.",
        code="command.unknown-verb",
        where=f"tunebook {verb}",
        fix=f"{hint}`tunebook --help` shows all",
    )


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the ``tunebook`` command; always ends in an exit code."""
    raise_on_sigterm()
    look_seldom()
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.raiseExceptions = False  # a log line whose reader left, as of `--info | head`, is nobody's mistake
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe (head, less) left; silence the interpreter's own complaint at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Terminated:
        print("terminated", file=sys.stderr)
        raise
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        try:
            code = named("tunebook.cli.refusals:report")(error)
        except Exception as unforeseen:
            if arguments and arguments[0] in HIDDEN:  # whoever started this process reads what it wrote
                raise
            code = named("tunebook.cli.fault:report_fault")(unforeseen, arguments)
    sys.exit(code)
