"""What no chat can take, refused before a model is loaded."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tunebook.errors import UserError
from tunebook.families.text_generation.data.message import Tools, UnusableConversation
from tunebook.families.text_generation.data.tools import HOW, parse_tools
from tunebook.models.positions import positions
from tunebook.models.source import ModelSource, check_folder
from tunebook.untrusted import read_json


def check_room(longest: int | None, folder: Path) -> None:
    """Refuse answers so long that no question fits before them."""
    check_folder(folder)
    settings = ModelSource(str(folder), folder).settings
    limit = positions(settings.get("text_config") or settings)
    if longest and limit and longest > limit - 8:
        raise UserError(
            f"Answers of {longest} tokens leave no room for a question: the model has {limit} positions.",
            code="chat.no-room",
            where=f"--max-new-tokens {longest}",
            fix=f"--max-new-tokens {max(1, limit // 4)}",
        )


def offered_tools(name: str) -> Tools:
    """The tools of a file: a JSON list in OpenAI's form.

    Raises:
        UserError: The file cannot be read, or holds something else.
    """
    try:
        tools = parse_tools(json.dumps(read_json(Path(name).expanduser()), ensure_ascii=False))
    except OSError as error:
        raise _bad_tools(name, f"the file cannot be read: {error.strerror}") from error
    except ValueError as error:  # among them what is not UTF-8
        raise _bad_tools(name, f"the file is no JSON: {error}") from error
    except UnusableConversation as error:
        raise _bad_tools(name, str(error)) from error
    if not tools:
        raise _bad_tools(name, "the file lists none")
    return tools


def _bad_tools(name: str, reason: str) -> UserError:
    return UserError(
        f"These tools cannot be used: {reason}.",
        code="chat.bad-tools",
        where=f"--tools {name}",
        fix=f"give a JSON list, each {HOW}",
    )


def saving_place(name: str) -> Path:
    """A file that conversations can be appended to.

    Raises:
        UserError: It would be no .jsonl, it holds something else, or it cannot be written.
    """
    file = Path(name).expanduser().absolute()
    if file.suffix != ".jsonl":
        raise UserError(
            "Conversations are saved as .jsonl.",
            code="command.wrong-extension",
            where=name or "no name",
            fix="give a name that ends in .jsonl",
        )
    if not file.parent.is_dir():
        raise UserError(
            "The folder to save in is missing.",
            code="file.missing-folder",
            where=str(file.parent),
            fix="create it first",
        )
    try:
        content = file.read_bytes() if file.exists() else b""
    except OSError as error:
        raise not_writable(file, error.strerror) from error
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise not_writable(file, "there is no permission to write")
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip() and not _is_conversation(line):
            raise UserError(
                "This file does not contain conversations, and was left unchanged.",
                code="file.exists",
                where=f"{file}:{number}",
                fix="save under another name",
            )
    return file


def _is_conversation(line: bytes) -> bool:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and isinstance(record.get("messages"), list)


def not_writable(file: Path, reason: str | None) -> UserError:
    """The error for a file that conversations cannot be saved in."""
    return UserError(
        f"Conversations cannot be saved here: {reason}.",
        code="file.not-writable",
        where=str(file),
        fix="save elsewhere",
    )
