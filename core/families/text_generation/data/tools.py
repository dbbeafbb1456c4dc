"""The tools that a conversation lists, and the calls of them in its turns: read from OpenAI's form, and checked."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tunebook.families.text_generation.data.message import Message, ToolCall, Tools, UnusableConversation
from tunebook.families.text_generation.data.strict_json import SURROGATE, kind, strict_json

TOOLS = "tools"
"""Column with the tools of a conversation."""
HOW = '{"type": "function", "function": {"name": "...", "description": "...", "parameters": {...}}}'
NO_TOOLS = {None, "", "[]", "null"}
"""Cells that list none."""
DEEPEST = 32
"""Levels of objects and lists in tools and arguments."""
_TEXTS = ("name", "description")


@lru_cache(maxsize=64)  # most conversations of a file list the same ones
def parse_tools(value: str) -> Tools:
    """The tools of a row: a JSON list of functions in OpenAI's form; none where it is empty.

    Raises:
        UnusableConversation: They are something else; the reason says what.
    """
    if not value.strip():
        return ()
    try:
        tools = strict_json(unicodedata.normalize("NFC", value))
    except UnusableConversation as error:
        raise UnusableConversation(f"the tools cannot be read: {error}") from None
    if tools is None:
        return ()
    if not isinstance(tools, list):
        raise UnusableConversation(f"the tools are not a list but {kind(tools)}; each is {HOW}")
    names = [_tool_name(tool, number) for number, tool in enumerate(tools, 1)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UnusableConversation(f"two tools have the name {twice[0]!r}")
    if problem := _unwritable(tools):
        raise UnusableConversation(f"the tools {problem}")
    return tuple(tools)


def _tool_name(tool: Any, number: int) -> str:
    """The name of a tool that has OpenAI's form."""
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or tool.get("type", "function") != "function":
        raise UnusableConversation(f"tool {number} is not {HOW}")
    for key in _TEXTS:
        found = function.get(key)
        if not isinstance(found, str) and (key == "name" or found is not None):
            raise UnusableConversation(f"the {key} of tool {number} is {kind(found)}, not a text")
    if not function["name"].strip():
        raise UnusableConversation(f"the name of tool {number} is empty")
    if not isinstance(function.get("parameters"), (dict, type(None))):
        what = kind(function["parameters"])
        raise UnusableConversation(f"the parameters of tool {number} are {what}, not an object (a JSON schema)")
    return str(function["name"])


def tool_names(tools: Tools) -> list[str]:
    """The names of tools, in their order."""
    return [tool["function"]["name"] for tool in tools]


def parse_calls(calls: Any, number: int, tools: Tools) -> tuple[ToolCall, ...]:
    """The calls of a turn, of the tools that its conversation lists.

    Args:
        calls: In OpenAI's form; the arguments an object, or one as JSON.
        number: Of the turn.
        tools: Those listed.

    Raises:
        UnusableConversation: They are no calls, or of other tools.
    """
    if not isinstance(calls, list):
        raise UnusableConversation(f"the tool_calls of turn {number} are not a list but {kind(calls)}")
    known, made = tool_names(tools), []
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not (isinstance(function, dict) and isinstance(function.get("name"), str)):
            raise UnusableConversation(f"turn {number} has a tool call that names no function")
        name = unicodedata.normalize("NFC", function["name"])
        if name not in known:
            listed = f"only {', '.join(known)}" if known else "none"
            raise UnusableConversation(f"turn {number} calls {name!r}, and the row lists {listed} in 'tools'")
        id_ = call.get("id")
        if id_ is not None and not isinstance(id_, str):
            raise UnusableConversation(f"a tool call of turn {number} has the id {id_!r}, which is not a text")
        made.append(ToolCall(name, _arguments(function.get("arguments"), name, number), id_ or ""))
    return tuple(made)


def _arguments(value: Any, name: str, number: int) -> Mapping[str, Any]:
    """The arguments of a call: an object, as it is or as JSON in a text."""
    what = f"the arguments of {name!r} in turn {number}"
    if problem := _unwritable(value):
        raise UnusableConversation(f"{what} {problem}")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    try:
        found = strict_json(unicodedata.normalize("NFC", text)) if text.strip() else {}
    except UnusableConversation as error:
        raise UnusableConversation(f"{what} cannot be read: {error}") from None
    if found is not None and not isinstance(found, dict):
        raise UnusableConversation(f"{what} are {kind(found)}, not an object")
    if problem := _unwritable(found):
        raise UnusableConversation(f"{what} {problem}")
    return found or {}


def _unwritable(value: Any) -> str:
    """What keeps a JSON value from being written into a prompt, or nothing."""
    for depth, item in walk(value):
        if depth > DEEPEST:
            return f"are nested over {DEEPEST} levels deep"
        if isinstance(item, float) and not math.isfinite(item):
            return "have a number that is too large"
        if isinstance(item, str) and "\0" in item:
            return "contain a NUL character"
        if isinstance(item, str) and SURROGATE.search(item):
            return "contain half of a surrogate pair (\\ud800-\\udfff)"
    return ""


def walk(value: Any) -> Iterator[tuple[int, Any]]:
    """Everything in a JSON value, keys too, each with its depth; the value itself first."""
    waiting: list[tuple[int, Any]] = [(0, value)]
    while waiting:
        depth, item = waiting.pop()
        yield depth, item
        if isinstance(item, Mapping):
            waiting += [(depth + 1, each) for pair in item.items() for each in pair]
        elif isinstance(item, (list, tuple)):
            waiting += [(depth + 1, each) for each in item]


def check_answered_calls(messages: Sequence[Message]) -> None:
    """Refuse turns of tools that answer no call, where the conversation lists tools.

    A turn answers the call whose id it has, or that of its function; where it says neither, the next one.

    Raises:
        UnusableConversation: One does not.
    """
    waiting: list[ToolCall] = []
    for number, message in enumerate(messages, 1):
        if message.role != "tool":
            waiting = list(message.calls)
            continue
        call = next((call for call in waiting if _answers(message, call)), None)
        if call is None:
            said = f" (its tool_call_id is {message.call_id!r})" if message.call_id else ""
            said = said or (f" (its name is {message.name!r})" if message.name else "")
            raise UnusableConversation(f"turn {number} is a tool turn that answers no call before it{said}")
        waiting.remove(call)


def _answers(message: Message, call: ToolCall) -> bool:
    if message.call_id and call.id:
        return message.call_id == call.id
    return not message.name or message.name == call.name
