"""`tunebook chat`: talk with a tuned model in the terminal, or turn by turn through a pipe."""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tunebook.cli.chat_session import Chat, saving_place
from tunebook.cli.terminal import drawn
from tunebook.errors import UserError
from tunebook.families.text_generation.data.message import UnusableConversation

if TYPE_CHECKING:
    from tunebook.bundle.manifest import Manifest
    from tunebook.pipeline.predictor import Chatting

COMMANDS = """\
/new               forget the conversation and start anew
/system TEXT       start anew under this system prompt; without a text, under none
/undo              take back the last question and its answer
/save FILE.jsonl   append the conversation to a file, in a form that training takes
/help              show these lines
/quit              leave; so does Ctrl-D
//...              say what follows the first slash
Ctrl-C             stops an answer; it and its question are taken back
"""
_ACCELERATORS = ["auto", "cpu", "gpu", "mps"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tunebook chat",
        description="Talk with the model of a bundle. In a pipe each line of standard input is one turn, whatever it\n"
        "begins with, and the answers alone are written. Nothing is sent anywhere, and nothing is\n"
        "kept on disk unless you say so.",
        epilog="in the terminal:\n" + "".join(f"  {line}\n" for line in COMMANDS.splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="run folder or bundle folder")
    parser.add_argument("--system", metavar="TEXT", default="", help="system prompt (default: none)")
    parser.add_argument("--max-new-tokens", metavar="N", type=int, help="longest answer (default: as in training)")
    parser.add_argument(
        "--temperature",
        metavar="T",
        type=float,
        default=0.0,
        help="above 0: draw each token (default: 0, the likeliest)",
    )
    parser.add_argument(
        "--top-p", metavar="P", type=float, default=1.0, help="draw from the fewest tokens of this probability"
    )
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="of the draws (default: 0)")
    parser.add_argument("--accelerator", choices=_ACCELERATORS, default="auto", help="device")
    parser.add_argument("--save", metavar="FILE.jsonl", help="append every conversation to this file when it ends")
    return parser


def chat_command(arguments: Sequence[str]) -> None:
    """Check what was asked for, open the bundle, and talk until the other side leaves."""
    options = _parser().parse_args(list(arguments))
    _check_values(options)
    save = saving_place(options.save) if options.save is not None else None

    from tunebook.bundle.manifest import find_bundle, read_manifest
    from tunebook.bundle.read import recipe_of

    folder = find_bundle(options.model)
    manifest = read_manifest(folder)
    if manifest.generation is None or not getattr(recipe_of(manifest), "talks", False):
        raise _does_not_talk(manifest, folder)
    _check_room(options.max_new_tokens, folder)
    with _status("loading the model"):
        model, device = _open(folder, options)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a model may write what an old terminal has no letters for
    chat = Chat(model, device, _tell, save)
    try:
        chat.begin(options.system)
    except UnusableConversation as reason:
        raise UserError(
            f"The model cannot take this system prompt: {reason}.", where="--system", fix="change it, or leave it out"
        ) from reason
    try:
        if sys.stdin.isatty() and sys.stdout.isatty():
            print(f"{manifest.recipe}: {folder}\n/help shows what you can do; Ctrl-D leaves")
            _talk(chat)
        else:
            _answer_lines(chat)
    finally:
        chat.end()


def _check_values(options: argparse.Namespace) -> None:
    """Refuse what no model could take, before one is loaded."""
    longest, temperature, share = options.max_new_tokens, options.temperature, options.top_p
    wrong = {
        "--max-new-tokens": (longest is not None and longest < 1, longest, "is at least 1"),
        "--temperature": (not (math.isfinite(temperature) and temperature >= 0), temperature, "is 0 or above"),
        "--top-p": (not 0 < share <= 1, share, "is above 0 and at most 1"),
        "--seed": (options.seed < 0, options.seed, "is 0 or above"),
    }
    for name, (is_wrong, value, rule) in wrong.items():
        if is_wrong:
            raise UserError(f"{name} {rule}.", where=f"{name} {value}", fix="choose another value, or leave it out")
    if share < 1 and not temperature:
        raise UserError(
            "Nothing is drawn without a temperature, so --top-p means nothing.",
            where=f"--top-p {share}",
            fix="--temperature 1 draws as the model says",
        )


def _check_room(longest: int | None, folder: Path) -> None:
    """Refuse answers so long that no question fits before them."""
    from tunebook.models.source import ModelSource, check_folder
    from tunebook.models.text import positions

    check_folder(folder)
    settings = ModelSource(str(folder), folder).settings
    limit = positions(settings.get("text_config") or settings)
    if longest and limit and longest > limit - 8:
        raise UserError(
            f"Answers of {longest} tokens leave no room for a question: the model has {limit} positions.",
            where=f"--max-new-tokens {longest}",
            fix=f"--max-new-tokens {max(1, limit // 4)}",
        )


def _does_not_talk(manifest: Manifest, folder: Path) -> UserError:
    does = "labels texts" if manifest.image is None else "labels images"
    if manifest.generation is not None:
        does = "writes on what a row holds"
    return UserError(
        f"This bundle's model {does} and does not talk.",
        where=str(folder),
        fix=f"ask it with: tunebook predict {folder}",
    )


def _open(folder: Path, options: argparse.Namespace) -> tuple[Chatting, str]:
    """The bundle's model, set to choose its words as asked, and where to compute."""
    from dataclasses import replace

    from tunebook.bundle.read import open_bundle
    from tunebook.config.schema import Accelerator, TrainerConfig
    from tunebook.pipeline.predictor import Chatting
    from tunebook.training.devices import choose_accelerator

    try:
        device = choose_accelerator(TrainerConfig(accelerator=Accelerator[options.accelerator]))
    except UserError as error:  # it speaks of config keys
        where, fix = f"--accelerator {options.accelerator}", "--accelerator auto"
        raise UserError(error.what, where=where, fix=fix) from error
    manifest, _, model = open_bundle(folder)
    if not isinstance(model, Chatting):
        raise _does_not_talk(manifest, folder)
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
    from rich.console import Console

    return Console(stderr=True).status(what)


def _tell(text: str) -> None:
    """Say what is no answer beside the answers; a note dimly, where that shows."""
    sys.stdout.flush()
    if text.startswith("note:") and sys.stderr.isatty():
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True).print(Text(drawn(text), style="dim"), soft_wrap=True)
    else:
        print(drawn(text), file=sys.stderr, flush=True)


def _say(chat: Chat, pieces: Iterator[str]) -> None:
    """Write an answer, and tell where it was cut off."""
    before = len(chat.turns)
    _write(pieces)
    if len(chat.turns) > before and chat.cut[-1]:
        longest = chat.model.generation.max_new_tokens
        _tell(f"note: this answer stops at {longest} tokens, unfinished; --max-new-tokens allows more")


def _write(pieces: Iterator[str]) -> None:
    for piece in pieces:
        print(drawn(piece), end="", flush=True)
    print(flush=True)


def _answer_lines(chat: Chat) -> None:
    """Answer each line of standard input; what cannot be answered ends it."""
    if sys.stdin.isatty():
        _tell("one turn a line; end with Ctrl-D")
    number = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        where = f"standard input, line {number}"
        try:
            text = line.decode("utf-8").strip()
            if text:
                _say(chat, chat.answer(text))
        except UnicodeDecodeError as error:
            raise UserError(
                "Standard input is not UTF-8.", where=f"{where}: {line[:60]!r}", fix="convert it: iconv -t utf-8 ..."
            ) from error
        except UnusableConversation as reason:
            raise UserError(f"This turn cannot be answered: {reason}.", where=where, fix="change the line") from reason
    if not number:
        raise UserError("There is no line on standard input.", where="stdin", fix="pipe one turn a line, or type them")


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
            _tell("this line is not UTF-8, and was not sent")
            continue
        if line.startswith("/") and not line.startswith("//"):
            name, *text = line.split(maxsplit=1)
            if name == "/quit":
                return
            _obey(chat, name, "".join(text))
        elif line:
            _exchange(chat, line.removeprefix("/"))


def _exchange(chat: Chat, text: str) -> None:
    before = len(chat.turns)
    try:
        pieces = chat.answer(text)
        print("assistant> ", end="", flush=True)
        _say(chat, pieces)
    except UnusableConversation as reason:
        _tell(f"this turn was not sent: {reason}")
    except KeyboardInterrupt:
        # Half an answer is no example of a good one, neither for the model to go on from nor to be saved.
        del chat.turns[before:], chat.cut[before // 2 :]
        print()
        _tell("stopped; question and answer are taken back")


def _obey(chat: Chat, name: str, text: str) -> None:
    """Do what a command says, but for leaving."""
    try:
        if name == "/help":
            print(COMMANDS, end="")
        elif name == "/new":
            chat.begin(chat.system)
            _tell("a new conversation")
        elif name == "/system":
            chat.begin(text)
            _tell("a new conversation, " + ("under this system prompt" if text else "without a system prompt"))
        elif name == "/undo":
            taken = chat.undo()
            _tell(f"taken back: {taken}" if taken is not None else "there is nothing to take back")
        elif name == "/save":
            _tell(chat.saved(saving_place(text)) if chat.turns else "there is nothing to save yet")
        else:
            _tell(f"there is no command {name}; /help shows all, and //... says what begins with a slash")
    except UnusableConversation as reason:
        _tell(f"the model cannot take this system prompt: {reason}")
    except UserError as error:
        _tell(f"{error.message().splitlines()[0]} ({error.where}; {error.fix})")
