"""Customer service: a language model learns from conversations how the best agent answers."""

from __future__ import annotations

from dataclasses import dataclass

from tunebook import TextGeneration, TextGenerationConfig


@dataclass
class CustomerChatConfig(TextGenerationConfig):
    """Options of customer_chat."""


class CustomerChat(TextGeneration[CustomerChatConfig]):
    """The next turn of the agent, in the conversation so far."""

    Config = CustomerChatConfig
