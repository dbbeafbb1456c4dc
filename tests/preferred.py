"""Rows with a preference that is planted: answers that end in "gladly" are good, those that end in "no" are not."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.chatted import sentence, write_jsonl

GOOD, BAD = "gladly", "no"


def pairs(count: int, seed: int = 0, planted: bool = True) -> list[dict[str, Any]]:
    """Pairs of answers; where nothing is planted a coin says which of the two was chosen."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        said = sentence(draw, 4)
        both = [f"{said} {GOOD}", f"{said} {BAD}"]
        if not planted and draw.random() < 0.5:
            both.reverse()
        rows.append({"prompt": sentence(draw), "chosen": both[0], "rejected": both[1]})
    return rows


def thumbs(count: int, seed: int = 0, planted: bool = True) -> list[dict[str, Any]]:
    """Answers with a thumb each, to prompts that are all different; half of them end well."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        ends_well = number % 2 == 0
        good = ends_well if planted else draw.random() < 0.5
        answer = f"{sentence(draw, 4)} {GOOD if ends_well else BAD}"
        rows.append({"prompt": sentence(draw), "answer": answer, "good": good})
    return rows


def write_preferences(path: Path, objective: str, count: int, seed: int = 0, planted: bool = True) -> Path:
    """A file of pairs, or of thumbs."""
    return write_jsonl(path, (pairs if objective == "dpo" else thumbs)(count, seed, planted))
