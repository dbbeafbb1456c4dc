"""E-mail addresses in a text, also those that are spelled to be hidden from programs."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAYBE_EMAIL = "[@\uff20]|[(\\[{] ?[aA][tT] ?[)\\]}]"
"""What a text with an address matches, for RE2 and Python."""

_BEFORE_AT = re.compile("[@\uff20(\\[{]")
_AT = re.compile(MAYBE_EMAIL)
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_TOP = r"[^\W\d_]{2,24}(?![\w-])"
_DOT = r"(?:\.| ?[(\[{] ?(?:dot|DOT|punkt) ?[)\]}] ?)"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.){{1,6}}({_TOP})")
_SPELLED = re.compile(rf" ?(?:{_LABEL}{_DOT}){{1,6}}({_TOP})")
_FILES = frozenset(
    ("png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "js", "ts", "css", "html", "json", "txt", "py", "md", "mp4")
)
"""What names of files end in, as `icon@2x.png`."""
_SIGNS, _LONGEST = "._+%'&-", 64
_OF_ADDRESS = re.compile(r"://[^\s/@]*$")
"""The beginning of a web address, whose name and password stand before its @."""


def emails(text: str) -> Iterator[tuple[int, int]]:
    """E-mail addresses, each as its first character and the one behind its last.

    Names of files, logins in web addresses, handles (``@anna``) and repositories (``git@github.com:...``) are none.
    """
    for first in _BEFORE_AT.finditer(text):  # a set of characters is found much faster than one of several patterns
        at = _AT.match(text, first.start())
        if at is None:
            continue
        plain = len(at[0]) == 1
        domain = (_DOMAIN if plain else _SPELLED).match(text, at.end())
        if domain is None or domain[1].lower() in _FILES:
            continue
        start = _local(text, at.start() if plain or text[at.start() - 1] != " " else at.start() - 1)
        if start is None or (text[start : at.start()] == "git" and text[domain.end() : domain.end() + 1] == ":"):
            continue
        if not _OF_ADDRESS.search(text, max(start - 100, 0), start):
            yield start, domain.end()


def _local(text: str, end: int) -> int | None:
    """Where the part before the @ starts; None where there is none."""
    start, least = end, max(end - _LONGEST, 0)
    while start > least and (text[start - 1].isalnum() or text[start - 1] in _SIGNS):
        start -= 1
    before = text[start - 1 : start]
    if before in ("@", "\uff20") or (start == least and start and before.isalnum()):
        return None
    while start < end and not text[start].isalnum():
        start += 1
    return start if start < end and text[end - 1] not in ".'&%" else None
