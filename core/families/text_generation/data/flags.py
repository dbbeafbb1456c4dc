"""Keys of a turn that say whether it is trained on, as other trainers read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunebook.families.text_generation.data.message import Role, UnusableConversation

FLAGS = ("train", "training", "loss", "weight", "masked")
"""axolotl (two names), ms-swift, OpenAI, torchtune: each true or 1, or false or 0; ``masked`` says the opposite."""
DETAILS = ("train_detail", "training_detail")
"""axolotl: parts of a turn."""


def excluded_by(turn: Mapping[str, Any], role: Role, number: int) -> str:
    """The flag that excludes a turn from training, such as "train: false"; "" where none does.

    Args:
        turn: The turn as its row holds it.
        role: Who speaks.
        number: Its number in the conversation, from 1.

    Raises:
        UnusableConversation: A flag cannot be honoured.
    """
    found: dict[str, bool] = {}
    for key in FLAGS:
        value = turn.get(key)
        if value is None:
            continue
        if not (isinstance(value, (bool, int, float)) and value in (0, 1)):
            if key == "weight":
                raise UnusableConversation(f"turn {number} has the weight {value!r}, and only 0 and 1 are supported")
            raise UnusableConversation(f"turn {number} has {key!r}: {value!r}, which is neither true nor false")
        found[key] = bool(value) != (key == "masked")
        if found[key] and role != "assistant" and key != "weight":  # 1 is what OpenAI assumes of every turn
            shown = _shown(key, found[key])
            raise UnusableConversation(f"turn {number} has {key!r}: {shown}, but a {role} turn is never trained on")
    for key in DETAILS:
        if turn.get(key):
            raise UnusableConversation(f"turn {number} has {key!r}, but a turn is trained on as a whole or not at all")
    if len(set(found.values())) > 1:
        named = " and ".join(f"{key!r}: {_shown(key, value)}" for key, value in found.items())
        raise UnusableConversation(f"turn {number} has {named}, which contradict each other")
    excluding = [f"{key}: {_shown(key, value)}" for key, value in found.items() if not value]
    return excluding[0] if excluding and role == "assistant" else ""


def _shown(key: str, trained: bool) -> str:
    return str(int(trained)) if key == "weight" else str(trained != (key == "masked")).lower()
