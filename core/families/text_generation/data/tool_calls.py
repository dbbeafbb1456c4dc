"""Tool calls in what a model writes, read back in the forms that chat templates write them in; calls compared."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunebook.families.predictor import JsonText
from tunebook.families.text_generation.data.message import ToolCall
from tunebook.families.text_generation.data.strict_json import SURROGATE
from tunebook.families.text_generation.data.tools import walk

_BLOCK = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
"""Qwen, Hermes, SmolLM: one block a call, or one with a list of them."""
_BARE = re.compile(r"\s*(?:<\|python_tag\|>|\[TOOL_CALLS\])?\s*(?=[\[{])")
"""Llama: the call is all that is said, perhaps behind a control token; Mistral: a list of them."""
_BETWEEN = re.compile(r"[\s;,]*")


@dataclass(frozen=True)
class Reading:
    """What the assistant said and called in a text.

    Attributes:
        content: What is said beside the calls.
        calls: The calls, in their order; none in a text that calls nothing.
        broken: Whether a call was begun that cannot be read.
    """

    content: str
    calls: tuple[ToolCall, ...] = ()
    broken: bool = False

    @property
    def called(self) -> bool:
        """Whether the text calls a tool, or tries to."""
        return bool(self.calls) or self.broken


def read_calls(text: str) -> Reading:
    """Read the tool calls of a turn: ``<tool_call>`` blocks, or else a text that is JSON of calls alone.

    A call is an object with a ``name``, and ``arguments`` or ``parameters`` that are an object.
    """
    if "<tool_call>" in text:
        content = _BLOCK.sub("", text).strip()
        found = [_calls(_values(block)) for block in _BLOCK.findall(text)]
        calls = tuple(call for each in found for call in each or ())
        return Reading(content, calls, None in found)
    if bare := _BARE.match(text):
        values = _values(text[bare.end() :])
        calls_ = _calls(values)
        if calls_ or bare.group().strip():
            return Reading("", tuple(calls_ or ()), not calls_)
    return Reading(text)


def _values(text: str) -> list[Any] | None:
    """The JSON values that a text is made of, in order; None where it is made of something else too."""
    decoder, values = json.JSONDecoder(parse_constant=_no_constant), list[Any]()
    at = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    try:
        while at < end:
            value, at = decoder.raw_decode(text, at)
            values += value if isinstance(value, list) else [value]
            between = _BETWEEN.match(text, at)
            at = between.end() if between else at
    except (ValueError, RecursionError):
        return None
    return values


def _calls(values: list[Any] | None) -> list[ToolCall] | None:
    """Values as calls; None where one is none."""
    calls = []
    for value in values or [None]:
        name = value.get("name") if isinstance(value, dict) else None
        arguments = value.get("arguments", value.get("parameters", {})) if isinstance(value, dict) else None
        if not (isinstance(name, str) and isinstance(arguments, dict)):
            return None
        if not {"arguments", "parameters"} & value.keys() or any(map(_endless, walk(arguments))):
            return None
        calls.append(ToolCall(name, arguments))
    return calls


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _endless(found: tuple[int, Any]) -> bool:
    """Whether a value of `walk` is a number that JSON cannot write."""
    return isinstance(found[1], float) and not math.isfinite(found[1])


def openai_calls(calls: Sequence[ToolCall]) -> JsonText:
    """Calls in OpenAI's form as JSON: a list of ``tool_calls``, arguments as JSON in a text."""
    made = []
    for number, call in enumerate(calls):
        function = {"name": call.name, "arguments": _dumps(call.arguments)}
        made.append({"id": call.id or f"call_{number}", "type": "function", "function": function})
    return JsonText(_dumps(made))


def _dumps(value: Any) -> str:
    """JSON in letters as they are; in escapes where a model wrote half of a surrogate pair in one."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() or not SURROGATE.search(text) else json.dumps(value)


def same_names(some: Sequence[ToolCall], others: Sequence[ToolCall]) -> bool:
    """Whether the same functions are called, each as often, in whatever order."""
    return sorted(call.name for call in some) == sorted(call.name for call in others)


def same_calls(some: Sequence[ToolCall], others: Sequence[ToolCall]) -> bool:
    """Whether the same functions are called with equal arguments, in whatever order."""
    left = list(others)
    for call in some:
        alike = (i for i, o in enumerate(left) if o.name == call.name and same_json(o.arguments, call.arguments))
        found = next(alike, None)
        if found is None:
            return False
        del left[found]
    return not left


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: the order of keys and the form of numbers do not matter (2, 2.0, 2e0)."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same_json, one, other))
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other
    return isinstance(one, str) and isinstance(other, str) and one == other
