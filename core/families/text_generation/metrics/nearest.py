"""Texts without a model: that which belongs to the most similar training prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunebook.families.text_generation.metrics.scripts import words


class NearestCopy:
    """Answers a brief with the copy of the most similar training brief.

    Similarity is the cosine of words weighted by how rare they are (TF-IDF: 1 + ln(briefs / briefs with it), and
    each word once). Of equally similar briefs the first, of several copies of one brief its first. Words of
    scripts without spaces are single characters.

    Args:
        sources: What each training row's brief says; a brief may come several times.
        copies: Its copy.

    Raises:
        ValueError: There are no rows, or not equally many of both.
    """

    def __init__(self, sources: Sequence[str], copies: Sequence[str]) -> None:
        if not sources or len(sources) != len(copies):
            raise ValueError("a copy is needed for each of at least one source")
        firsts: dict[str, str] = {}
        for source, copy in zip(sources, copies, strict=True):
            firsts.setdefault(source, copy)
        self._copies = list(firsts.values())
        self._word_numbers: dict[str, int] = {}
        found = [
            [self._word_numbers.setdefault(word, len(self._word_numbers)) for word in dict.fromkeys(words(source))]
            for source in firsts
        ]
        owners = np.repeat(np.arange(len(found)), [len(row) for row in found])
        numbers = np.array([number for row in found for number in row], dtype=np.int64)
        briefs = np.bincount(numbers, minlength=len(self._word_numbers))
        self._weights = 1 + np.log(len(found) / np.maximum(briefs, 1))
        norms = np.sqrt(np.bincount(owners, self._weights[numbers] ** 2, minlength=len(found)))
        self._norms = np.maximum(norms, 1e-12)
        self._owners = owners[np.argsort(numbers, kind="stable")]
        self._starts = np.concatenate([[0], np.cumsum(briefs)])

    def nearest(self, source: str) -> tuple[int, float]:
        """Find the most similar training brief: its number among the distinct ones, and their cosine, 0 to 1."""
        dots = np.zeros(len(self._copies))
        known = [self._word_numbers[word] for word in dict.fromkeys(words(source)) if word in self._word_numbers]
        for number in known:
            dots[self._owners[self._starts[number] : self._starts[number + 1]]] += self._weights[number] ** 2
        cosines = dots / self._norms
        best = int(np.argmax(np.round(cosines, 12)))
        norm = float(np.sqrt((self._weights[known] ** 2).sum()))
        return best, float(cosines[best] / norm) if norm else 0.0

    def write(self, sources: Sequence[str]) -> list[str]:
        """Answer each brief."""
        return [self._copies[self.nearest(source)[0]] for source in sources]
