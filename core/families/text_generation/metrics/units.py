"""The words and signs around numbers: currencies, units, number words, months."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

_SPELLED = {
    "£": "£ gbp pound pounds quid",
    "$": "$ usd dollar dollars bucks",
    "€": "€ eur euro euros",
    "¥": "¥ jpy yen cny rmb yuan",
    "₹": "₹ inr rs rupee rupees",
    "chf": "chf franc francs",
    "%": "% percent pct",
    "mm": "mm millimetre millimetres millimeter millimeters",
    "cm": "cm centimetre centimetres centimeter centimeters",
    "m": "m metre metres meter meters",
    "km": "km kilometre kilometres kilometer kilometers",
    "inch": 'inch inches " \u2033',
    "foot": "ft foot feet",
    "mile": "mile miles",
    "mg": "mg milligram milligrams",
    "g": "g gram grams gramme grammes",
    "kg": "kg kilo kilos kilogram kilograms",
    "oz": "oz ounce ounces",
    "lb": "lb lbs pound pounds",
    "ml": "ml millilitre millilitres milliliter milliliters",
    "cl": "cl",
    "l": "l litre litres liter liters",
    "second": "sec secs second seconds",
    "minute": "min mins minute minutes",
    "hour": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
    "°C": "°c celsius c ° degree degrees",
    "°F": "°f fahrenheit f ° degree degrees",
    "watt": "w watt watts",
    "volt": "v volt volts",
    "lumen": "lm lumen lumens",
    "gb": "gb gigabyte gigabytes",
    "tb": "tb terabyte terabytes",
    "mph": "mph",
    "km/h": "kmh kph",
}
CURRENCIES = frozenset(["£", "$", "€", "¥", "₹", "chf"])
STRICT = CURRENCIES | {"%"}
"""Kinds that a bare number in the brief does not stand for: 24 pieces are not $24."""
_KINDS: dict[str, frozenset[str]] = {}
for _kind, _words in _SPELLED.items():
    for _word in _words.split():
        _KINDS[_word] = _KINDS.get(_word, frozenset()) | {_kind}

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_SCALES = {"hundred": Decimal(100), "thousand": Decimal(1000), "million": Decimal(10**6)}
_VALUES = {
    **{word: Decimal(value) for value, word in enumerate(_SMALL.split())},
    **{word: Decimal(10 * value) for value, word in enumerate(_TENS.split(), 2)},
    **{word: Decimal(value) for value, word in enumerate(_ORDINALS.split(), 1)},
    **{"half": Decimal("0.5"), "single": Decimal(1), "once": Decimal(1), "pair": Decimal(2), "twice": Decimal(2)},
    **{"double": Decimal(2), "dozen": Decimal(12)},
    **_SCALES,
}
_ANY_WORD = "|".join(sorted(_VALUES, key=len, reverse=True))
WORD_NUMBER = re.compile(rf"\b(?:{_ANY_WORD})(?:(?: and |[ -])(?:{_ANY_WORD}))*\b", re.IGNORECASE)
"""English number words that stand together."""
MULTIPLES = {"k": 10**3, "thousand": 10**3, "million": 10**6, "bn": 10**9, "billion": 10**9}
_MONTHS = "january february march april may june july august september october november december"
MONTH = rf"(?:{'|'.join(f'{month[:3]}(?:{month[3:]})?' for month in _MONTHS.split())}|sept)\b"
"""A month's English name, or its first three letters, in lower case."""


def kinds_of(word: str) -> frozenset[str]:
    """Give what a unit's word or sign may mean; nothing where it is none: a pound is money or a weight."""
    return _KINDS.get(re.sub(r"\s|^[A-Z]{1,2}(?=[£$€¥])", "", word).casefold().rstrip("."), frozenset())


def word_value(words: str) -> frozenset[Decimal]:
    """Give the value of English number words that stand together, and of each of them alone.

    "one hundred and twenty-five" is 125, and may also be meant as 1, 100, 20 or 5.
    """
    parts = [part for part in re.split(r"[ -]", words.casefold()) if part != "and"]
    whole = part_sum = Decimal(0)
    for part in parts:
        if part in _SCALES:
            part_sum = (part_sum or 1) * _SCALES[part]
            if part != "hundred":
                whole, part_sum = whole + part_sum, Decimal(0)
        else:
            part_sum += _VALUES[part]
    return frozenset({whole + part_sum, *(_VALUES[part] for part in parts)})


def months_in(text: str) -> Iterator[int]:
    """Find the months that a text names or writes as numbers in dates (04/05/2026): 1 to 12."""
    for found in re.finditer(rf"\b{MONTH}", text, re.IGNORECASE):
        yield month_number(found[0])
    for found in re.finditer(r"(?<!\d)(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})(?!\d)", text):
        yield from (int(part) for part in found.groups() if 1 <= int(part) <= 12)


def month_number(name: str) -> int:
    """Give the number of a month from its English name, 1 to 12."""
    return [month[:3] for month in _MONTHS.split()].index(name[:3].casefold()) + 1
