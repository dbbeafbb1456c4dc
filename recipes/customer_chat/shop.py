"""An invented clothes shop: what it sells, where it is, and its policy."""

from __future__ import annotations

from collections.abc import Mapping

NAMES = ("Amber", "Clover", "Fern", "Heather", "Lily", "Maple", "Olive", "Violet")
GARMENTS = ("belt", "blouse", "cardigan", "coat", "dress", "hat", "jacket", "shirt")
UNSIZED = ("belt", "hat")
SHOPS = {"Bath": "9.00 to 18.00", "Chester": "10.00 to 17.00", "Leeds": "8.30 to 19.00", "York": "9.30 to 17.30"}
ABROAD = {
    "France": ("£9", "5 to 7 working days"),
    "Germany": ("£11", "4 to 6 working days"),
    "Ireland": ("£6", "3 to 5 working days"),
    "Spain": ("£14", "7 to 9 working days"),
}

VALUES: Mapping[str, tuple[str, ...]] = {
    "item": tuple(f"{name} {garment}" for name in NAMES for garment in GARMENTS),
    "fitted": tuple(f"{name} {garment}" for name in NAMES for garment in GARMENTS if garment not in UNSIZED),
    "size": ("small", "medium", "large"),
    "shop": tuple(SHOPS),
    "country": tuple(ABROAD),
    "amount": ("£20", "£50", "£100"),
    "code": tuple(f"{word}{share}" for word in ("SPRING", "HELLO", "WINTER") for share in (10, 20, 30)),
    "way": ("by credit card", "by debit card", "by bank transfer"),
}
"""What each value is drawn from."""


def follow(values: Mapping[str, str]) -> dict[str, str]:
    """The shop's policy where it depends on the values."""
    cost, days = ABROAD[values["country"]]
    return {
        "hours": SHOPS[values["shop"]],
        "cost": cost,
        "days": days,
        "percent": f"{values['code'][-2:]}%",
    }
