"""The objects of one JSON array, one after the other: never all of it is in memory."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tunebook.data.lines import LONGEST_ROW
from tunebook.errors import UserError

_PIECE = 1 << 16
"""Characters read at first; an object that is longer takes twice as many each time."""
_SPACE = " \t\r\n"


def array_objects(file: BinaryIO, path: Path) -> Iterator[dict[str, Any]]:
    """The objects of an array, in order.

    Args:
        file: The file, at its beginning.
        path: What messages call it.

    Raises:
        UserError: It is no array of objects, or is cut or not UTF-8; or an object is longer than a row may be.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from _objects(text, path)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path.name} is not UTF-8: byte 0x{error.object[error.start]:02x}",
            code="data.not-utf8",
            where=str(path),
            fix=f"export it again, or iconv -f cp1252 -t utf-8 {path.name} > utf8-{path.name}",
        ) from None
    finally:
        text.detach()


def _objects(text: io.TextIOWrapper, path: Path) -> Iterator[dict[str, Any]]:
    decoder, number = json.JSONDecoder(), 0
    held, piece = text.read(_PIECE).lstrip().removeprefix("["), _PIECE
    while True:
        held = held.lstrip(_SPACE).removeprefix(",").lstrip(_SPACE)
        if held.startswith("]"):
            return
        try:
            value, end = decoder.raw_decode(held)
        except (ValueError, RecursionError) as error:
            more = "" if isinstance(error, RecursionError) else text.read(piece)
            if not more:
                raise _damaged(path, number) from None
            if len(held) > LONGEST_ROW:
                raise _too_long(path, number) from None
            held, piece = held + more, 2 * piece
            continue
        if not isinstance(value, dict):
            raise _damaged(path, number)
        number, piece = number + 1, _PIECE
        yield value
        held = held[end:]


def _damaged(path: Path, whole: int) -> UserError:
    return UserError(
        f"{path.name} is a JSON array that is cut or damaged after {whole} objects",
        code="data.damaged-file",
        where=str(path),
        fix="export it again",
    )


def _too_long(path: Path, whole: int) -> UserError:
    return UserError(
        f"{path.name}: object {whole + 1} of its array is longer than {LONGEST_ROW:,} characters",
        code="data.row-too-long",
        where=str(path),
        fix="leave that object out",
    )
