"""From a row, in any of the forms, to the turns of a conversation.

Nothing is guessed but names of roles that mean the same (`NAMES`). What a turn holds besides its text and its tool
calls (names, ids, sources) is not part of the conversation, and counted as not read. Flags that exclude it from
training are honoured (`FLAGS`).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import NoneType
from typing import Any

from tunebook.data.unread import EXCLUDED, KEYS, Unread
from tunebook.families.text_generation.data.flags import DETAILS, FLAGS, excluded_by
from tunebook.families.text_generation.data.message import ROLES, Message, Role, UnusableConversation
from tunebook.families.text_generation.options import ConversationFormat

NAMES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "function_response": "tool",
    "observation": "tool",
}
"""Common names of the roles: OpenAI, ShareGPT and its readers."""
READ = (*FLAGS, *DETAILS, "tool_calls", "function_call")
"""What is read of a turn beside its role and its text."""
MOST_TURNS = 1000
"""Turns of the longest conversation that is read."""
KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    NoneType: "null",
}

Row = Mapping[str, "str | None"]


def parse(row: Row, format: ConversationFormat, unread: Unread | None = None) -> list[Message]:
    """Read the conversation of a row; whether it can be learned from is for `check` to say.

    A content of several text parts becomes one text, a line a part. Tool calls follow the content, each a line of
    JSON with the name of the function and its arguments: ``{"name": "refund", "arguments": {"order": 17}}``.

    Args:
        row: Text by role, as `format_columns` names them; lists and objects as JSON.
        format: The form of the row.
        unread: Counts the keys of turns that are not read.

    Raises:
        UnusableConversation: The row does not hold what the form says.
    """
    return _READERS[format](row, unread or Unread())


def _from_messages(row: Row, unread: Unread) -> list[Message]:
    return _turns(_listed(row.get("messages")), unread)


def _from_sharegpt(row: Row, unread: Unread) -> list[Message]:
    system = _system(row)
    return system + _turns(_listed(row.get("conversations")), unread, len(system) + 1)


def _from_alpaca(row: Row, unread: Unread) -> list[Message]:
    """The input stands under the instruction, after an empty line."""
    turns = _system(row)
    for question, answer in _history(row.get("history")):
        turns += [_message("user", question), _message("assistant", answer)]
    question = "\n\n".join(part for part in (row.get("instruction"), row.get("input")) if part and part.strip())
    return [*turns, _message("user", question), _message("assistant", row.get("output") or "")]


def _from_prompt_completion(row: Row, unread: Unread) -> list[Message]:
    """A text is one turn, by the user or the assistant; a list of messages is as many as it has."""
    prompt = _side(row.get("prompt"), "user", unread, 1)
    _refuse_pair(row.get("completion"))
    return prompt + _side(row.get("completion"), "assistant", unread, len(prompt) + 1)


def _refuse_pair(completion: str | None) -> None:
    if completion and completion.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):
            items = json.loads(completion)
            if isinstance(items, list) and len(items) == 2 and all(isinstance(item, str) for item in items):
                raise UnusableConversation(
                    "the completion is a list of two texts, as of preference pairs. Keep the preferred one; an answer "
                    "that is such a list itself is written as messages"
                )


_READERS: Mapping[ConversationFormat, Callable[[Row, Unread], list[Message]]] = {
    ConversationFormat.messages: _from_messages,
    ConversationFormat.sharegpt: _from_sharegpt,
    ConversationFormat.alpaca: _from_alpaca,
    ConversationFormat.prompt_completion: _from_prompt_completion,
}


def _message(role: Role, content: str, supervised: bool = True) -> Message:
    # The reader has brought the row to normal form C, but not what JSON wrote in escapes.
    return Message(role, unicodedata.normalize("NFC", content), supervised)


def _system(row: Row) -> list[Message]:
    system = row.get("system") or ""
    return [_message("system", system)] if system.strip() else []


def _side(value: str | None, role: Role, unread: Unread, first: int) -> list[Message]:
    """A prompt or a completion. Only a list of objects that name a role is one of messages, other JSON is text."""
    try:
        items = json.loads(value or "")
    except (ValueError, RecursionError):
        items = None
    if isinstance(items, list) and any(isinstance(item, dict) and ("role" in item or "from" in item) for item in items):
        return _turns(_listed(value), unread, first)
    return [_message(role, value or "")]


def _history(value: str | None) -> list[tuple[str, str]]:
    pairs = _json(value) if value and value.strip() else []
    if not isinstance(pairs, list):
        raise UnusableConversation(f"the history is not a list but {_kind(pairs)}")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise UnusableConversation("the history is not a list of pairs: [[question, answer], ...]")
    _refuse_many(2 * len(pairs))
    return [(question, answer) for question, answer in pairs]


def _listed(value: str | None) -> list[Any]:
    """The items of a JSON list."""
    items = _json(value) if value and value.strip() else []
    if not isinstance(items, list):
        raise UnusableConversation(f"not a list of turns but {_kind(items)}")
    if not items:
        raise UnusableConversation("no turns")
    _refuse_many(len(items))
    return items


def _refuse_many(turns: int) -> None:
    # Each answer may become a row with the turns before it, so that the work grows with the square of the turns.
    if turns > MOST_TURNS:
        raise UnusableConversation(f"{turns:,} turns are more than {MOST_TURNS:,}: split the conversation")


def _turns(items: list[Any], unread: Unread, first: int = 1) -> list[Message]:
    return [_turn(item, number, unread) for number, item in enumerate(items, start=first)]


def _turn(item: Any, number: int, unread: Unread) -> Message:
    """One turn: ``role`` and ``content``, or ``from`` and ``value``."""
    if not isinstance(item, dict):
        raise UnusableConversation(f"turn {number} is {_kind(item)}, not an object with role and content")
    named = "role" if item.get("role") is not None else "from"
    name = item.get(named)
    if name is None:
        raise UnusableConversation(f"turn {number} has no role; its keys: {', '.join(map(str, item))}")
    role = NAMES.get(name) if isinstance(name, str) else None
    if role is None:
        raise UnusableConversation(f"unknown role {name!r} in turn {number} ({', '.join(ROLES)})")
    text = "content" if named == "role" else "value"
    excluded = ""
    if len(item) > 2:
        excluded = excluded_by(item, role, number)
        _count_beside(item, (named, text), unread)
    if excluded:
        unread.count(EXCLUDED, excluded)
    parts = [_content(item.get(text), number), *_calls(item, number)]
    return _message(role, "\n".join(part for part in parts if part), not excluded)


def _count_beside(item: Mapping[str, Any], read: tuple[str, str], unread: Unread) -> None:
    """Count the keys of a turn that are neither its role and text nor in `READ`, where they have a value."""
    for key, value in item.items():
        if key not in read and key not in READ and value not in (None, "", [], {}):
            unread.count(KEYS, key)


def _content(value: Any, number: int) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if not isinstance(value, list):
        raise UnusableConversation(f"turn {number} holds {_kind(value)}, not text")
    return "\n".join(_part(part, number) for part in value)


def _part(part: Any, number: int) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    what = f"a part of type {kind!r}" if isinstance(kind, str) and kind != "text" else "a part without text"
    raise UnusableConversation(f"turn {number} holds {what}: only text is supported")


def _calls(item: dict[str, Any], number: int) -> list[str]:
    """Tool calls as JSON, one a text; ``function_call`` is what OpenAI called them first."""
    calls = item.get("tool_calls") or []
    if item.get("function_call"):
        calls = [{"function": item["function_call"]}]
    return [_call(call, number) for call in calls] if isinstance(calls, list) else [_call(None, number)]


def _call(call: Any, number: int) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not (isinstance(function, dict) and isinstance(function.get("name"), str)):
        raise UnusableConversation(f"turn {number} has a tool call that names no function")
    arguments = function.get("arguments")
    if isinstance(arguments, str):  # OpenAI writes the arguments as JSON in a text of its own
        with suppress(ValueError, RecursionError):
            arguments = json.loads(arguments)
    return json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        hint = " (Python wrote it: use json.dumps, not str)" if text.lstrip().startswith(("[{'", "{'")) else ""
        raise UnusableConversation(f"not JSON: {error.msg.removesuffix(' at')} at column {error.colno}{hint}") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "has a number with too many digits"
        raise UnusableConversation(reason) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UnusableConversation(f"the key {twice!r} occurs more than once in an object")
    return record


def _no_constant(name: str) -> None:
    raise UnusableConversation(f"contains {name}, which is not JSON")


def _kind(value: Any) -> str:
    return KINDS[type(value)]
