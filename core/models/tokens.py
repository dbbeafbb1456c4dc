"""Texts as token ids in one flat file: encoded once, cached, and read back by memory map."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunebook.config.texts import Overlength
from tunebook.data.columns import PAIR, TEXT
from tunebook.data.pairs import is_paired
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.files import filling_cache, folder_written_whole
from tunebook.models.literal import encode_texts
from tunebook.models.pairs import encode_pair, encode_pairs
from tunebook.models.text import tokenizer_key
from tunebook.progress import counting
from tunebook.sealing import is_whole, seal

_FORMAT = 2  # raise when the files below or the way of encoding change, so that old caches are not read
_CHUNK = 1024


@dataclass(frozen=True)
class TokenRows:
    """Token ids of all rows of a split.

    Attributes:
        ids: All ids one after the other, int32 ``[tokens]``.
        offsets: Where each row starts, int64 ``[rows + 1]``.
        full_lengths: Tokens of each row before any was cut, int64 ``[rows]``.
        types: Which of two texts each token belongs to, uint8 ``[tokens]``; None where models are not told.
    """

    ids: np.ndarray
    offsets: np.ndarray
    full_lengths: np.ndarray
    types: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    def types_of(self, row: int) -> np.ndarray | None:
        """Token types of a row, ``[tokens]``; None where models are not told."""
        return None if self.types is None else self.types[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row as the model sees it, ``[rows]``."""
        return np.diff(self.offsets)

    @property
    def truncated(self) -> int:
        """Number of rows that lost tokens."""
        return int((self.full_lengths > self.lengths).sum())


@dataclass(frozen=True)
class _Encoded:
    """Some texts: their ids one after the other, the length of each, and its length before it was cut."""

    ids: np.ndarray
    lengths: list[int]
    full_lengths: list[int]
    types: np.ndarray


def _encode(texts: Sequence[str], pairs: Sequence[str] | None, tokenizer: Any, max_length: int) -> _Encoded:
    """Encode texts, or pairs of them, cut to ``max_length``; the tokenizer's special tokens are always kept."""
    types: list[list[int]] = []
    if pairs is None:
        encoded = encode_texts(tokenizer, texts, truncation=False)["input_ids"]
    else:
        encoded, types = encode_pairs(texts, pairs, tokenizer)
    full = [len(ids) for ids in encoded]
    for i, length in enumerate(full):
        if length > max_length and pairs is None:
            short = encode_texts(tokenizer, [texts[i]], truncation=True, max_length=max_length)
            encoded[i] = short["input_ids"][0]
        elif length > max_length and pairs is not None:
            encoded[i], cut = encode_pair(texts[i], pairs[i], tokenizer, max_length)
            types[i : i + 1] = [cut] if types else []
    lengths = [len(ids) for ids in encoded]
    return _Encoded(_flat(encoded, np.int32), lengths, full, _flat(types, np.uint8))


def _flat(parts: Sequence[Sequence[int]], dtype: type) -> np.ndarray:
    return np.fromiter(itertools.chain.from_iterable(parts), dtype=dtype, count=sum(map(len, parts)))


def tokenize(texts: Sequence[str], tokenizer: Any, max_length: int, pairs: Sequence[str] | None = None) -> TokenRows:
    """Encode texts in memory, or ``pairs`` of them."""
    if not texts:
        return TokenRows(np.zeros(0, dtype=np.int32), _offsets([]), np.zeros(0, dtype=np.int64))
    encoded = _encode(texts, pairs, tokenizer, max_length)
    full = np.array(encoded.full_lengths, dtype=np.int64)
    return TokenRows(encoded.ids, _offsets(encoded.lengths), full, encoded.types if len(encoded.types) else None)


def _offsets(lengths: Sequence[int]) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def tokenize_cached(rows: Rows, tokenizer: Any, max_length: int, cache_dir: Path) -> TokenRows:
    """Encode the texts of a split, or read them back from the cache.

    The cache key covers the rows' content, the tokenizer and the length; a changed one is encoded anew.
    """
    parts = (str(_FORMAT), rows.fingerprint, tokenizer_key(tokenizer), str(max_length))
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    folder = cache_dir / "tokens" / key
    cached = _read(folder)
    if cached is None or len(cached) != len(rows):
        shutil.rmtree(folder, ignore_errors=True)
        with filling_cache(folder, "encoded texts"):
            _write(folder, rows, tokenizer, max_length)
        cached = _read(folder)
    assert cached is not None
    return cached


def _read(folder: Path) -> TokenRows | None:
    if not is_whole(folder):
        return None
    try:
        offsets, full = (np.load(folder / f"{n}.npy", allow_pickle=False) for n in ("offsets", "full_lengths"))
        size = (folder / "ids.bin").stat().st_size // 4
        # An empty file cannot be mapped.
        ids = np.memmap(folder / "ids.bin", dtype=np.int32, mode="r") if size else np.zeros(0, dtype=np.int32)
        known = (folder / "types.bin").is_file() and size
        types = np.memmap(folder / "types.bin", dtype=np.uint8, mode="r") if known else None
    except (OSError, ValueError):
        return None
    whole = size == offsets[-1] and (types is None or len(types) == size)
    return TokenRows(ids, offsets, full, types) if whole else None


def _write(folder: Path, rows: Rows, tokenizer: Any, max_length: int) -> None:
    """Encode chunk by chunk, never all in memory; write beside and rename, so that no reader sees half a cache."""
    lengths, full_lengths = array("q"), array("q")
    with folder_written_whole(folder) as beside:
        with (beside / "ids.bin").open("wb") as stream, counting(f"tokens of {rows.split} rows", len(rows)) as advance:
            for start in range(0, len(rows), _CHUNK):
                part = rows.table.slice(start, _CHUNK)
                texts = part.column(TEXT).to_pylist()
                pairs = part.column(PAIR).to_pylist() if is_paired(rows) else None
                encoded = _encode(texts, pairs, tokenizer, max_length)
                stream.write(encoded.ids.tobytes())
                if len(encoded.types):
                    with (beside / "types.bin").open("ab") as of_types:
                        of_types.write(encoded.types.tobytes())
                lengths.extend(encoded.lengths)
                full_lengths.extend(encoded.full_lengths)
                advance(len(texts))
        np.save(beside / "offsets.npy", _offsets(lengths))
        np.save(beside / "full_lengths.npy", np.array(full_lengths, dtype=np.int64))
        seal(beside)


def apply_overlength(
    rows: Rows, tokens: TokenRows, policy: Overlength, max_length: int, rejects: RejectLog
) -> np.ndarray:
    """Decide about texts over the length: indices of the rows that stay, ``[kept]``.

    Raises:
        UserError: Texts are over the length and the policy is ``error``.
    """
    long = np.flatnonzero(tokens.full_lengths > max_length)
    if policy is Overlength.error and len(long):
        worst = int(long[np.argmax(tokens.full_lengths[long])])
        raise UserError(
            f"{len(long)} of {len(rows)} {rows.split} texts are over {max_length} tokens; the longest has "
            f"{tokens.full_lengths[worst]}.",
            code="data.too-long",
            where=rows.where(worst),
            fix="data.overlength=truncate cuts them (and counts them), data.overlength=reject drops them, "
            "data.max_length=... allows more",
        )
    if policy is Overlength.reject:
        for i in long:
            file, _, line = rows.where(int(i)).rpartition(":")
            reason = f"has {tokens.full_lengths[i]} tokens, over data.max_length={max_length}"
            rejects.add(file, int(line), "text", reason)
        return np.flatnonzero(tokens.full_lengths <= max_length)
    return np.arange(len(rows))
