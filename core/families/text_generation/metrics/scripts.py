"""Words of a text in any script, and which scripts a measure can read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

# Thai, Lao, Tibetan, Burmese, Khmer, kana, Han: written without spaces between words
_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f"
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['\u2019][^\W{_UNSPACED}]+)*")
_UNSPACED_LETTER = re.compile(rf"[{_UNSPACED}]")
MOST = 0.5
"""A metric that ignores this share of the letters is not used."""


def words(text: str) -> list[str]:
    """Split a text into words without case: runs of letters and digits, and single characters where nothing is spaced.

    Punctuation is no word; `don't` is one.
    """
    return _WORD.findall(text.casefold())


def mostly_unspaced(texts: Iterable[str]) -> bool:
    """Whether most letters are of scripts written without spaces (Chinese, Japanese, Thai ...)."""
    return _most(_UNSPACED_LETTER.findall, texts)


def mostly_not_latin(texts: Iterable[str]) -> bool:
    """Whether most letters and digits are other than a to z and 0 to 9."""
    return _most(lambda text: [letter for letter in text if letter.isalnum() and not letter.isascii()], texts)


def _most(find: Callable[[str], list[str]], texts: Iterable[str]) -> bool:
    found = of = 0
    for text in texts:
        found += len(find(text))
        of += sum(map(str.isalnum, text))
    return found > MOST * of
