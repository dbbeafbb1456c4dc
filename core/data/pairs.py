"""Rows that hold a second text beside the first, and what the two are together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tunebook.data.columns import PAIR, TEXT, with_names
from tunebook.data.rows import Rows
from tunebook.data.text_template import TextTemplate

BETWEEN = "\n"
"""What stands between the two where they are read as one text: by people, by counting, by most language models."""


def is_paired(rows: Rows) -> bool:
    """Whether rows hold a second text."""
    return PAIR in rows.roles


def pairs_of(rows: Rows) -> list[str] | None:
    """The second text of each row; None where there is none."""
    return rows.texts(PAIR) if is_paired(rows) else None


def joined(texts: Sequence[str], pairs: Sequence[str] | None) -> list[str]:
    """Both texts of each row as one."""
    if pairs is None:
        return list(texts)
    return [f"{text}{BETWEEN}{pair}" for text, pair in zip(texts, pairs, strict=True)]


def whole_texts(rows: Rows) -> list[str]:
    """What each row says, the second text included: what tells rows apart."""
    return joined(rows.texts(TEXT), pairs_of(rows))


def whole_column(text: pa.ChunkedArray, pair: pa.ChunkedArray | None) -> pa.ChunkedArray:
    """As ``whole_texts``, of columns."""
    return text if pair is None else pc.binary_join_element_wise(text, pair, BETWEEN)


_EXAMPLE = ("Arrived broken, and nobody answers.", "service")


def example_input(columns: Mapping[str, str], pair_format: bool) -> str:
    """A row as a plain pipeline takes it, as Python: a text, a dict of two, or both joined.

    Args:
        columns: Role -> column.
        pair_format: Whether the tokenizer has a format of its own for two texts.
    """
    text, pair = _EXAMPLE
    if PAIR not in columns:
        return f'"{text}"'
    return f'{{"text": "{text}", "text_pair": "{pair}"}}' if pair_format else f'"{text}\\n{pair}"'


def whole_text(columns: Mapping[str, str], template: str | None) -> str:
    """The line of Python that puts a row's text together, from what a bundle holds; "" where it needs none."""
    if template is None:
        return ""
    return TextTemplate(template, with_names(columns)).in_python(columns[TEXT])


def example_arguments(columns: Mapping[str, str], pair_format: bool) -> str:
    """The same as a tokenizer takes it."""
    text, pair = _EXAMPLE
    return f'["{text}"], ["{pair}"]' if PAIR in columns and pair_format else f"[{example_input(columns, False)}]"
