"""Personal data in a text: what can be found by its form, with few mistakes and without a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunebook.data.emails import MAYBE_EMAIL, emails
from tunebook.data.personal_numbers import (
    MAYBE_CARD,
    MAYBE_IBAN,
    MAYBE_IP,
    Span,
    cards,
    ibans,
    ip_addresses,
)
from tunebook.data.phone_numbers import MAYBE_PHONE, phones

EMAIL, PHONE, CARD, IBAN, IP = "e-mail address", "phone number", "payment card", "IBAN", "IP address"
MAYBE: Mapping[str, Sequence[str]] = {
    EMAIL: [MAYBE_EMAIL],
    IBAN: [MAYBE_IBAN],
    CARD: [MAYBE_CARD],
    IP: [MAYBE_IP],
    PHONE: MAYBE_PHONE,
}
"""Kind -> patterns for RE2, the fastest first: a text that holds it matches all of them."""
MAYBE_ANY = f"{MAYBE_EMAIL}|{MAYBE_IP}|{MAYBE_PHONE[0]}"
"""What a text with any of them matches: every card, IBAN and phone number has seven digits close together."""
LONGEST = 1_000_000
"""Characters of a text that are looked at."""

_FINDERS: Mapping[str, Callable[[str], Iterator[Span]]] = {
    EMAIL: emails,
    IBAN: ibans,
    CARD: cards,
    IP: ip_addresses,
    PHONE: phones,
}
"""The surest first: what is an IBAN is no phone number too."""
_AHEAD = 2000


@dataclass(frozen=True)
class Found:
    """Something personal in a text.

    Attributes:
        kind: One of `EMAIL`, `PHONE`, `CARD`, `IBAN` and `IP`.
        start: Its first character.
        end: The character behind its last.
    """

    kind: str
    start: int
    end: int


def find_personal(text: str, kinds: Collection[str] = tuple(MAYBE)) -> list[Found]:
    """What is personal in a text, in its order; nothing is found twice.

    Args:
        text: Any; of a very long one the first `LONGEST` characters are looked at.
        kinds: The kinds to look for.
    """
    text = text[:LONGEST]
    found: list[Found] = []
    taken = bytearray(len(text))
    for kind, finder in _FINDERS.items():
        for start, end in finder(text) if kind in kinds else ():
            if not any(taken[start:end]):
                taken[start:end] = b"1" * (end - start)
                found.append(Found(kind, start, end))
    return sorted(found, key=lambda each: each.start)


def masked(text: str) -> str:
    """The text with the kind of each personal thing in its place, such as ``[e-mail address]``."""
    parts, at = [], 0
    for found in find_personal(text):
        parts += [text[at : found.start], f"[{found.kind}]"]
        at = found.end
    return "".join([*parts, text[at:]])


def beginning(text: str, longest: int) -> str:
    """The first characters of a text, `masked`."""
    return masked(text[: longest + _AHEAD])[:longest]  # what begins there may end behind it


def excerpt(text: str, longest: int) -> str:
    """As `beginning`, with an ellipsis where there is more."""
    shown = beginning(text, longest + 1)
    return shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
