"""The word 3-grams of texts as sorted hashes, many texts at a time.

A word is a run of letters, digits and underscores of the text once `normalise` folded it. Everything is done on arrays
of bytes; only texts beyond ASCII are folded and taken apart one by one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\w+")
TOGETHER = 1 << 12
"""Most texts in one call of `gram_sets`: their numbers and the hashes share 64 bits."""
HASH_BITS = np.uint64(52)
_HASH = (np.uint64(1) << HASH_BITS) - np.uint64(1)
_LONGEST = 1 << 16  # places in a word that are told apart; of a longer one they repeat
Hashes = NDArray[np.uint64]


def normalise(text: str) -> str:
    """Fold what the eye does not tell apart: NFKC, case, white space."""
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@dataclass(frozen=True)
class GramSets:
    """The sets of 3-grams of some texts, one after the other.

    Attributes:
        hashes: [grams] of each set, ascending and each once.
        owners: [grams] number of the text that each is from, ascending.
        starts: [texts + 1] where each set begins.
    """

    hashes: Hashes
    owners: NDArray[np.int64]
    starts: NDArray[np.int64]


def gram_sets(texts: Sequence[str]) -> GramSets:
    """The sets of word 3-grams of at most `TOGETHER` texts."""
    words, counts = _word_hashes(texts)
    owners = np.repeat(np.arange(len(texts), dtype=np.uint64), counts)
    whole = owners[:-2] == owners[2:]
    hashes = mix(mix(mix(words[:-2]) + words[1:-1]) + words[2:])[whole]
    keys = np.sort((owners[:-2][whole] << HASH_BITS) | (hashes & _HASH))  # one sort instead of two
    keys = keys[np.r_[True, keys[1:] != keys[:-1]]] if len(keys) else keys
    of = (keys >> HASH_BITS).astype(np.int64)
    return GramSets(keys & _HASH, of, np.searchsorted(of, np.arange(len(texts) + 1)))


def mix(values: Hashes) -> Hashes:
    """Spread 64-bit values evenly (the finaliser of SplitMix64, Steele et al., OOPSLA 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def _tables() -> tuple[Hashes, Hashes]:
    """What each byte and each place in a word counts; 0 for a byte that no word has."""
    of_bytes = mix(np.arange(1, 257, dtype=np.uint64))
    ascii_words = set(b"0123456789_abcdefghijklmnopqrstuvwxyz")
    of_bytes[[byte for byte in range(128) if byte not in ascii_words]] = 0
    of_bytes[ord("A") : ord("Z") + 1] = of_bytes[ord("a") : ord("z") + 1]
    return of_bytes, mix(np.arange(1, _LONGEST + 1, dtype=np.uint64)) | np.uint64(1)


_OF_BYTES, _OF_PLACES = _tables()


def _word_hashes(texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """A hash of each word, and the number of words of each text."""
    plain = [text if text.isascii() else " ".join(WORD.findall(normalise(text))) for text in texts]
    raw = [text.encode("utf-8") for text in plain]
    ends = np.cumsum([len(part) + 1 for part in raw])
    values = _OF_BYTES[np.frombuffer(b" ".join([*raw, b""]), np.uint8)]
    inside = np.flatnonzero(values)
    first = np.r_[True, np.diff(inside) > 1][: len(inside)]
    starts = np.flatnonzero(first)
    if not len(starts):
        return np.zeros(0, np.uint64), np.zeros(len(texts), np.int64)
    sizes = np.diff(np.r_[starts, len(inside)])
    places = np.arange(len(inside)) - np.repeat(starts, sizes)
    sums = np.add.reduceat(values[inside] * _OF_PLACES[places % _LONGEST], starts)
    counts = np.diff(np.r_[0, np.searchsorted(inside[starts], ends)])
    return mix(sums + sizes.astype(np.uint64)), counts
