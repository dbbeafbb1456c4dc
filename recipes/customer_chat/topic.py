"""One thing that customers ask, and how the team answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """Ways of asking and of answering. Braces hold values, which `shop` lists.

    Attributes:
        name: What it is about.
        ways: Ways of asking that occur in every split.
        validation: One that occurs in the validation rows alone.
        test: Some that occur in the test rows alone.
        answer: What the agent writes.
        facts: What the answer states.
        prompt: What the agent writes before asking for the order number; "" where the answer needs no order.
    """

    name: str
    ways: tuple[str, ...]
    validation: str
    test: tuple[str, ...]
    answer: str
    facts: tuple[str, ...]
    prompt: str = ""
