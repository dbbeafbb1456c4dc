"""How a model with an encoder and a decoder takes a prompt and its answer: as they stand, no turns around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunebook.errors import UserError
from tunebook.families.text_generation.data.message import Message
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.models.literal import encode_texts
from tunebook.models.text import tokenizer_key


@dataclass(frozen=True)
class PairTemplate:
    """Does for an encoder-decoder what a chat template does for a model that reads and writes one text.

    Attributes:
        tokenizer: The transformers tokenizer; special tokens around the texts are its own.
    """

    tokenizer: Any
    no_system: str = "the model reads a single prompt, not a conversation"

    @property
    def key(self) -> str:
        """A hash of all that shapes the tokens."""
        return tokenizer_key(self.tokenizer)

    @property
    def end_of_turn_ids(self) -> tuple[int, ...]:
        """Where an answer ends."""
        return (self.tokenizer.eos_token_id,)

    def prompt(self, messages: Sequence[Message]) -> np.ndarray:
        """Tokens that the encoder reads, int32 ``[tokens]``.

        Raises:
            Unsupervisable: There is more than one turn.
        """
        if len(messages) > 1:
            raise Unsupervisable(self.no_system)
        ids = encode_texts(self.tokenizer, [messages[0].content], truncation=False)["input_ids"][0]
        return np.array(ids, dtype=np.int32)

    def check_tools(self) -> None:
        """Refuse tools, which such a model is not told of.

        Raises:
            UserError: Always.
        """
        raise UserError(
            f"Tool calls cannot be used here: {self.no_system}.",
            code="template.no-tools",
            where="model.name",
            fix="take a chat model, or leave the column 'tools' out",
        )

    def facts(self) -> dict[str, str]:
        """What a report says of it."""
        return {"end of text": f"{self.tokenizer.eos_token}, supervised"}
