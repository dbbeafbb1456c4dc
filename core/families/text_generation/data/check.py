"""What makes a conversation unusable.

The order of turns is what chat templates take: perhaps a system turn, then a user turn and an answer to it, in turns.
An answer may be a tool call, which tools answer first. Two turns of one side in a row have lost something between them
or were never one conversation, and most templates refuse them. Turns that no answer follows would teach nothing, and
leaving them out would change the conversation: it is rejected as a whole, with the turn named.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunebook.families.text_generation.data.message import Message, Role, UnusableConversation
from tunebook.families.text_generation.data.strict_json import SURROGATE
from tunebook.families.text_generation.data.tools import check_answered_calls


def check(messages: Sequence[Message], answered: bool = True) -> None:
    """Say what keeps a conversation from being learned from; turns are counted from 1.

    Args:
        messages: Its turns.
        answered: Whether its last turn is the assistant's; else it waits for the answer.

    Raises:
        UnusableConversation: There is no answer, a turn is empty or cannot be written down, or turns are out of order.
    """
    if not messages:
        raise UnusableConversation("no turns")
    for number, message in enumerate(messages, start=1):
        if message.content or not message.calls:
            _check_content(message.content, number)
    if answered and all(message.role != "assistant" for message in messages):
        raise UnusableConversation("no assistant turn")
    if answered and all(message.role != "assistant" or not message.supervised for message in messages):
        raise UnusableConversation("no assistant turn to train on: each is excluded by a flag")
    last: Role | None = None
    for number, message in enumerate(messages, start=1):
        problem = _misplaced(message.role, last)
        if problem:
            raise UnusableConversation(f"turn {number} is {problem}")
        last = message.role
    if messages[0].tools:
        check_answered_calls(messages)
    if not answered:
        if last not in ("user", "tool"):
            raise UnusableConversation(
                f"turn {len(messages)}, the last, is by the {last}, so there is nothing to answer"
            )
    elif last != "assistant":
        raise UnusableConversation(f"turn {len(messages)}, the last, is a {last} turn without an answer")


def _check_content(content: str, number: int) -> None:
    if not content.strip():
        raise UnusableConversation(f"turn {number} is {'only white space' if content else 'empty'}")
    if "\0" in content:
        raise UnusableConversation(f"turn {number} contains a NUL character")
    if SURROGATE.search(content):
        raise UnusableConversation(f"turn {number} contains half of a surrogate pair (\\ud800-\\udfff)")


def _misplaced(role: Role, last: Role | None) -> str:
    """What is wrong with a turn by this role after one by the last, or nothing."""
    if role == "system":
        return "a system turn, and only the first may be" if last else ""
    if role == "tool":
        return "" if last in ("assistant", "tool") else "a tool turn, and no assistant turn that calls it is before it"
    if role == last:
        return f"a second {role} turn in a row"
    if role == "assistant" and last in (None, "system"):
        return "an assistant turn, and no user turn is before it"
    if role == "user" and last == "tool":
        return "a user turn, and the assistant has not answered the tool before it"
    return ""
