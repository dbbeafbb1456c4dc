"""Texts as token ids in one flat file: encoded once, cached, and read back by memory map."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.config import TooLong
from tunebook.errors import UserError

if TYPE_CHECKING:
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows

_FORMAT = 1  # raise when the files below or the way of encoding change, so that old caches are not read
_CHUNK = 1024


@dataclass(frozen=True)
class TokenRows:
    """Token ids of all rows of a split.

    Attributes:
        ids: All ids one after the other, int32 ``[tokens]``.
        offsets: Where each row starts, int64 ``[rows + 1]``.
        full_lengths: Tokens of each row before any was cut, int64 ``[rows]``.
    """

    ids: np.ndarray
    offsets: np.ndarray
    full_lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row as the model sees it, ``[rows]``."""
        return np.diff(self.offsets)

    @property
    def truncated(self) -> int:
        """Number of rows that lost tokens."""
        return int((self.full_lengths > self.lengths).sum())


def tokenizer_key(tokenizer: Any) -> str:
    """A hash of everything that shapes the ids: vocabulary, normalisers, special tokens."""
    digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode())
    special = {k: str(v) for k, v in sorted(tokenizer.special_tokens_map.items())}
    digest.update(json.dumps(special).encode())
    return digest.hexdigest()


def _encode(texts: Sequence[str], tokenizer: Any, max_length: int) -> Iterator[tuple[list[int], int]]:
    """Yield each text's ids, cut to ``max_length``, and its full length; special tokens are always kept."""
    for start in range(0, len(texts), _CHUNK):
        chunk = list(texts[start : start + _CHUNK])
        whole = tokenizer(chunk, add_special_tokens=True, truncation=False, verbose=False)["input_ids"]
        for text, ids in zip(chunk, whole, strict=True):
            full = len(ids)
            if full > max_length:
                ids = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
            yield ids, full


def _read(folder: Path) -> TokenRows | None:
    names = ("ids", "offsets", "full_lengths")
    try:
        ids, offsets, full = (np.load(folder / f"{n}.npy", mmap_mode="r", allow_pickle=False) for n in names)
    except (OSError, ValueError):
        return None
    return TokenRows(ids, np.asarray(offsets), np.asarray(full))


def _write(folder: Path, rows: TokenRows) -> None:
    """Write beside and rename, so that no reader ever sees half a cache."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        for name in ("ids", "offsets", "full_lengths"):
            np.save(beside / f"{name}.npy", getattr(rows, name))
        os.replace(beside, folder)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        if not folder.is_dir():  # another process may have been first, with the same content
            raise


def tokenize(texts: Sequence[str], tokenizer: Any, max_length: int) -> TokenRows:
    """Encode texts in memory."""
    encoded = list(_encode(texts, tokenizer, max_length))
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(ids) for ids, _ in encoded], out=offsets[1:])
    flat = np.fromiter((i for ids, _ in encoded for i in ids), dtype=np.int32, count=int(offsets[-1]))
    return TokenRows(flat, offsets, np.array([full for _, full in encoded], dtype=np.int64))


def tokenize_cached(rows: Rows, tokenizer: Any, max_length: int, cache_dir: Path) -> TokenRows:
    """Encode the texts of a split, or read them back from the cache.

    The cache key covers the rows' content, the tokenizer and the length; a changed one is encoded anew.
    """
    parts = (str(_FORMAT), rows.fingerprint, tokenizer_key(tokenizer), str(max_length))
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    folder = cache_dir / "tokens" / key
    cached = _read(folder)
    if cached is not None and len(cached) == len(rows):
        return cached
    encoded = tokenize(rows.texts("text"), tokenizer, max_length)
    shutil.rmtree(folder, ignore_errors=True)
    _write(folder, encoded)
    return _read(folder) or encoded


def apply_too_long(rows: Rows, tokens: TokenRows, policy: TooLong, max_length: int, rejects: RejectLog) -> np.ndarray:
    """Decide about texts over the length: indices of the rows that stay, ``[kept]``.

    Raises:
        UserError: Texts are over the length and the policy is ``error``.
    """
    long = np.flatnonzero(tokens.full_lengths > max_length)
    if policy is TooLong.error and len(long):
        worst = int(long[np.argmax(tokens.full_lengths[long])])
        raise UserError(
            f"{len(long)} of {len(rows)} {rows.split} texts are over {max_length} tokens; the longest has "
            f"{tokens.full_lengths[worst]}.",
            where=rows.where(worst),
            mend="data.too_long=truncate cuts them (and counts them), data.too_long=reject drops them, "
            "data.max_length=... allows more",
        )
    if policy is TooLong.reject:
        for i in long:
            file, _, line = rows.where(int(i)).rpartition(":")
            reason = f"{tokens.full_lengths[i]} tokens, over data.max_length={max_length}"
            rejects.add(file, int(line), "text", reason)
        return np.flatnonzero(tokens.full_lengths <= max_length)
    return np.arange(len(rows))
