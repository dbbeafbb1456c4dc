"""The order of several copies for one brief."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunebook.families.brief_to_text.metrics.check import CopyCheck
from tunebook.families.text_generation.metrics.scripts import words


def rank(candidates: Sequence[str], checks: Sequence[CopyCheck], scores: Sequence[float]) -> list[int]:
    """Order the candidates for one brief, the best first: their positions.

    Fewest constraints broken (missing, forbidden, too long, unfinished) first, then fewest inventions, then the highest
    score; of equals the earlier one. A candidate with the same words as a better one comes after all others, and
    one that says nothing last of all.

    Args:
        candidates: The copies.
        checks: What was found in each.
        scores: How likely the model found each: mean log-probability of a token. nan is the lowest.

    Raises:
        ValueError: They are not equally many.
    """
    if not len(candidates) == len(checks) == len(scores):
        raise ValueError("every candidate needs a check and a score")

    def key(place: int) -> tuple[bool, int, int, float, int]:
        score = -np.inf if np.isnan(scores[place]) else scores[place]
        return checks[place].says_nothing, checks[place].broken, checks[place].invented, -score, place

    ordered = sorted(range(len(candidates)), key=key)
    firsts: dict[tuple[str, ...], int] = {}
    for place in ordered:
        firsts.setdefault(_content(candidates[place]), place)
    return sorted(ordered, key=lambda place: (key(place)[0], firsts[_content(candidates[place])] != place))


def _content(copy: str) -> tuple[str, ...]:
    return tuple(words(copy))
