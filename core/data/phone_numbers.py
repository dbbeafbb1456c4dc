"""Phone numbers in a text, where they can be told from prices, dates, years, orders and codes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tunebook.data.personal_numbers import BEFORE, NUMBERED, Span

_RUN = re.compile(
    r"[0-9](?:(?:[ \u00a0]?[-./\u2010\u2011\u2013][ \u00a0]?|[ \u00a0]?\("
    r"|\)[ \u00a0]?[-./]?[ \u00a0]?|[ \u00a0])?[0-9])*"
)
"""Digits with what stands between those of one number."""
_PREFIX = re.compile(r"(?:\+ ?|\(\+?)$")
_BAD_BEFORE = re.compile(r"[\w.,'\\$€£¥₹#+-]$|[=/]$")
_BAD_AFTER = re.compile(
    r"\w|[.,:'][0-9]|[\u00a0 ]?(?:%|‰|[$€£¥₹₩]|(?:eur|euros?|usd|dollars?|gbp|pounds?|chf|kr|sek|nok|dkk|z[lł]|pln|huf"
    r"|ft|yen|won|inr|rs|rub|km|cm|mm|m|kg|g|ml|l|kb|mb|gb|points?|times|views?|users?|followers|pieces|stück|years?)\b)",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?:[0-9]{4}([-./])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-./])[0-9]{1,2}\2(?:[0-9]{4}|[0-9]{2}))(?![-./]?[0-9])"
    r"|[0-9]{1,2} [0-9]{1,2} (?:19|20)[0-9]{2}(?![0-9])|(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])(?![0-9])"
    r"|(?:19|20)[0-9]{2}[ -](?:19|20)[0-9]{2}(?![0-9])"
)
_PHONE_WORD = re.compile(
    r"(?:\b(?:tel|telephone|telefon\w*|t[eé]l[eé]phone|tel[eé]fono|telefone|fon|phone|phoned|fax|mobile|mobil\w*"
    r"|m[oó]vil|cell|cellphone|handy\w*|portable|gsm|whatsapp|sms|viber|hotline|call|calling|called|ring|dial|text me"
    r"|rufnummer|durchwahl|erreichbar|erreichen|anrufen|appele[rz]|joindre|llamar|ll[aá]me\w*|chiam\w+|bel)"
    r"|\b(?:reach|contact) (?:me|us|him|her|them)|\b(?:my|our|his|her|their|meine|unsere|mon|mi) (?:\w+ )?(?:number"
    r"|nummer|num[eé]ro|n[uú]mero)|wa\.me/)"
    r"(?:[^\w\n]{0,3}\b(?:number|no|nr|num|nummer|num[eé]ro|n[uú]mero|is|ist|lautet|was|est|es|moi|me|us|him|her|them"
    r"|back|at|on|under|unter|au|al|via|the|a)\b){0,4}[^\w\n]{0,4}$",
    re.IGNORECASE,
)
_MORE = "(?:[^0-9A-Za-z]{0,3}[0-9]){6}"
MAYBE_PHONE = (
    f"[0-9]{_MORE}",
    rf"[+] ?[(]?[1-9]{_MORE}|(?:^|[^0-9])0[1-9]{_MORE}|(?:^|[^0-9])00[1-9]{_MORE}"
    r"|[2-9][0-9][0-9][)]?[-. ]{1,2}[2-9][0-9][0-9][-. ][0-9]{4}|[(][0-9]{2,4}[)] ?[0-9]{3,5}[- ][0-9]{4}"
    r"|(?i:fon|phon|tel|t\xe9l|fax|mobil|m.vil|cell|handy|portable|gsm|whatsapp|sms|viber|hotline|call|ring|dial"
    r"|text me|rufnummer|durchwahl|erreich|anruf|appel|joindre|llam|ll.me|chiam|bel|reach|contact|num|wa.me)"
    rf"[^0-9\n]{{0,48}}[0-9]{_MORE}",
)
"""What a text with a phone number matches, for RE2: the first pattern is fast, the second rules most orders out."""
_COUNTRIES = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|21[1-368]|2[2-46]\d|25[0-8]|29[01789]|3[578]\d|42[013]"
    r"|50\d|59\d|6[789]\d|80[08]|85[02356]|870|88[0168]|9[67]\d|99[2-68]"
)
"""Country codes of ITU-T E.164."""
_AMERICAN = re.compile(r"(?:1[-. ])?(?:\([2-9]\d\d\) ?-?|[2-9]\d\d([-.]))[2-9]\d\d[-. ]\d{4}")
_BRACKETED = re.compile(r"\((?!19|20)\d{2,4}\) ?\d{3,5}[- ]\d{4}")
_TRUNK = re.compile(
    r"(?:\(0[1-9]\d{1,4}\)[ \u00a0]?[-/]?[ \u00a0]?|0[1-9]\d{0,4}(?:[ \u00a0]?[-/\u2013][ \u00a0]?|[ \u00a0]))"
    r"[1-9]\d*(?:([ \u00a0-])\d+(?:\1\d+)*)?"
)
_FRENCH = re.compile(r"0[1-9](?:\.\d\d){4}")
_IDENTITY = re.compile(r"\d{3}-\d\d-\d{4}")
"""The form of an American social security number."""
_FEWEST, _MOST = 7, 15


def phones(text: str) -> Iterator[Span]:
    """Phone numbers.

    Counted are numbers with a country code (``+49 30 1234567``, ``0049 30 1234567``), in the forms that a country
    writes them in (``(212) 555-0123``, ``030 1234567``, ``0171/2345678``, ``06.12.34.56.78``), and others behind a word
    that says what they are (``Tel. 5550123``). A number that is said to be an order, an article or the like is none.
    """
    for found in _RUN.finditer(text):
        start, end = found.span()
        if end - start < _FEWEST:
            continue
        if prefix := _PREFIX.search(text, max(start - 2, 0), start):
            start = prefix.start()
        written = text[start:end]
        if sum(map(str.isdigit, written)) > _MOST + 2:  # two numbers side by side
            if " / " not in written or end - start > 60:
                continue
            middle = start + written.index(" / ")
            parts = [(start, middle), (middle + 3, end)]
        else:
            parts = [(start, end)]
        for first, last in parts:
            if _is_phone(text, first, last):
                yield first, last


def _is_phone(text: str, start: int, end: int) -> bool:
    written = text[start:end]
    digits = re.sub(r"\D", "", written)
    if not _FEWEST <= len(digits) <= _MOST + 2 or _BAD_AFTER.match(text, end) or len(set(digits)) < 3:
        return False
    before = text[max(start - BEFORE, 0) : start]
    if written.lstrip("(").startswith("+"):
        return not re.search(r"[\w+]$", before) and _is_international(written, digits)
    if _DATE.match(written) or _IDENTITY.fullmatch(written):
        return False
    called = bool(_PHONE_WORD.search(before))
    if not called and (_BAD_BEFORE.search(before) or NUMBERED.search(before)):
        return False
    if digits.startswith("00"):
        return (called or digits != written) and _is_international(written, digits[2:])
    if called:
        return len(digits) <= _MOST and not re.search(r"[\w.,'$€£¥₹+-]$", before)
    return _is_national(written, digits)


def _is_international(written: str, digits: str) -> bool:
    """Whether digits are a country's code and a number in it, which begins with 0 only in brackets."""
    digits = digits if "(0)" not in written else _without_trunk(written)
    if digits.startswith("1"):
        return bool(re.fullmatch(r"1[2-9]\d\d[2-9]\d{6}", digits))
    country = max((n for n in (1, 2, 3) if _COUNTRIES.fullmatch(digits[:n])), default=0)
    own = digits[country:]
    return bool(country) and (own[:1] != "0" or digits.startswith("39")) and 9 <= len(digits) <= _MOST and len(own) >= 7


def _without_trunk(written: str) -> str:
    digits = re.sub(r"\D", "", written.replace("(0)", "", 1))
    return digits[2:] if digits.startswith("00") else digits


def _is_national(written: str, digits: str) -> bool:
    if american := _AMERICAN.fullmatch(written):
        between = american[1]
        return between is None or written[-5] == between
    if _FRENCH.fullmatch(written):
        return True
    if _BRACKETED.fullmatch(written) and len(digits) >= 10:
        return True
    if not _TRUNK.fullmatch(written):
        return False
    groups = re.findall(r"\d+", written)
    pairs = max(map(len, groups)) < 3  # as lottery numbers are, too
    return not pairs and (9 if len(groups[0]) < 5 else 10) <= len(digits) <= 12
