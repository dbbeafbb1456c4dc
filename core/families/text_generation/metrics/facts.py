"""Whether a text states a fact: a price, a date, a code or a phrase that the answer had to have."""

from __future__ import annotations

import re
import unicodedata

_SIGN = "£$€¥"
_REWRITES = [
    (re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))"), ""),  # 1 500 with a space that does not break
    (re.compile(r"\*\*|__"), ""),  # bold, as chats are marked up
    (re.compile(r"\s+"), " "),
    (re.compile("[\u2010-\u2015\u2212]"), "-"),
    (re.compile("[\u2018\u2019\u02bc]"), "'"),
    (re.compile("[\u201c\u201d]"), '"'),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),  # 1,500
    (re.compile(r"(?<=\d) ?- ?(?=\d)"), "-"),
    (re.compile(rf"(?<![\w.,])(\d[\d.]*) ?([{_SIGN}])(?! ?\d)"), r"\2\1"),  # 42 €
    (re.compile(rf"(?<=[{_SIGN}]) (?=\d)"), ""),
    (re.compile(rf"(?<=[{_SIGN}])(\d+)\.00?(?![\d.]*\d)"), r"\1"),  # £42.00
    (re.compile(rf"(?<![\w/{_SIGN}.:-])(\d[\d.]*)(?!(?:st|nd|rd|th)\b)(?=[^\W\d_])"), r"\1 "),  # 10cm
]
_EDGE = r"[^\W_]"


def normalised(text: str) -> str:
    """Write a text in the one form in which facts are looked for.

    Without case and bold marks; white space, dashes and quotes of one kind each; 1,500 as 1500; £ 42, 42 £ and
    £42.00 as £42; 10cm as 10 cm.
    """
    text = unicodedata.normalize("NFC", text).casefold()
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return text.strip()


def visible(text: str) -> str:
    """Leave out what has no width: soft hyphens, joiners, marks of direction and their like (Unicode's Cf)."""
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf")


def states(text: str, fact: str) -> bool:
    """Whether the words of a fact stand in a text, in this order and whole.

    Both are `normalised` first. Whole means: 4 days is not in 14 days, £4 neither in £42 nor in £4.50, 42 neither
    in £42 nor in 42 %, 5 days not in 3-5 days. Nothing is understood: "42 pounds" does not state £42, nor
    "a fortnight" 14 days, nor "14-day" 14 days; and "not £42" states £42.
    """
    return _stands(normalised(text), normalised(fact))


def stated(text: str, facts: list[str]) -> int:
    """Count the facts that a text states."""
    plain = normalised(text)
    return sum(_stands(plain, normalised(fact)) for fact in facts)


def _stands(text: str, fact: str) -> bool:
    before = rf"(?<!{_EDGE})" if re.match(_EDGE, fact) else ""
    before += rf"(?<![{_SIGN}])(?<!\d[.,:/-])" if fact[:1].isdigit() else ""
    before += rf"(?<!{_EDGE})" if fact[:1] in _SIGN else ""
    after = rf"(?!{_EDGE})" if re.search(rf"{_EDGE}$", fact) else ""
    after += r"(?![.,:/-]\d)" if fact[-1:].isdigit() else ""
    after += r"(?! ?%)" if fact[-1:].isdigit() and fact[:1] not in _SIGN else ""
    return re.search(before + re.escape(fact) + after, text) is not None
