"""Talk with a tuned model in the terminal, or turn by turn through a pipe."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from tunebook.bundle.manifest import Manifest
from tunebook.bundle.read import open_bundle
from tunebook.config.schema import Accelerator, TrainerConfig
from tunebook.data.lines import byte_lines
from tunebook.errors import UserError
from tunebook.families.text_generation.chat.checks import offered_tools, saving_place
from tunebook.families.text_generation.chat.session import Chat
from tunebook.families.text_generation.data.message import UnusableConversation
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.terminal import drawn
from tunebook.training.devices import choose_accelerator


def talk(recipe: TextGeneration[Any], folder: Path, manifest: Manifest, options: argparse.Namespace) -> None:
    """Open the bundle, and talk until the other side leaves."""
    save = saving_place(options.save) if options.save is not None else None
    with _status("loading the model"):
        model, device = _open(folder, options)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a model may write what an old terminal has no letters for
    tools = offered_tools(options.tools) if options.tools is not None else ()
    chat = Chat(model, device, _notify, save, help=options.commands, tools=tools)
    if tools:
        model.template.check_tools()
    try:
        chat.begin(options.system)
    except UnusableConversation as reason:
        raise UserError(
            f"The model cannot take this system prompt: {reason}.",
            code="chat.bad-system-prompt",
            where="--system",
            fix="change it, or leave it out",
        ) from reason
    try:
        if sys.stdin.isatty() and sys.stdout.isatty():
            print(f"{manifest.recipe}: {folder}\n/help shows the commands; Ctrl-D exits")
            _talk(chat)
        else:
            _answer_lines(chat)
    finally:
        chat.end()


def _open(folder: Path, options: argparse.Namespace) -> tuple[TextGenerator, str]:
    """The bundle's model, with its sampling settings, and where to compute."""
    try:
        device = choose_accelerator(TrainerConfig(accelerator=Accelerator[options.accelerator]))
    except UserError as error:  # it speaks of config keys
        where, fix = f"--accelerator {options.accelerator}", "--accelerator auto"
        raise error.replace(where=where, fix=fix) from error
    _, _, model = open_bundle(folder)
    model.generation = replace(
        model.generation,
        max_new_tokens=options.max_new_tokens or model.generation.max_new_tokens,
        do_sample=options.temperature > 0,
        temperature=options.temperature or 1.0,
        top_p=options.top_p,
        seed=options.seed,
    )
    return model, device


def _status(what: str) -> AbstractContextManager[object]:
    """A line that moves while somebody waits at a terminal."""
    if not sys.stderr.isatty():
        return nullcontext()

    return Console(stderr=True).status(what)


def _notify(text: str) -> None:
    """Print what is not an answer; a note dimly, where that shows."""
    sys.stdout.flush()
    if text.startswith("note:") and sys.stderr.isatty():
        Console(stderr=True).print(Text(drawn(text), style="dim"), soft_wrap=True)
    else:
        print(drawn(text), file=sys.stderr, flush=True)


def _say(chat: Chat, pieces: Iterator[str]) -> None:
    """Write an answer, and note where it was truncated."""
    before = len(chat.turns)
    _write(pieces)
    if len(chat.turns) > before and chat.cut[-1]:
        longest = chat.model.generation.max_new_tokens
        _notify(f"note: this answer was truncated at {longest} tokens; raise --max-new-tokens")


def _write(pieces: Iterator[str]) -> None:
    for piece in pieces:
        print(drawn(piece), end="", flush=True)
    print(flush=True)


def _answer_lines(chat: Chat) -> None:
    """Answer each line of standard input; what cannot be answered ends it."""
    if sys.stdin.isatty():
        _notify("one turn a line; end with Ctrl-D")
    number = 0
    for number, line in enumerate(byte_lines(sys.stdin.buffer, "stdin"), 1):
        where = f"standard input, line {number}"
        try:
            text = line.decode("utf-8").strip()
            if text:
                pieces = chat.answer(text)
                if not chat.results:
                    _say(chat, pieces)
        except UnicodeDecodeError as error:
            raise UserError(
                "Standard input is not UTF-8.",
                code="command.not-utf8",
                where=f"{where}: {line[:60]!r}",
                fix="convert it: iconv -t utf-8 ...",
            ) from error
        except UnusableConversation as reason:
            raise UserError(
                f"This turn cannot be answered: {reason}.", code="chat.bad-turn", where=where, fix="change the line"
            ) from reason
    if not number:
        raise UserError(
            "Standard input is empty.",
            code="command.no-input",
            where="stdin",
            fix="pipe one turn a line, or type them",
        )


def _talk(chat: Chat) -> None:
    """Read, answer, obey, until Ctrl-D."""
    with suppress(ImportError):
        import readline  # noqa: F401  # input() edits and remembers lines with it
    while True:
        try:
            line = input("you> ").strip()
            line.encode("utf-8")  # some locales let bytes that are none through, as halves of pairs
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            raise
        except UnicodeError:
            _notify("this line is not UTF-8, and was not sent")
            continue
        if line.startswith("/") and not line.startswith("//"):
            name, *text = line.split(maxsplit=1)
            if name == "/quit":
                return
            _obey(chat, name, "".join(text))
        elif line:
            _exchange(chat, line.removeprefix("/"))


def _exchange(chat: Chat, text: str) -> None:
    before, answers, results = len(chat.turns), len(chat.cut), list(chat.results)
    try:
        pieces = chat.answer(text)
        if chat.results:
            return
        print("assistant> ", end="", flush=True)
        _say(chat, pieces)
    except UnusableConversation as reason:
        _notify(f"this turn was not sent: {reason}")
    except KeyboardInterrupt:
        # Half an answer is no example of a good one, neither for the model to go on from nor to be saved.
        del chat.turns[before:], chat.cut[answers:]
        chat.results = results
        print()
        _notify("stopped; question and answer were removed")


def _obey(chat: Chat, name: str, text: str) -> None:
    """Do what a command says, but for leaving."""
    try:
        if name == "/help":
            print(chat.help, end="")
        elif name == "/new":
            chat.begin(chat.system)
            _notify("a new conversation")
        elif name == "/system":
            chat.begin(text)
            _notify("a new conversation, " + ("under this system prompt" if text else "without a system prompt"))
        elif name == "/undo":
            taken = chat.undo()
            _notify(f"removed: {taken}" if taken is not None else "there is nothing to undo")
        elif name == "/save":
            _notify(chat.saved(saving_place(text)) if chat.turns else "there is nothing to save yet")
        else:
            _notify(f"there is no command {name}; /help shows all, and // sends text that begins with a slash")
    except UnusableConversation as reason:
        _notify(f"the model cannot take this system prompt: {reason}")
    except UserError as error:
        _notify(f"{error.message().splitlines()[0]} ({error.where}; {error.fix})")
