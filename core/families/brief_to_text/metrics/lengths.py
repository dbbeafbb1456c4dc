"""How long a copy is, as the place counts that it is written for."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum

from tunebook.families.text_generation.metrics.scripts import words


class Counting(Enum):
    """What counts as one character.

    ``plain``: each code point. ``double_width``: Chinese, Japanese and Korean characters and emoji count two, as in
    ads of Google. ``x``: as posts on X are counted, see `characters_on_x`.
    """

    plain = "plain"
    double_width = "double_width"
    x = "x"


URL_ON_X = 23
"""What every link counts on X, however long it is."""
_LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>\"]*[\w/=#&-]|(?<![\w@.-])[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|co\.uk|shop|store)\b(?:/\S*[\w/])?",
    re.IGNORECASE,
)
_PICTURE = "[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff]"
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3"
    f"|(?:{_PICTURE}\ufe0f|[\U0001f300-\U0001faff])[\U0001f3fb-\U0001f3ff\ufe0f]*[\U000e0020-\U000e007f]*"
    f"(?:\u200d{_PICTURE}[\U0001f3fb-\U0001f3ff\ufe0f]*)*"
)
# The ranges of weight 1 in twitter-text's configuration v3
_SINGLE_ON_X = ((0x0000, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))


def count_characters(text: str, counting: Counting = Counting.plain) -> int:
    """Count the characters of a text, in Unicode form NFC; line breaks and spaces count, but not at the ends."""
    text = unicodedata.normalize("NFC", text.strip())
    if counting is Counting.x:
        return characters_on_x(text)
    if counting is Counting.double_width:
        return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
    return len(text)


def characters_on_x(text: str) -> int:
    """Count the characters of a post as X does (docs.x.com/fundamentals/counting-characters).

    A link counts 23, an emoji 2 however it is put together, letters of Latin, Greek, Cyrillic, Hebrew, Arabic and
    neighbouring scripts 1, all others 2. Links without http or www are known by a few common endings (.com, .shop
    ...) and not by X's list of all domains.
    """
    text, links = _LINK.subn("", text)
    text, emoji = _EMOJI.subn("", text)
    letters = sum(1 if any(low <= ord(one) <= high for low, high in _SINGLE_ON_X) else 2 for one in text)
    return URL_ON_X * links + 2 * emoji + letters


def count_words(text: str) -> int:
    """Count words as a word processor does: what stands between spaces and has a letter or digit.

    Of scripts that put no spaces between words each character is one.
    """
    return sum(max(1, _unspaced(piece)) for piece in text.split() if any(map(str.isalnum, piece)))


def _unspaced(piece: str) -> int:
    """Count the words of a piece without spaces if its script has none at all; else 0."""
    found = words(piece)
    return len(found) if any(ord(word[0]) >= 0x0E00 and len(word) == 1 for word in found) else 0
