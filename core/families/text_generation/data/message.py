"""A conversation: turns, each by someone; the one way it is written down, and the way it is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from tunebook.data.rows import Rows

Role = Literal["system", "user", "assistant", "tool"]
CONVERSATION = "conversation"
"""Role of the column that holds a conversation, as `to_text` writes it."""
ROLES: tuple[Role, ...] = get_args(Role)


class UnusableConversation(Exception):
    """A conversation that cannot be learned from; the text is the reason."""


Tools = tuple[Mapping[str, Any], ...]
"""Tools that a conversation offers, each in OpenAI's form."""


@dataclass(frozen=True)
class Context:
    """What answers of a conversation are to be drawn from.

    Attributes:
        documents: Texts, one or several.
        place: Where they stand in the prompt: at the end of the system turn, or before the first user turn.
    """

    documents: tuple[str, ...]
    place: Literal["system", "user"] = "system"


@dataclass(frozen=True)
class ToolCall:
    """A function that the assistant asks for.

    Attributes:
        name: Of the function.
        arguments: By their names, JSON values.
        id: What the tool's turn names it by; "" where it has none.
    """

    name: str
    arguments: Mapping[str, Any]
    id: str = ""

    @property
    def text(self) -> str:
        """A line of JSON, as people read it."""
        return json.dumps({"name": self.name, "arguments": self.arguments}, ensure_ascii=False)

    def to_openai(self) -> dict[str, Any]:
        """The call in OpenAI's form, but with its arguments as an object, which templates want."""
        named = {"id": self.id} if self.id else {}
        return {**named, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}

    @classmethod
    def of_openai(cls, call: Mapping[str, Any]) -> ToolCall:
        """Read what `to_openai` wrote."""
        return cls(call["function"]["name"], call["function"]["arguments"], call.get("id", ""))


@dataclass(frozen=True)
class Message:
    """One turn.

    Attributes:
        role: Who speaks: system (only first), user, assistant, or a tool that the assistant called.
        content: What is said, in Unicode normal form C. Where no tools are listed, a tool call of the assistant stands
            in it as JSON.
        supervised: Whether an answer of the assistant is trained and scored on; otherwise it is context alone.
        calls: Of the assistant: the tools it calls, of those listed.
        name: Of a tool: the function that answers; "" where it is not said.
        call_id: Of a tool: the call that it answers; "" where it is not said.
        tools: The tools that the conversation offers, the same in all its turns.
        context: What its answers are to be drawn from, the same in all its turns.
    """

    role: Role
    content: str
    supervised: bool = True
    calls: tuple[ToolCall, ...] = ()
    name: str = ""
    call_id: str = ""
    tools: Tools = field(default=(), repr=False)
    context: Context | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The turn as people read it: what is said, then a line a call."""
        return "\n".join([*([self.content] if self.content else []), *(call.text for call in self.calls)])


def offering(messages: Sequence[Message], tools: Tools) -> list[Message]:
    """The turns of a conversation that offers tools."""
    return [replace(message, tools=tools) for message in messages] if tools else list(messages)


def grounded(messages: Sequence[Message], context: Context | None) -> list[Message]:
    """The turns of a conversation with a context."""
    return [replace(message, context=context) for message in messages]


def to_text(messages: Sequence[Message]) -> str:
    """Write a conversation as JSON, equal for equal conversations: a list of ``{"role", "content"}``.

    A turn that is context alone has ``"supervised": false`` too. The first turn has the ``tools`` and the ``context``
    of the conversation, where it has any; ``tool_calls``, ``name`` and ``tool_call_id`` are as in OpenAI's form, but
    arguments are objects.
    """
    turns = [_turn(message) for message in messages]
    if messages and messages[0].tools:
        turns[0]["tools"] = list(messages[0].tools)
    if messages and (context := messages[0].context):
        turns[0]["context"] = {"place": context.place, "documents": list(context.documents)}
    return json.dumps(turns, ensure_ascii=False, separators=(",", ":"))


def _turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if not message.supervised:
        turn["supervised"] = False
    if message.calls:
        turn["tool_calls"] = [call.to_openai() for call in message.calls]
    if message.name:
        turn["name"] = message.name
    if message.call_id:
        turn["tool_call_id"] = message.call_id
    return turn


def from_text(text: str) -> list[Message]:
    """Read what `to_text` wrote."""
    turns = json.loads(text)
    first = turns[0] if turns else {}
    tools, kept = tuple(first.get("tools", ())), first.get("context")
    context = Context(tuple(kept["documents"]), kept["place"]) if kept else None
    return [
        Message(
            turn["role"],
            turn["content"],
            turn.get("supervised", True),
            tuple(map(ToolCall.of_openai, turn.get("tool_calls", ()))),
            turn.get("name", ""),
            turn.get("tool_call_id", ""),
            tools,
            context,
        )
        for turn in turns
    ]


def passages(text: str) -> Iterator[tuple[str, str]]:
    """Everything that is said in a conversation as `to_text` wrote it, by who says it."""
    for turn in json.loads(text):
        for key, value in turn.items():
            if key != "role":
                yield from ((turn["role"], said) for said in _texts(value))


def _texts(value: object) -> Iterator[str]:
    """All texts in a value of JSON, its keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def to_plain(messages: Sequence[Message]) -> str:
    """Show a conversation to people: a line a turn, as "user: Where is my parcel?"."""
    return "\n".join(f"{message.role}: {message.text}" for message in messages)


def own_conversations(rows: Rows) -> Iterator[list[list[Message]]]:
    """The one conversation that each row holds."""
    for chunk in rows.column(CONVERSATION).chunks:
        for text in chunk.to_pylist():
            yield [from_text(text)]


def offers_tools(rows: Rows) -> bool:
    """Whether any conversation of rows offers tools."""
    chunks = rows.column(CONVERSATION).chunks if CONVERSATION in rows.roles else []
    texts = (text for chunk in chunks for text in chunk.to_pylist() if '"tools":[' in text)
    return any(from_text(text)[0].tools for text in texts)
