"""A conversation: turns, each by someone; the one way it is written down, and the way it is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from tunebook.data.rows import Rows

Role = Literal["system", "user", "assistant", "tool"]
CONVERSATION = "conversation"
"""Role of the column that holds a conversation, as `to_text` writes it."""
ROLES: tuple[Role, ...] = get_args(Role)


class UnusableConversation(Exception):
    """A conversation that cannot be learned from; the text is the reason."""


@dataclass(frozen=True)
class Message:
    """One turn.

    Attributes:
        role: Who speaks: system (only first), user, assistant, or a tool that the assistant called.
        content: What is said, in Unicode normal form C. A tool call of the assistant stands in it as JSON.
        supervised: Whether an answer of the assistant is trained and scored on; otherwise it is context alone.
    """

    role: Role
    content: str
    supervised: bool = True


def to_text(messages: Sequence[Message]) -> str:
    """Write a conversation as JSON, equal for equal conversations: a list of ``{"role", "content"}``.

    A turn that is context alone has ``"supervised": false`` too.
    """
    turns = [
        {"role": message.role, "content": message.content, **({} if message.supervised else {"supervised": False})}
        for message in messages
    ]
    return json.dumps(turns, ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> list[Message]:
    """Read what `to_text` wrote."""
    return [Message(turn["role"], turn["content"], turn.get("supervised", True)) for turn in json.loads(text)]


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
    return "\n".join(f"{message.role}: {message.content}" for message in messages)


def own_conversations(rows: Rows) -> Iterator[list[list[Message]]]:
    """The one conversation that each row holds."""
    for chunk in rows.column(CONVERSATION).chunks:
        for text in chunk.to_pylist():
            yield [from_text(text)]
