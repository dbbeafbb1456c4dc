from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers

WORDS = [
    "the",
    "a",
    "of",
    "and",
    "to",
    "in",
    "is",
    "you",
    "order",
    "refund",
    "days",
    "we",
    "£42",
    "5.50",
    "Tuesday",
    "form",
]
MARKS = [" ", " ", " ", ", ", ". ", "\n", " - ", "! "]


def written(draw: random.Random, most: int = 25) -> str:
    """A text of a few words that come again and again, with marks, capitals and line breaks; it may be empty."""
    words = [draw.choice(WORDS) for _ in range(draw.randint(0, most))]
    text = "".join(word + draw.choice(MARKS) for word in words)
    return text.capitalize() if draw.random() < 0.5 else text


def changed(draw: random.Random, text: str) -> str:
    """A text with a fifth of its words gone and some others new."""
    words = [word for word in text.split() if draw.random() < 0.8]
    return " ".join(draw.choice(WORDS) if draw.random() < 0.1 else word for word in words)


@pytest.fixture
def make_answers() -> Callable[..., GeneratedAnswers]:
    """Make answers that are changed references, of one to three references a row, two rows a conversation."""

    def make(rows: int = 60, seed: int = 0, outputs_seed: int | None = None) -> GeneratedAnswers:
        draw = random.Random(seed)
        references = [[written(draw) + " end" for _ in range(draw.randint(1, 3))] for _ in range(rows)]
        draw = random.Random(seed if outputs_seed is None else outputs_seed)
        return GeneratedAnswers(
            prompts=[f"question {i}" for i in range(rows)],
            references=references,
            outputs=[changed(draw, draw.choice(refs)) if draw.random() < 0.9 else "" for refs in references],
            files=["rows.jsonl"] * rows,
            lines=list(range(1, rows + 1)),
            groups=np.arange(rows) // 2,
            facts=[["£42"] if any("£42" in ref for ref in refs) else [] for refs in references],
        )

    return make


@pytest.fixture
def plain_answers() -> Callable[..., GeneratedAnswers]:
    """Make answers from outputs and references alone."""

    def make(outputs: list[str], references: list[list[str]], **more: object) -> GeneratedAnswers:
        rows = len(outputs)
        return GeneratedAnswers(
            ["?"] * rows,
            references,
            outputs,
            ["rows.jsonl"] * rows,
            list(range(rows)),
            **more,  # type: ignore[arg-type]
        )

    return make
