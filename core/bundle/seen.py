"""Which texts a model has seen, as short hashes: so that nobody scores it on them unawares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tunebook.data.grams import normalise
from tunebook.errors import UserError
from tunebook.files import write_atomically

FILE = "seen_texts.npy"


def text_hashes(texts: Iterable[str]) -> np.ndarray:
    """64 bits of a hash of each text, case and spaces aside, ``[texts]``; texts cannot be read back from them."""
    digests = (hashlib.blake2b(normalise(text).encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), dtype="<u8")


def write_seen(folder: Path, texts: Iterable[str]) -> None:
    """Write the hashes of all texts that shaped the model, sorted."""
    hashes = np.unique(text_hashes(texts))
    write_atomically(folder / FILE, lambda stream: np.save(stream, hashes))


def seen_before(folder: Path, texts: Iterable[str]) -> np.ndarray:
    """Positions of the texts that the model was trained or chosen on.

    Raises:
        UserError: The bundle does not say which they are.
    """
    wrong = "is missing or damaged: rows that the model was trained on cannot be recognised"
    known = known_array(folder / FILE, wrong, lambda found: found.dtype == np.dtype("<u8") and found.ndim == 1)
    return np.flatnonzero(np.isin(text_hashes(texts), known))


def known_array(file: Path, wrong: str, fits: Callable[[np.ndarray], bool]) -> np.ndarray:
    """What a bundle keeps of what its model has seen, memory-mapped.

    Args:
        file: The array's file.
        wrong: What to say behind its name where it cannot be used.
        fits: Whether it has the right type and shape.

    Raises:
        UserError: It cannot be read, or does not fit.
    """
    try:
        known: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)  # more said than held is refused
        if not fits(known):
            raise ValueError("it holds something else")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{file.name} {wrong}.",
            code="bundle.damaged",
            where=str(file),
            fix="restore the file, or score all rows without this check: data.leaks=allow",
        ) from error
    return known
