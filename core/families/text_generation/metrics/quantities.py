"""Numbers in a copy that its brief does not have: prices, sizes, shares, dates, times."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from tunebook.families.text_generation.metrics.units import (
    CURRENCIES,
    MONTH,
    MULTIPLES,
    STRICT,
    WORD_NUMBER,
    kinds_of,
    month_number,
    months_in,
    word_value,
)

Reading = tuple[str, Decimal]
"""A kind of quantity (a unit, `%`, `time` ...) and a value of it."""
_ANY, _BARE = "any", "bare"

_FORMS = [
    (re.compile(r"(?<=\d)[\u00a0\u2009\u202f'\u2019](?=\d{3}(?!\d))"), ""),  # 1 500, 1'500
    (re.compile("[\u2010-\u2015\u2212]"), "-"),
    (re.compile("[\u00a0\u2009\u202f]"), " "),
    (re.compile(r"(?i)\bper cent\b"), "percent"),
    (re.compile(r"(?<=\d) ?[x\u00d7] ?(?=\d)"), " x "),  # 40x30
    (re.compile(r"(?m)^[ \t]*\d{1,2}[.)](?= )"), ""),  # of a numbered list
    (re.compile(r"#\w+"), ""),  # a tag states nothing
]
_VULGAR = "\u00bc-\u00be"  # a quarter, a half, three quarters
_SIGN = r"(?:[A-Z]{1,2})?[£$€¥₹]|(?:EUR|USD|GBP|CHF|JPY|INR|Rs)\b\.?"
_DIGITS = rf"(?:\d*[{_VULGAR}]|\d+(?:[.,]\d+)*)"
_AFTER = rf"%|°[ ]?[CF]?|[£$€¥₹](?! ?[\d{_VULGAR}])|[\"\u2033]|[^\W\d_{_VULGAR}]+"
_NUMBER = re.compile(
    rf"(?P<before>(?:{_SIGN}) ?)?(?<![A-Za-z\d])(?P<digits>{_DIGITS})"
    rf"(?:[ ]?(?P<multiple>{'|'.join(MULTIPLES)})\b|(?P<millions>m)\b)?(?:[ -]?(?P<after>{_AFTER}))?"
)
_CLOCK = re.compile(
    r"(?<![\w.,:£$€])(?P<hour>[01]?\d|2[0-4])"
    r"(?:(?:[:.](?P<minute>[0-5]\d))? ?(?P<half>[ap])\.?m\b|:(?P<exact>[0-5]\d)(?![\d:]))",
    re.IGNORECASE,
)
_DATE = re.compile(
    rf"(?<!\d)\d{{1,4}}(?:st|nd|rd|th)?(?: of)?[ -](?P<after>{MONTH})"
    rf"|\b(?P<before>{MONTH})\.? \d{{1,4}}(?:st|nd|rd|th)?\b",
    re.IGNORECASE,
)
_LEFT_SPREADS = re.compile(rf"(?P<sign>{_SIGN})(?P<one> ?{_DIGITS})(?P<to> ?(?:-|to|and|or) ?)(?=[\d{_VULGAR}])")
_RIGHT_SPREADS = re.compile(
    rf"(?<![\d.,])(?P<one>{_DIGITS})(?P<to> ?(?:-|x|to|and|or|by) ?)(?={_DIGITS}[ -]?(?P<unit>{_AFTER}))"
)


@dataclass(frozen=True)
class Quantity:
    """A number as it stands in a text.

    Attributes:
        text: It and its unit, as written.
        wanted: A brief that offers one of these readings has the number.
        offered: What a brief that writes it so offers.
    """

    text: str
    wanted: frozenset[Reading]
    offered: frozenset[Reading]


def invented_numbers(copy: str, source: str) -> tuple[str, ...]:
    """List the numbers of a copy that do not stand in what its brief says, each once and as it is written.

    1,500 is 1500, £10.50 is 10.50 £, 7pm is 19:00, 20 percent is 20 %, "5 star" is 5. A number of a unit, a
    currency or per cent is invented where the brief has it only with another: 10 weeks for 10 days, $24 for 24
    pieces. The brief may write its number as an English word (two, twenty-five, third, dozen). In the copy such
    words are only looked at before per cent and currencies ("fifty percent"): "one of the best" gives no number.

    Not seen: a number of the brief on the wrong thing (30 pieces and 72 marbles for 72 and 30), a month or day
    without a number, words for numbers in other languages. Nothing is computed: 1.2 kg is not 1200 g. Numbers in
    tags (#2026) and of numbered lists do not count, nor those in codes such as X200, which are names.
    """
    offered = _offered(source)
    invented = [each.text for each in quantities(copy) if not each.wanted & offered]
    return tuple(dict.fromkeys(invented))


def quantities(text: str) -> list[Quantity]:
    """Find the clock times, dates, numbers and numbers in words with a currency or per cent, of each kind in order."""
    text = _formed(text)
    found = [_clock(each) for each in _CLOCK.finditer(text)]
    text = _CLOCK.sub(" ; ", text)
    found += [_date(each) for each in _DATE.finditer(text)]
    found += [_number(each) for each in _NUMBER.finditer(text)]
    words = [_in_words(text, each) for each in WORD_NUMBER.finditer(text)]
    return found + [each for each in words if {kind for kind, _ in each.wanted} & STRICT]


@lru_cache(maxsize=4096)
def _offered(source: str) -> frozenset[Reading]:
    """Give all readings of the numbers in a brief."""
    text = _formed(source)
    found = {reading for form in (text, _spread(text)) for each in quantities(form) for reading in each.offered}
    for words in WORD_NUMBER.finditer(text):
        found |= _in_words(text, words).offered
    found |= {("month of a date", Decimal(month)) for month in months_in(text)}
    apart = {
        kind for sign in re.findall(rf"(?<!\d)(?<!\d )({_SIGN})(?! ?[\d{_VULGAR}])", text) for kind in kinds_of(sign)
    }
    found |= {(sign, value) for sign in apart & CURRENCIES for kind, value in list(found) if kind == _BARE}
    return frozenset(found)


def _formed(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    for pattern, replacement in _FORMS:
        text = pattern.sub(replacement, text)
    return text


def _spread(text: str) -> str:
    """Write the sign or unit of a range at both its ends: £20-£25, 40 cm x 30 cm."""
    text = _LEFT_SPREADS.sub(r"\g<sign>\g<one>\g<to>\g<sign>", text)
    for _ in range(2):  # 65 x 45 x 30 cm
        text = _RIGHT_SPREADS.sub(_with_unit, text)
    return text


def _with_unit(found: re.Match[str]) -> str:
    return f"{found['one']} {found['unit']}{found['to']}" if kinds_of(found["unit"]) else found[0]


def _number(found: re.Match[str]) -> Quantity:
    kinds = kinds_of(found["before"] or "") or kinds_of(found["after"] or "")
    if found["millions"] and not found["before"]:
        kinds = kinds_of("m")
    scale = MULTIPLES[found["multiple"]] if found["multiple"] else 10**6 if found["millions"] and found["before"] else 1
    values = {value * scale for value in _values(found["digits"])}
    text = found[0] if kinds_of(found["after"] or "") else found[0][: found.start("after") - found.start()].rstrip(" -")
    return _amount(text if found["after"] else found[0], kinds, values)


def _amount(text: str, kinds: frozenset[str], values: set[Decimal] | frozenset[Decimal]) -> Quantity:
    as_kinds = {(kind, value) for kind in kinds for value in values}
    bare = {(_BARE, value) for value in values}
    free = {(_ANY, value) for value in values}
    wanted = as_kinds | (set() if kinds & STRICT else bare) if kinds else free
    return Quantity(text.strip(), frozenset(wanted), frozenset(as_kinds | free | (set() if kinds else bare)))


def _values(digits: str) -> set[Decimal]:
    """Read digits with marks: 1,500 and 1.500,00 as 1500; 10,50 and 10½ as 10.5; 1.500 as either."""
    if re.search(f"[{_VULGAR}]", digits):
        return {int(digits[:-1] or 0) + Decimal(unicodedata.numeric(digits[-1]))}
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?", digits):
        return {Decimal(digits.replace(",", ""))}
    if re.fullmatch(r"[1-9]\d{0,2}(\.\d{3})+,\d+", digits) or re.fullmatch(r"[1-9]\d{0,2}(\.\d{3}){2,}", digits):
        return {Decimal(digits.replace(".", "").replace(",", "."))}
    if re.fullmatch(r"\d+[.,]\d+", digits):
        either = {Decimal(digits.replace(".", ""))} if re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", digits) else set()
        return {Decimal(digits.replace(",", ".")), *either}
    parts = re.split(r"[.,]", digits)  # 04.05.2026, 1,2,3
    return {Decimal(part) for part in parts}


def _clock(found: re.Match[str]) -> Quantity:
    hour, minute = int(found["hour"]), int(found["minute"] or found["exact"] or 0)
    hours = {hour} if hour > 12 else {hour, (hour + 12) % 24}
    if found["half"]:
        hours = {hour % 12 + (12 if found["half"].casefold() == "p" else 0)}
    times = {("time", Decimal(60 * each + minute)) for each in hours}
    time = hour + Decimal(minute) / 100
    spoken = {(hour + 11) % 12 + 1, *hours}
    free = {(_ANY, Decimal(each)) for each in spoken | {minute}}
    return Quantity(found[0].strip(), frozenset(times | {(_BARE, time)}), frozenset(times | free))


def _date(found: re.Match[str]) -> Quantity:
    month = frozenset({("month of a date", Decimal(month_number(found["after"] or found["before"])))})
    return Quantity(found[0].strip(), month, month)


def _in_words(text: str, found: re.Match[str]) -> Quantity:
    unit = re.match(r"[ -]?(%|[A-Za-z]+)", text[found.end() :])
    kinds = kinds_of(unit[1]) if unit else frozenset[str]()
    return _amount(found[0] + (unit[0] if unit and kinds else ""), kinds, word_value(found[0]))
