"""Text of models and strangers on its way to a terminal."""

from __future__ import annotations

_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {127: 0x2421}
# Unicode has pictures for the first control characters alone; terminals obey the second set too.
# What turns the direction of writing round would show a text as another one.
_TURNS = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_DRAWN = _PICTURES | dict.fromkeys([*range(0x80, 0xA0), *_TURNS], 0xFFFD)


def drawn(text: str) -> str:
    """A text whose control characters are drawn, so that they cannot steer the terminal; lines and tabs stay."""
    return text.translate(_DRAWN)


def in_markup(text: str) -> str:
    """The same for rich, which takes square brackets for styles."""
    from rich.markup import escape  # most commands print no table

    return escape(drawn(text))
