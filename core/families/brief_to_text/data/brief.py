"""A brief: what is to be said, and how; the one way it is written down, and the ways it is shown and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Value = str | tuple[str, ...]
"""What a field says: a text, or a list of texts."""
CONSTRAINTS = ("must_mention", "must_avoid", "channel", "max_characters", "max_words")
"""What a brief may ask of its copy."""


class UnusableBrief(Exception):
    """A brief or its copy that cannot be learned from; the text is the reason."""


@dataclass(frozen=True)
class Brief:
    """What a piece of copy is written from. All texts are in Unicode normal form C and none is empty.

    Attributes:
        fields: Name and value of each field, in their order.
        must_mention: Phrases that the copy must hold.
        must_avoid: Phrases that it must not hold.
        channel: Where the copy is to stand, such as "tweet".
        max_characters: Most characters (code points) of the copy.
        max_words: Most words of the copy, parted by white space.
        context: Documents that the copy may draw on besides; they follow the brief in its prompt.
    """

    fields: tuple[tuple[str, Value], ...]
    must_mention: tuple[str, ...] = ()
    must_avoid: tuple[str, ...] = ()
    channel: str | None = None
    max_characters: int | None = None
    max_words: int | None = None
    context: tuple[str, ...] = ()


def to_text(brief: Brief) -> str:
    """Write a brief as JSON, equal for equal briefs; constraints that it does not have are left out."""
    constraints = {name: getattr(brief, name) for name in (*CONSTRAINTS, "context")}
    return _json({"fields": dict(brief.fields), **{name: value for name, value in constraints.items() if value}})


def from_text(text: str) -> Brief:
    """Read what `to_text` wrote."""
    record = json.loads(text)
    fields = tuple((name, _value(value)) for name, value in record.pop("fields").items())
    return Brief(fields, **{name: _value(value) for name, value in record.items()})


def to_plain(brief: Brief) -> str:
    """Show a brief to people: "name: Tollgate; features: 21 cm, $58; channel: tweet; must mention: 21 cm"."""
    parts = [f"{name}: {_listed(value)}" for name, value in brief.fields]
    parts += [f"channel: {brief.channel}"] * bool(brief.channel)
    parts += [f"must mention: {_listed(brief.must_mention)}"] * bool(brief.must_mention)
    parts += [f"must avoid: {_listed(brief.must_avoid)}"] * bool(brief.must_avoid)
    parts += [f"at most {brief.max_characters} characters"] * bool(brief.max_characters)
    parts += [f"at most {brief.max_words} words"] * bool(brief.max_words)
    return "; ".join(parts)


def flat_text(brief: Brief) -> str:
    """What the copy may draw its facts from: all values and the phrases it must mention, a line each."""
    return "\n".join([*values(brief), *brief.must_mention])


def content_text(brief: Brief) -> str:
    """What a brief says, as JSON; equal for briefs that say the same.

    The order of fields and of phrases does not count, nor how the copy is to be written (channel, what to avoid,
    lengths): two briefs that differ in that alone are about one thing, and copy for one gives away that for the other.
    """
    return _json([sorted(brief.fields, key=lambda field: field[0]), sorted(brief.must_mention)])


def values(brief: Brief) -> Iterator[str]:
    """Every text of every field, in order."""
    for _, value in brief.fields:
        yield from (value,) if isinstance(value, str) else value


def passages(brief: Brief) -> Iterator[tuple[str, str]]:
    """Every text of every field, constraint and document, by its name."""
    asked = (("must_mention", brief.must_mention), ("must_avoid", brief.must_avoid), ("channel", brief.channel or ()))
    for name, value in (*brief.fields, *asked, ("context", brief.context)):
        yield from ((name, text) for text in ((value,) if isinstance(value, str) else value))


def _listed(value: Value) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _value(value: Any) -> Any:
    """A value of JSON as a brief holds it."""
    return tuple(value) if isinstance(value, list) else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
