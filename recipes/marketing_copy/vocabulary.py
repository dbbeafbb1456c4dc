"""What the sample briefs are about: the things of an invented shop, and what can be said of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    """A kind of product.

    Attributes:
        material: What it may be made of.
        size: A feature with a number in braces, and the sentence that says it.
        sizes: The numbers.
        perks: Features, and what follows "it" where they are said.
    """

    material: tuple[str, ...]
    size: tuple[str, str]
    sizes: tuple[int, ...]
    perks: tuple[tuple[str, str], ...]


_WASH = ("dishwasher safe", "goes in the dishwasher")
_HAND = ("made by hand", "is made by hand")
_GIFT = ("gift box", "comes in a gift box")
_COLOURS = ("five colours", "comes in five colours")
_WARRANTY = ("two-year warranty", "has a two-year warranty")
_REPAIRS = ("free repairs", "is repaired free of charge")
_LIGHT = ("very light", "is very light")
_MACHINE = ("machine washable", "is machine washable")

THINGS = {
    "Mug": Thing(
        ("stoneware", "glazed clay", "white porcelain", "enamel"),
        ("holds {} ml", "It holds {} ml"),
        (250, 300, 350, 400),
        (_WASH, _HAND, _GIFT, _COLOURS),
    ),
    "Teapot": Thing(
        ("cast iron", "glazed clay", "clear glass", "white porcelain"),
        ("holds {} ml", "It holds {} ml"),
        (600, 800, 900, 1200),
        (_WASH, _HAND, _GIFT, ("drip-free spout", "has a spout that does not drip")),
    ),
    "Lamp": Thing(
        ("brass", "solid oak", "brushed steel", "clear glass"),
        ("{} cm tall", "It is {} cm tall"),
        (28, 32, 38, 45),
        (("dimmer", "has a dimmer"), _WARRANTY, _HAND, ("long cable", "has a long cable")),
    ),
    "Blanket": Thing(
        ("merino wool", "washed cotton", "soft linen", "recycled wool"),
        ("{} cm wide", "It is {} cm wide"),
        (120, 130, 140, 150),
        (_MACHINE, _COLOURS, _GIFT, ("no loose threads", "has no loose threads")),
    ),
    "Backpack": Thing(
        ("waxed canvas", "recycled nylon", "full-grain leather", "washed cotton"),
        ("holds {} litres", "It holds {} litres"),
        (14, 18, 22, 28),
        (_LIGHT, _REPAIRS, _COLOURS, ("laptop sleeve", "has a laptop sleeve")),
    ),
    "Notebook": Thing(
        ("recycled paper", "cream paper", "stone paper", "cotton paper"),
        ("{} pages", "It has {} pages"),
        (96, 128, 160, 192),
        (("lies flat", "lies flat"), _COLOURS, _LIGHT, ("sewn by hand", "is sewn by hand")),
    ),
    "Chair": Thing(
        ("solid oak", "beech", "coated steel", "rattan"),
        ("seat at {} cm", "The seat is at {} cm"),
        (44, 45, 46, 48),
        (_WARRANTY, _REPAIRS, ("folds flat", "folds flat"), ("arrives assembled", "arrives assembled")),
    ),
    "Candle": Thing(
        ("soy wax", "beeswax", "rapeseed wax", "coconut wax"),
        ("burns for {} hours", "It burns for {} hours"),
        (30, 40, 45, 60),
        (_HAND, _GIFT, ("no scent", "has no scent"), ("glass jar", "comes in a glass jar")),
    ),
    "Knife": Thing(
        ("carbon steel", "stainless steel", "Damascus steel", "white ceramic"),
        ("{} cm blade", "The blade is {} cm long"),
        (12, 15, 18, 20),
        (("free sharpening", "is sharpened free of charge"), _GIFT, _HAND, ("oak handle", "has an oak handle")),
    ),
    "Towel": Thing(
        ("organic cotton", "soft linen", "bamboo", "washed cotton"),
        ("{} cm long", "It is {} cm long"),
        (100, 120, 140, 150),
        (_MACHINE, _COLOURS, ("dries fast", "dries fast"), ("loop to hang it", "has a loop to hang it")),
    ),
}

# Few enough for each to stand in several training rows: a model this small copies words that it has seen copied.
NAMES = (
    *("Alder", "Amber", "Anchor", "Birch", "Bramble", "Brook", "Cedar", "Clover", "Copper", "Coral", "Daisy", "Echo"),
    *("Ember", "Falcon", "Fern", "Finch", "Garden", "Glen", "Harbor", "Hazel", "Heron", "Holly", "Ivy", "Juniper"),
    *("Lark", "Maple", "Meadow", "Moss", "Olive", "Orchard", "Otter", "Pebble", "Poppy", "River", "Robin", "Sparrow"),
    *("Summer", "Thistle", "Willow", "Winter"),
)
