"""Texts without a model: that which belongs to the most similar training prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunebook.families.text_generation.metrics.scripts import words

_CELLS = 2_000_000
"""Most similarities held at once (16 MB)."""


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
        from sklearn.feature_extraction.text import TfidfVectorizer  # a second that `check` need not wait for

        if not sources or len(sources) != len(copies):
            raise ValueError("a copy is needed for each of at least one source")
        firsts: dict[str, str] = {}
        for source, copy in zip(sources, copies, strict=True):
            firsts.setdefault(source, copy)
        self._copies = list(firsts.values())
        self._tfidf = TfidfVectorizer(analyzer=_terms, binary=True, smooth_idf=False)
        self._known = self._tfidf.fit_transform(firsts).T.tocsr()

    def nearest(self, sources: Sequence[str]) -> tuple[list[int], list[float]]:
        """Find the most similar training brief of each: its number among the distinct ones, and their cosine."""
        step = max(1, _CELLS // len(self._copies))
        numbers: list[int] = []
        cosines: list[float] = []
        for start in range(0, len(sources), step):
            found = (self._tfidf.transform(sources[start : start + step]) @ self._known).toarray()
            best = np.round(found, 12).argmax(1)
            numbers += best.tolist()
            cosines += found[np.arange(len(found)), best].tolist()
        return numbers, cosines

    def write(self, sources: Sequence[str]) -> list[str]:
        """Answer each brief."""
        return [self._copies[number] for number in self.nearest(sources)[0]]


def _terms(text: str) -> list[str]:
    """The words of a text; of one without any a term of its own, so that there always is a vocabulary."""
    return words(text) or [""]
