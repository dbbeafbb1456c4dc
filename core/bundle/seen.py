"""Which texts a model has seen, as short hashes: so that nobody scores it on them unawares."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
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
    try:
        known = np.load(folder / FILE, mmap_mode="r", allow_pickle=False)  # one that says more than it holds is refused
        if known.dtype != np.dtype("<u8") or known.ndim != 1:
            raise ValueError("it holds no hashes")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{FILE} is missing or damaged: rows that the model was trained on cannot be recognised.",
            code="bundle.damaged",
            where=str(folder / FILE),
            fix="restore the file, or score all rows without this check: data.leaks=allow",
        ) from error
    return np.flatnonzero(np.isin(text_hashes(texts), known))
