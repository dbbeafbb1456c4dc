"""How much of what a model writes is copied from the copies it was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from tunebook.families.text_generation.metrics.scripts import words
from tunebook.statistics.sums import RowSums

Hashes = NDArray[np.uint64]
MOST_HASHES = 1 << 24
"""N-grams kept, of 8 bytes each (128 MiB)."""
_CHUNK = 1 << 14


class TrainingCopies:
    """Finds runs of words, and whole texts, that stand in training copies.

    Words are without case and punctuation. What is kept are 64-bit hashes. Where there are more n-grams than
    `most`, only those are kept, and counted in outputs, whose hash is a multiple of 2, 4 ...: a random sample of
    n-grams, the same on both sides, so that the share is still right in the mean.

    Args:
        texts: The training copies.
        order: Words in a run. Eight in a row are hardly ever the same by chance, but a long name or a required
            phrase can be a part of them.
        most: N-grams kept.
    """

    def __init__(self, texts: Iterable[str], order: int = 8, most: int = MOST_HASHES) -> None:
        self.order = order
        self.every = 1
        self._runs: Hashes = np.zeros(0, dtype=np.uint64)
        self._texts: Hashes = np.zeros(0, dtype=np.uint64)
        runs: list[Hashes] = []
        whole: list[int] = []
        for number, text in enumerate(texts, 1):
            tokens = words(text)
            runs.append(self._sampled(_run_hashes(tokens, order)))
            whole.append(_text_hash(tokens))
            if number % _CHUNK == 0:
                self._add(runs, whole, most)
                runs, whole = [], []
        self._add(runs, whole, most)

    def _add(self, runs: list[Hashes], whole: list[int], most: int) -> None:
        self._texts = np.union1d(self._texts, np.array(whole, dtype=np.uint64))
        self._runs = np.unique(np.concatenate([self._runs, *runs]))
        while len(self._runs) > most:
            self.every *= 2
            self._runs = self._sampled(self._runs)

    def _sampled(self, hashes: Hashes) -> Hashes:
        return hashes[hashes % np.uint64(self.every) == 0] if self.every > 1 else hashes

    def share(self, outputs: Sequence[str]) -> RowSums:
        """Share of the runs of words of the outputs that stand in a training copy; shorter outputs do not count."""
        rows = []
        for output in outputs:
            runs = self._sampled(_run_hashes(words(output), self.order))
            rows.append((int(np.isin(runs, self._runs).sum()), len(runs)))
        sums = np.array(rows, dtype=np.float64).reshape(-1, 2)
        reason = None if sums[:, 1:].any() else f"no output has {self.order} words"
        return RowSums(f"copied_{self.order}_grams", sums, most=1.0, higher_is_better=False, reason=reason)

    def whole(self, outputs: Sequence[str]) -> RowSums:
        """Share of the outputs that have the words of a whole training copy; empty ones do not count."""
        found = [words(output) for output in outputs]
        hashes = np.array([_text_hash(tokens) for tokens in found], dtype=np.uint64)
        there = np.array([bool(tokens) for tokens in found], dtype=bool)
        sums = np.stack([np.isin(hashes, self._texts) & there, there], axis=1).astype(np.float64)
        reason = None if there.any() else "every output is empty"
        return RowSums("copied_whole", sums, share=True, higher_is_better=False, reason=reason)


@lru_cache(maxsize=1 << 18)
def _word_hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")


def _text_hash(tokens: list[str]) -> int:
    return int.from_bytes(blake2b(" ".join(tokens).encode(), digest_size=8).digest(), "little")


def _run_hashes(tokens: list[str], order: int) -> Hashes:
    """Hash every run of `order` words, `[runs]`: a polynomial of the words' hashes modulo 2^64, then mixed."""
    hashed = np.array([_word_hash(token) for token in tokens], dtype=np.uint64)
    runs = np.zeros(max(0, len(hashed) - order + 1), dtype=np.uint64)
    for place in range(order):
        runs = runs * np.uint64(0x9E3779B97F4A7C15) + hashed[place : place + len(runs)]
    runs = (runs ^ (runs >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)  # the finish of splitmix64
    return runs ^ (runs >> np.uint64(29))
