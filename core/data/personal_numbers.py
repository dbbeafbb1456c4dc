"""Payment cards, IBAN and IP addresses in a text: by their form, and by what makes a number of that form a real one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence

Span = tuple[int, int]
"""Where something stands: its first character, and the one behind its last."""

_GAP = "[ \u00a0-]"
MAYBE_CARD = "[2-689][0-9]{3}[ \u00a0-]?[0-9]{4}[ \u00a0-]?[0-9]{4}|3[0-9]{3}[ \u00a0-]?[0-9]{6}[ \u00a0-]?[0-9]{4}"
_CARD = re.compile(
    rf"(?<![\w.,+#-])(?:[2-689][0-9]{{3}}({_GAP}?)[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}|3[47][0-9]{{2}}({_GAP}?)[0-9]{{6}}\2[0-9]{{5}}"
    rf"|3[0689][0-9]{{2}}({_GAP}?)[0-9]{{6}}\3[0-9]{{4}})(?![\w%]|[.,-][0-9])"
)
_CARD_WORD = re.compile(
    r"(?:card|visa|master ?card|amex|american express|maestro|diners|discover|karten?|carte|carta|tarjeta|cart[aã]o"
    r"|pan)"
    r"[^0-9]{0,24}$",
    re.IGNORECASE,
)
_PREFIXES = (
    *("4", "51", "52", "53", "54", "55", "6011", "644", "645", "646", "647", "648", "649", "65", "62", "81", "82"),
    *("34", "37", "300", "301", "302", "303", "304", "305", "36", "38", "39", "5018", "5020", "5038", "5893", "6304"),
    *("6759", "6761", "6762", "6763", "2200", "2201", "2202", "2203", "2204"),
)
"""First digits of the cards of each network; those of Mastercard from 2221 and of JCB are ranges."""

NUMBERED = re.compile(
    r"(?:\b(?:order|invoice|ticket|tracking|parcel|package|shipment|consignment|serial|sku|item|part|product|model"
    r"|article|artikel|art|ref|reference|referenz|case|id|isbn|issn|ean|upc|gtin|imei|imsi|vin|customer|account"
    r"|booking|reservation|confirmation|code|voucher|coupon|batch|lot|patent|postcode|zip|plz|blz|version|page|pages"
    r"|transaction|transaktion|licen[cs]e|policy|contract|claim|member\w*|bestell\w*|auftrag\w*|rechnung\w*|sendung\w*"
    r"|kunden\w*|konto\w*|serien\w*|vorgang\w*|commande|facture|colis|pedido|factura|ordine|fattura|barcode|meter"
    r"|no|nr|num|number|nummer|num[eé]ro|n[uú]mero)|\#|№|n[°º])"
    r"(?:[^\w\n]{0,3}\b(?:number|numbers|no|nr|num|nummer|id|code|is|was|ist|lautet|war|est|es)\b){0,3}[^\w\n]{0,4}$",
    re.IGNORECASE,
)
"""What stands before a number that is no person's: an order, an article, a code."""
BEFORE = 48
"""Characters before a number that may say what it is."""


def cards(text: str) -> Iterator[Span]:
    """Payment cards: a network's first digits and length, in one piece or in its groups, with Luhn's check digit.

    A number that is said to be an order, a ticket or the like is none.
    """
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if _is_network(digits) and is_luhn(digits):
            before = text[max(found.start() - BEFORE, 0) : found.start()]
            if _CARD_WORD.search(before) or not NUMBERED.search(before):
                yield found.span()


def _is_network(digits: str) -> bool:
    return digits.startswith(_PREFIXES) or 2221 <= int(digits[:4]) <= 2720 or 3528 <= int(digits[:4]) <= 3589


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it (ISO/IEC 7812-1)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


MAYBE_IBAN = "[A-Za-z]{2}[0-9]{2}(?:[ \u00a0-]?[A-Za-z0-9]){11}"
_IBAN = re.compile(rf"(?<![A-Za-z0-9])[A-Za-z]{{2}}[0-9]{{2}}(?:{_GAP}?[A-Za-z0-9]){{11,30}}")
_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_LENGTHS = {country: length for length, countries in _COUNTRIES.items() for country in countries.split()}
"""Characters of an IBAN by country, as in the registry of SWIFT."""


def ibans(text: str) -> Iterator[Span]:
    """IBAN in one piece or in groups: a country, its length, and the check digits (ISO 13616, modulo 97)."""
    for found in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(found[0][:2].upper())
        end = found.start() + (0 if length is None else _end(found[0], length))
        if end > found.start() and not text[end : end + 1].isalnum() and _is_iban(text[found.start() : end]):
            yield found.start(), end


def _end(written: str, length: int) -> int:
    """Where the first so many letters and digits end; 0 where there are fewer."""
    seen = 0
    for place, character in enumerate(written, 1):
        seen += character.isalnum()
        if seen == length:
            return place
    return 0


def _is_iban(written: str) -> bool:
    plain = re.sub(r"[^A-Za-z0-9]", "", written).upper()
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


MAYBE_IP = "[0-9]{1,3}(?:[.][0-9]{1,3}){3}|[23][0-9A-Fa-f]{3}:[0-9A-Fa-f]{0,4}:"
_IPV4 = re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w%]|\.[0-9]|/[0-9]|-[A-Za-z])")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}(?![\w:/])")
_IP_WORD = re.compile(r"\bip(?:v[46])?\b[^0-9\n]{0,24}$", re.IGNORECASE)
_VERSION = re.compile(
    r"(?:\bv|\b(?:ver|version|release|firmware|build|update|driver|software|chrome|firefox|safari|android|ios|windows"
    r"|section|clause|chapter|kapitel|abschnitt|app|oid|v8|node)|§)(?:[^\w\n]{0,3}\b(?:to|from|is|number|no|nr))?"
    r"[^\w\n]{0,3}$",
    re.IGNORECASE,
)


def ip_addresses(text: str) -> Iterator[Span]:
    """IP addresses of the internet; versions of programs, numbers of sections and private networks are none.

    Four small numbers with points between them are an address only if one has three digits, or if it is called one.
    """
    for found in _IPV4.finditer(text):
        numbers = [int(number) for number in found[0].split(".")]
        if not _is_public(numbers):
            continue
        before = text[max(found.start() - BEFORE, 0) : found.start()]
        called = max(numbers) > 99 or ("ip" in before.lower() and _IP_WORD.search(before))
        if called and not _VERSION.search(before):
            yield found.span()
    for found in _IPV6.finditer(text):
        try:
            ipaddress.IPv6Address(found[0])
        except ValueError:
            continue
        yield found.span()


def _is_public(numbers: Sequence[int]) -> bool:
    """Whether an address is on the internet: not of a private network, of this machine, or of many at once."""
    first, second = numbers[:2]
    private = first in (0, 10, 127) or numbers[:2] in ([169, 254], [192, 168]) or (first == 172 and 16 <= second < 32)
    return max(numbers) < 256 and first < 224 and not private
