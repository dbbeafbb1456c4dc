"""Whether a phrase that a brief asks for, or forbids, stands in a copy."""

from __future__ import annotations

import re

from tunebook.families.text_generation.metrics.facts import normalised, states, visible

_HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=[^\W_])|(?<=[^\W_])-(?=[^\W\d_])")
"""Between words; between two digits it is another thing: 3-5 days."""


def says(copy: str, words: str) -> bool:
    """Whether words that a brief asks for, or forbids, stand in a copy.

    They stand there whole and without case, as `facts.states` reads them: "eco" is in "eco-friendly" and not in
    "economy". The plural or possessive of the last word counts ("deals", "deal's" for "deal"), other forms do
    not: "cheapest" is to be forbidden besides "cheap". A hyphen between words is a space ("best-in-class" is "best in
    class"), and what has no width is not there.
    """
    copy, words = _spaced(copy), _spaced(words)
    if states(copy, words):
        return True
    plain = normalised(words)
    pattern = rf"(?<![^\W_]){re.escape(plain)}(?:e?s|'s|s')(?![^\W_])"
    return plain[-1:].isalpha() and re.search(pattern, normalised(copy)) is not None


def _spaced(text: str) -> str:
    return _HYPHEN.sub(" ", normalised(visible(text)))
