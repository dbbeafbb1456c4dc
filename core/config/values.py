"""What OmegaConf says of a wrong value, for people."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any


def in_words(message: str) -> str:
    """What OmegaConf says of a value's type, for people."""
    if "is not a ListConfig" in message:
        return "it must be a list, such as [a,b]"
    if "to Dict[" in message or "is not a DictConfig" in message:
        return "it must be a mapping, such as {a: b}"
    return message.rstrip(".")


def value_hint(key: str, said: str, value: Any) -> str:
    """What was probably meant by a wrong value, from what OmegaConf says of it; empty where nothing is near.

    Args:
        key: The config key.
        said: OmegaConf's message.
        value: The value, where it is known.
    """
    choice = re.search(r"Invalid value '(.*)', expected one of \[(.*)\]", said)
    if choice:
        near = get_close_matches(choice.group(1), choice.group(2).split(", "), n=1)
        return f"did you mean {near[0]}? " if near else ""
    no_list = "is not a list" in said or "is not a ListConfig" in said
    return f"write {key}=[{value}]; " if no_list and isinstance(value, (str, int, float)) else ""
