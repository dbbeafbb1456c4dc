"""What an answer must state, as rows say it."""

from __future__ import annotations

import json

FACTS = "facts"
"""Role of the column with what answers must state."""
HOW = 'write them as ["£42", "within 3 working days"]'


def parse_facts(value: str) -> list[str]:
    """The facts of a row: a JSON list of texts, or one text; none where it is empty.

    Raises:
        ValueError: It is something else.
    """
    if not value.strip():
        return []
    if not value.lstrip().startswith(("[", "{")):
        return [value.strip()]
    try:
        facts = json.loads(value)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, list) or not all(isinstance(fact, str) for fact in facts):
        raise ValueError("the facts that an answer must state are not a list of texts")
    return [fact.strip() for fact in facts if fact.strip()]
