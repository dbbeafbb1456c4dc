"""Names in a copy that its brief does not have: brands, places, people, products, addresses."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache

from tunebook.families.text_generation.metrics.no_names import GERMAN, NO_NAMES, ORDINARY
from tunebook.families.text_generation.metrics.units import kinds_of

_WORD = re.compile(r"[^\W_](?:[\w'\u2019&-]*[^\W_])?")
_ADDRESS = re.compile(
    r"(?:https?://|www\.)\S*[\w/]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<![\w@])@\w{2,}|\b[\w-]+\.(?:com|org|net|co\.uk)\b"
)
_TAG = re.compile(r"#\w+")
_WITHIN = re.compile(r"[\w,)%'\u2019&£$€]\Z")
"""What stands before a word within a sentence; after anything else a capital says nothing."""
_INNER_CAPITAL = re.compile(r"[a-z][A-Z]")
_CODE = re.compile(r"[A-Za-z]+-?\d[\w-]*\Z")

NOUNS_SHARE = 0.08
"""A text with this share of German function words is German; of the words of the English samples none is."""


@dataclass(frozen=True)
class Names:
    """The names of a copy that are not in its brief.

    Attributes:
        invented: As they are written, each once.
        unchecked: Why capitals say nothing in this copy, or a part of it; None where all of it was checked.
    """

    invented: tuple[str, ...] = ()
    unchecked: str | None = None


def ordinary_words(texts: Iterable[str]) -> frozenset[str]:
    """Gather words that are no names: twice or more in lower case, and so at least half of the times, in some texts.

    Texts as the copy should be, the training copies for instance. Words that begin a sentence do not count.
    """
    lower, capital = Counter[str](), Counter[str]()
    for text in texts:
        for word in _WORD.finditer(text):
            if word[0].islower():
                lower[_plain(word[0])] += 1
            elif _within_sentence(text, word.start()):
                capital[_plain(word[0])] += 1
    return frozenset(word for word, count in lower.items() if count >= max(2, capital[word]))


def invented_names(copy: str, source: str, ordinary: Collection[str] = frozenset()) -> Names:
    """List the names of a copy that do not stand in what its brief says.

    A name is a word with a capital within a sentence, in capitals (BPA), with a capital inside (CamelCase), a code
    with digits (X200), or an address (a link, @handle). It is known if the brief has the word in any case, accent,
    plural or possessive, or a word of at least five letters that one of both begins with (Japan, Japanese). Not
    counted are days, months, feasts, kin, titles, function words, the most frequent words of ads (FREE, NEW), units,
    tags and single letters.

    Not seen: a name whose one capital begins its sentence, and a name made of the brief's words. Capitals say
    nothing in German, in lines in Title Case or all capitals, and in scripts without case: there only addresses,
    codes and inner capitals are looked at, and `unchecked` says why.

    Args:
        copy: The text.
        source: All that the brief says.
        ordinary: Words that are no names even with a capital ("in the City centre"), see `ordinary_words`.
    """
    known, language = _known(source), _no_case(copy) or _german(copy, source)
    unchecked = language
    found = [each for each in _ADDRESS.findall(copy) if each.casefold() not in source.casefold()]
    lines = _TAG.sub(";", _ADDRESS.sub(";", copy)).splitlines()
    for line in lines:
        blind = language or _blind_line(line, known)
        found += _names_of(line, known, ordinary, capitals=blind is None)
        unchecked = unchecked or blind
    return Names(tuple(dict.fromkeys(found)), unchecked)


def _names_of(line: str, known: frozenset[str], ordinary: Collection[str], capitals: bool) -> list[str]:
    """Find the unknown names of a line; those of several words are one."""
    found: list[str] = []
    end, before = -1, ""
    for word in _WORD.finditer(line):
        within = _within_sentence(line, word.start())
        new = not _is_known(word[0], known) and (_plain(word[0]) not in ordinary or _is_code(word[0]))
        joined = end >= 0 and line[end : word.start()] in (" ", " & ", " of ", " the ", " of the ")
        if new and _looks_like_name(word[0], within, capitals):
            if joined and found:
                found[-1] += line[end : word.start()] + word[0]
            else:
                start = line[: word.start()].rstrip(" ")
                found.append(f"{before} {word[0]}" if before and start.endswith(before) else word[0])
            end = word.end()
        else:
            end = -1
        first = new and not within and word[0][:1].isupper() and len(word[0]) > 1
        before = word[0] if first and not _is_ordinary(word[0]) else ""
    return found


def _looks_like_name(word: str, within: bool, capitals: bool) -> bool:
    if _is_code(word):
        return True
    letters = re.sub(r"['\u2019]\w+\Z", "", word)
    if not capitals or len(letters) < 2 or not letters[0].isupper():
        return False
    if letters.casefold() in ORDINARY or kinds_of(letters):
        return False
    if letters.isupper():
        return len(letters) <= 6
    return within


def _is_code(word: str) -> bool:
    return bool(_CODE.match(word) or _INNER_CAPITAL.search(word))


def _within_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 20) : start].rstrip(" ")
    return bool(_WITHIN.search(before))


def _is_ordinary(word: str) -> bool:
    """Whether a word at the beginning of a sentence is one that says nothing of a name after it."""
    return len(word) < 4 or _plain(word) in ORDINARY


def _is_known(word: str, known: frozenset[str]) -> bool:
    plain = _plain(word)
    if plain in known or plain in NO_NAMES or plain.rstrip("s") in known or plain.rstrip("s") in NO_NAMES:
        return True
    parts = [part for part in re.split(r"[-&]", plain) if part]
    if len(parts) > 1 and all(part in known for part in parts):
        return True
    return any(one.startswith(two) for each in known for one, two in ((each, plain), (plain, each)) if len(two) >= 5)


@lru_cache(maxsize=4096)
def _known(source: str) -> frozenset[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", source)  # eatType
    found = [_plain(word) for word in _WORD.findall(f"{source} {parted} {_ADDRESS.sub(';', source)}")]
    parts = [part for word in found for part in re.split(r"[-&]", word) if part]
    return frozenset(each for word in [*found, *parts] for each in (word, word.rstrip("s"), word.replace("-", "")))


def _plain(word: str) -> str:
    """Fold case and accents, and cut off a possessive."""
    folded = unicodedata.normalize("NFKD", word.casefold())
    folded = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return re.sub(r"['\u2019]s?\Z|['\u2019](?:ll|re|ve|d|m)\Z", "", folded)


def _no_case(copy: str) -> str | None:
    letters = [letter for letter in copy if letter.isalpha()]
    cased = sum(letter.lower() != letter.upper() for letter in letters)
    return "its script has no capitals" if letters and cased < 0.5 * len(letters) else None


def _german(copy: str, source: str) -> str | None:
    """Detect German, whose nouns all have capitals, by its function words."""
    words = [word.casefold() for word in _WORD.findall(f"{copy} {source}")]
    german = [word for word in words if word in GERMAN]
    return "German writes every noun with a capital" if len(german) > max(1.0, NOUNS_SHARE * len(words)) else None


def _blind_line(line: str, known: frozenset[str]) -> str | None:
    letters = [letter for letter in line if letter.isalpha()]
    if len(letters) >= 8 and sum(map(str.isupper, letters)) > 0.7 * len(letters):
        return "a line is in capitals"
    long = [word for word in _WORD.findall(line) if len(word) > 3 and word[0].isalpha()]
    long = [word for word in long if _plain(word) not in ORDINARY]
    new = [word for word in long if not _is_known(word, known)]
    titled = all(word[0].isupper() for word in long)
    return "a line is in title case" if titled and len(new) >= 3 else None
