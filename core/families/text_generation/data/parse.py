"""From a row, in any of the forms, to the turns of a conversation.

Nothing is guessed but names of roles that mean the same (`NAMES`). What a turn holds besides its text and its tool
calls (names, ids, sources) is not part of the conversation, and counted as not read. Flags that exclude it from
training are honoured (`FLAGS`). Tool calls stay what they are where the row lists tools; elsewhere they become text.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tunebook.data.unread import EXCLUDED, KEYS, Unread
from tunebook.families.text_generation.data.flags import DETAILS, FLAGS, excluded_by
from tunebook.families.text_generation.data.message import (
    ROLES,
    Message,
    Role,
    Tools,
    UnusableConversation,
    offering,
)
from tunebook.families.text_generation.data.strict_json import kind, strict_json
from tunebook.families.text_generation.data.tools import TOOLS, parse_calls, parse_tools
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
READ_OF_TOOLS = ("tool_call_id", "name")
"""What is read besides of the turns of tools that a row lists."""
MOST_TURNS = 1000
"""Turns of the longest conversation that is read."""
Row = Mapping[str, "str | None"]


@dataclass(frozen=True)
class _Reading:
    """What turns are read with.

    Attributes:
        unread: Counts the keys of turns that are not read.
        tools: What the row lists.
        others: Whether other rows list tools.
    """

    unread: Unread
    tools: Tools = ()
    others: bool = False


def parse(
    row: Row, format: ConversationFormat, unread: Unread | None = None, others_list_tools: bool = False
) -> list[Message]:
    """Read the conversation of a row; whether it can be learned from is for `check` to say.

    A content of several text parts becomes one text, a line a part. Tool calls follow the content, each a line of
    JSON with the name of the function and its arguments: ``{"name": "refund", "arguments": {"order": 17}}``. Where the
    row lists ``tools``, they are kept as `Message.calls` instead.

    Args:
        row: Text by role, as `format_columns` names them; lists and objects as JSON.
        format: The form of the row.
        unread: Counts the keys of turns that are not read.
        others_list_tools: Whether other rows list tools, so that one without them may call none.

    Raises:
        UnusableConversation: The row does not hold what the form says.
    """
    tools = parse_tools(row.get(TOOLS) or "")
    messages = _READERS[format](row, _Reading(unread or Unread(), tools, others_list_tools))
    return offering(messages, tools)


def _from_messages(row: Row, reading: _Reading) -> list[Message]:
    return _turns(_listed(row.get("messages")), reading)


def _from_sharegpt(row: Row, reading: _Reading) -> list[Message]:
    system = _system(row)
    return system + _turns(_listed(row.get("conversations")), reading, len(system) + 1)


def _from_alpaca(row: Row, reading: _Reading) -> list[Message]:
    """The input stands under the instruction, after an empty line."""
    turns = _system(row)
    for question, answer in _history(row.get("history")):
        turns += [_message("user", question), _message("assistant", answer)]
    question = "\n\n".join(part for part in (row.get("instruction"), row.get("input")) if part and part.strip())
    return [*turns, _message("user", question), _message("assistant", row.get("output") or "")]


def _from_prompt_completion(row: Row, reading: _Reading) -> list[Message]:
    """A text is one turn, by the user or the assistant; a list of messages is as many as it has."""
    prompt = _side(row.get("prompt"), "user", reading, 1)
    _refuse_pair(row.get("completion"))
    return prompt + _side(row.get("completion"), "assistant", reading, len(prompt) + 1)


def _refuse_pair(completion: str | None) -> None:
    if completion and completion.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):
            items = json.loads(completion)
            if isinstance(items, list) and len(items) == 2 and all(isinstance(item, str) for item in items):
                raise UnusableConversation(
                    "the completion is a list of two texts, as of preference pairs. Keep the preferred one; an answer "
                    "that is such a list itself is written as messages"
                )


_READERS: Mapping[ConversationFormat, Callable[[Row, _Reading], list[Message]]] = {
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


def _side(value: str | None, role: Role, reading: _Reading, first: int) -> list[Message]:
    """A prompt or a completion. Only a list of objects that name a role is one of messages, other JSON is text."""
    try:
        items = json.loads(value or "")
    except (ValueError, RecursionError):
        items = None
    if isinstance(items, list) and any(isinstance(item, dict) and ("role" in item or "from" in item) for item in items):
        return _turns(_listed(value), reading, first)
    return [_message(role, value or "")]


def _history(value: str | None) -> list[tuple[str, str]]:
    pairs = strict_json(value) if value and value.strip() else []
    if not isinstance(pairs, list):
        raise UnusableConversation(f"the history is not a list but {kind(pairs)}")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise UnusableConversation("the history is not a list of pairs: [[question, answer], ...]")
    _refuse_many(2 * len(pairs))
    return [(question, answer) for question, answer in pairs]


def _listed(value: str | None) -> list[Any]:
    """The items of a JSON list."""
    items = strict_json(value) if value and value.strip() else []
    if not isinstance(items, list):
        raise UnusableConversation(f"not a list of turns but {kind(items)}")
    if not items:
        raise UnusableConversation("no turns")
    _refuse_many(len(items))
    return items


def _refuse_many(turns: int) -> None:
    # Each answer may become a row with the turns before it, so that the work grows with the square of the turns.
    if turns > MOST_TURNS:
        raise UnusableConversation(f"{turns:,} turns are more than {MOST_TURNS:,}: split the conversation")


def _turns(items: list[Any], reading: _Reading, first: int = 1) -> list[Message]:
    return [_turn(item, number, reading) for number, item in enumerate(items, start=first)]


def _turn(item: Any, number: int, reading: _Reading) -> Message:
    """One turn: ``role`` and ``content``, or ``from`` and ``value``."""
    if not isinstance(item, dict):
        raise UnusableConversation(f"turn {number} is {kind(item)}, not an object with role and content")
    named = "role" if item.get("role") is not None else "from"
    name = item.get(named)
    if name is None:
        raise UnusableConversation(f"turn {number} has no role; its keys: {', '.join(map(str, item))}")
    role = NAMES.get(name) if isinstance(name, str) else None
    if role is None:
        raise UnusableConversation(f"unknown role {name!r} in turn {number} ({', '.join(ROLES)})")
    text = "content" if named == "role" else "value"
    calls = _raw_calls(item, role, number)
    if calls and reading.others and not reading.tools:
        raise UnusableConversation(f"turn {number} calls a tool, and the row lists none in 'tools', as other rows do")
    excluded = ""
    if len(item) > 2:
        excluded = excluded_by(item, role, number)
        _count_beside(item, (named, text), reading, role)
    if excluded:
        reading.unread.count(EXCLUDED, excluded)
    said = _content(item.get(text), number)
    if not reading.tools:
        parts = [said, *(_call(call, number) for call in (calls if isinstance(calls, list) else [None]))]
        return _message(role, "\n".join(part for part in parts if part), not excluded)
    if name == "function_call" and not calls:  # ShareGPT: the call is what is said
        said, calls = "", [{"function": _said_call(said, number)}]
    message = _message(role, said, not excluded)
    if role == "tool":
        return replace(message, call_id=_named(item, "tool_call_id", number), name=_named(item, "name", number))
    return replace(message, calls=parse_calls(calls, number, reading.tools))


def _named(item: Mapping[str, Any], key: str, number: int) -> str:
    """A name that a tool's turn may have."""
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        raise UnusableConversation(f"the {key} of turn {number} is {kind(value)}, not a text")
    return unicodedata.normalize("NFC", value or "")


def _said_call(said: str, number: int) -> Any:
    try:
        return strict_json(said)
    except UnusableConversation as error:
        raise UnusableConversation(f"the function call of turn {number} cannot be read: {error}") from None


def _count_beside(item: Mapping[str, Any], read: tuple[str, str], reading: _Reading, role: Role) -> None:
    """Count the keys of a turn that are neither its role and text nor in `READ`, where they have a value."""
    known = (*read, *READ, *(READ_OF_TOOLS if reading.tools and role == "tool" else ()))
    for key, value in item.items():
        if key not in known and value not in (None, "", [], {}):
            reading.unread.count(KEYS, key)


def _content(value: Any, number: int) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if not isinstance(value, list):
        raise UnusableConversation(f"turn {number} holds {kind(value)}, not text")
    return "\n".join(_part(part, number) for part in value)


def _part(part: Any, number: int) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    what = f"a part of type {kind!r}" if isinstance(kind, str) and kind != "text" else "a part without text"
    raise UnusableConversation(f"turn {number} holds {what}: only text is supported")


def _raw_calls(item: Mapping[str, Any], role: Role, number: int) -> Any:
    """Tool calls as the row has them; ``function_call`` is what OpenAI called them first."""
    calls = item.get("tool_calls") or []
    if item.get("function_call"):
        calls = [{"function": item["function_call"]}]
    if calls and role != "assistant":
        raise UnusableConversation(f"turn {number} is a {role} turn with tool calls, which only the assistant makes")
    return calls


def _call(call: Any, number: int) -> str:
    """A call as a line of JSON."""
    function = call.get("function") if isinstance(call, dict) else None
    if not (isinstance(function, dict) and isinstance(function.get("name"), str)):
        raise UnusableConversation(f"turn {number} has a tool call that names no function")
    arguments = function.get("arguments")
    if isinstance(arguments, str):  # OpenAI writes the arguments as JSON in a text of its own
        with suppress(ValueError, RecursionError):
            arguments = json.loads(arguments)
    return json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)
