"""Conversations with tools, and a chat template that the starter's tokenizer can write them with."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.chatted import sentence, write_jsonl

TEMPLATE = Path(__file__).parent / "families/text_generation/data/templates/tools_starter.jinja"
TRACK: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "track",
        "description": "Where a parcel is.",
        "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
    },
}
REFUND: dict[str, Any] = {"type": "function", "function": {"name": "refund", "parameters": {"type": "object"}}}


def call(name: str = "track", arguments: Any = '{"order": 17}', id_: str | None = "c1") -> dict[str, Any]:
    """A call in OpenAI's form."""
    named = {} if id_ is None else {"id": id_}
    return {**named, "type": "function", "function": {"name": name, "arguments": arguments}}


def row(order: int = 17, said: str = "Where is it?", answer: str = "On its way.") -> dict[str, Any]:
    """A question, a call, its result and the answer."""
    arguments = json.dumps({"order": order})
    return {
        "messages": [
            {"role": "user", "content": said},
            {"role": "assistant", "content": None, "tool_calls": [call(arguments=arguments)]},
            {"role": "tool", "tool_call_id": "c1", "content": f"order {order} is late"},
            {"role": "assistant", "content": answer},
        ],
        "tools": [TRACK, REFUND],
    }


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Conversations that are all different; every third has no call."""
    draw, found = random.Random(seed), []
    for i in range(count):
        made = row(draw.randrange(10**4), sentence(draw), sentence(draw))
        if i % 3 == 2:
            made["messages"] = [made["messages"][0], made["messages"][3]]
        found.append(made)
    return found


def write_tooled(path: Path, count: int, seed: int = 0) -> Path:
    """Such conversations as JSON Lines."""
    return write_jsonl(path, rows(count, seed))


def broken() -> list[tuple[dict[str, Any], str]]:
    """Rows that are wrong about tools, each with the beginning of its reason."""
    found: list[tuple[dict[str, Any], str]] = []

    def turn(number: int, reason: str, **changed: Any) -> None:
        made = row()
        made["messages"][number - 1] |= changed
        found.append((made, reason))

    def tools(reason: str, listed: Any) -> None:
        found.append(({**row(), "tools": listed}, reason))

    said = "the arguments of 'track' in turn 2"
    turn(2, f"{said} cannot be read: not JSON: Expecting", tool_calls=[call(arguments="{'order': 17}")])
    turn(2, f"{said} are a list, not an object", tool_calls=[call(arguments="[17]")])
    turn(2, f"{said} cannot be read: contains NaN", tool_calls=[call(arguments='{"order": NaN}')])
    turn(2, f"{said} have a number that is too large", tool_calls=[call(arguments='{"order": 1e999}')])
    turn(2, f"{said} cannot be read: the key 'a' occurs", tool_calls=[call(arguments='{"a": 1, "a": 2}')])
    turn(2, f"{said} contain a NUL character", tool_calls=[call(arguments='{"order": "\\u0000"}')])
    turn(2, f"{said} contain half of a surrogate", tool_calls=[call(arguments='{"order": "\\ud800"}')])
    turn(2, f"{said} are nested over 32 levels", tool_calls=[call(arguments='{"a":' * 40 + "1" + "}" * 40)])
    turn(2, "turn 2 calls 'pay', and the row lists only track, refund in 'tools'", tool_calls=[call("pay")])
    turn(2, "turn 2 has a tool call that names no function", tool_calls=[{"id": "c1"}])
    turn(2, "the tool_calls of turn 2 are not a list but an object", tool_calls=call())
    turn(2, "a tool call of turn 2 has the id 7, which is not a text", tool_calls=[{**call(), "id": 7}])
    turn(1, "turn 1 is a user turn with tool calls, which only the assistant makes", tool_calls=[call()])
    turn(3, "turn 3 is a tool turn that answers no call before it (its tool_call_id is 'x')", tool_call_id="x")
    turn(
        3, "turn 3 is a tool turn that answers no call before it (its name is 'refund')", tool_call_id="", name="refund"
    )
    turn(2, "turn 3 is a tool turn that answers no call before it", tool_calls=None, content="One moment.")
    tools("the tools are not a list but an object", TRACK)
    tools("the tools are not a list but a text", '"track"')
    tools("the tools cannot be read: not JSON", "[track]")
    tools("tool 2 is not {", [TRACK, {"name": "refund"}])
    tools("tool 1 is not {", [{**TRACK, "type": "retrieval"}])
    tools("the name of tool 1 is null, not a text", [{"type": "function", "function": {}}])
    tools("the name of tool 1 is empty", [{"type": "function", "function": {"name": " "}}])
    tools("the description of tool 1 is a number", [{"function": {"name": "track", "description": 1}}])
    tools("the parameters of tool 1 are a list", [{"function": {"name": "track", "parameters": []}}])
    tools("two tools have the name 'track'", [TRACK, REFUND, TRACK])
    return found
