"""The part of a long conversation that fits a prompt: the system turn, and as many of the last turns as have room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunebook.families.text_generation.data.message import Message
from tunebook.families.text_generation.data.pair_template import PairTemplate
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.families.text_generation.data.template import ChatTemplate


@dataclass(frozen=True)
class FittedPrompt:
    """A conversation up to the turn that a model is to write.

    Attributes:
        ids: Token ids, int32 ``[tokens]``.
        left_out: Earliest turns that there was no room for.
    """

    ids: np.ndarray
    left_out: int = 0


def fit_prompt(messages: Sequence[Message], template: ChatTemplate | PairTemplate, room: int) -> FittedPrompt:
    """Encode a conversation that ends before the assistant's turn, in at most ``room`` tokens.

    Raises:
        Unsupervisable: The last question is over the length with the system turn alone, or the template refuses it.
    """
    ids = template.prompt(messages)
    if len(ids) <= room:
        return FittedPrompt(ids)
    begin = 1 if messages[0].role == "system" else 0
    # As in training, what is kept begins with a question: templates refuse conversations that begin with an answer.
    for start in range(begin + 1, len(messages)):
        if messages[start].role != "user":
            continue
        ids = template.prompt([*messages[:begin], *messages[start:]])
        if len(ids) <= room:
            return FittedPrompt(ids, start - begin)
    alone = "with its context" if messages[0].context else "alone"
    raise Unsupervisable(f"the last question {alone} has {len(ids)} tokens, and there is room for {room}")
