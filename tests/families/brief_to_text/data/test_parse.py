from __future__ import annotations

import csv
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tunebook.families.brief_to_text.data.brief import (
    Brief,
    UnusableBrief,
    Value,
    content_text,
    flat_text,
    from_text,
    to_plain,
    to_text,
)
from tunebook.families.brief_to_text.data.forms import BriefForm, Constraints
from tunebook.families.brief_to_text.data.parse import read_brief, read_copies
from tunebook.families.brief_to_text.data.slots import read_slots

E2E = Path(__file__).parents[5] / "shared" / "data" / "e2e"
WHOLE = BriefForm(brief="mr")
PARTS = BriefForm(fields=("name", "features", "price"))
MILL = Brief(
    (("name", "Tollgate"), ("features", ("21 cm", "six settings")), ("price", "$58")),
    must_mention=("21 cm",),
    must_avoid=("gourmet", "artisan"),
    channel="tweet",
    max_characters=280,
    max_words=50,
)


def cells(**values: str | None) -> dict[str, str | None]:
    """A row as read: fields by their role, the rest by name."""
    return {f"field:{name}" if name in PARTS.fields else name: value for name, value in values.items()}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("name[The Vaults]", {"name": "The Vaults"}),
        (
            "name[The Vaults], eatType[pub], priceRange[more than £30], customer rating[5 out of 5]",
            {
                "name": "The Vaults",
                "eatType": "pub",
                "priceRange": "more than £30",
                "customer rating": "5 out of 5",
            },
        ),
        (
            " name [ The Vaults ] ,near[Café [upstairs], left door] ",
            {"name": "The Vaults", "near": "Café [upstairs], left door"},
        ),
        ("name[A],food[]", {"name": "A", "food": ""}),
    ],
)
def test_fields_in_brackets_are_read(text: str, fields: dict[str, str]) -> None:
    assert list(read_slots(text).items()) == list(fields.items())


HINT = "neither a JSON object nor name[value], name[value] (is it plain text? then name its column in recipe.fields)"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A cosy pub", f"no '[' after the first name: it is {HINT}"),
        ("A cosy pub, by the river [left]", f"no '[' after the first name: it is {HINT}"),
        ("name[A], food", "'[' expected at character 14, after 'food'"),
        ("name[A],", "'[' expected at character 9, after ''"),
        ("name[A], food, area[b]", "'[' expected at character 14, after 'food'"),
        ("name[A]], food[b]", "',' expected at character 8, after the field 'name', and not ']'"),
        ("name[A] food[b]", "',' expected at character 9, after the field 'name', and not 'f'"),
        ("name[A, food[b]", "the '[' at character 5 is never closed"),
        ("name[A], [b]", "the field at character 10 has no name"),
        ("name[A], food[b], name[C]", "the field 'name' occurs twice, again at character 19"),
    ],
)
def test_what_is_wrong_with_fields_in_brackets_is_told_with_its_character(text: str, reason: str) -> None:
    with pytest.raises(UnusableBrief) as caught:
        read_brief({"source": text}, WHOLE)
    assert str(caught.value) == reason


@pytest.mark.skipif(not E2E.is_dir(), reason="the E2E data is not there")
def test_all_briefs_of_e2e_are_read_and_can_be_written_again() -> None:
    rows = 0
    for name, distinct in (("train_full", 4862), ("valid", 547), ("test", 630)):
        with (E2E / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            texts = [row["mr"] for row in csv.DictReader(file)]
        rows += len(texts)
        found = set()
        for text in texts:
            brief = read_brief({"source": text}, WHOLE)
            assert ", ".join(f"{field}[{value}]" for field, value in brief.fields) == text
            assert from_text(to_text(brief)) == brief
            found.add(to_text(brief))
        assert len(found) == distinct
    assert rows == 51_426


def test_one_brief_is_read_alike_from_columns_and_from_an_object() -> None:
    asked = {"must_mention": '["21 cm"]', "must_avoid": "gourmet; artisan", "channel": "tweet"}
    limits = {"max_characters": "280", "max_words": "50.0"}
    features = json.dumps(["21 cm", "six settings"])
    row = cells(name=" Tollgate\n", features=features, price="$58", **asked, **limits)
    assert read_brief(row, PARTS) == MILL
    record = {
        "name": "Tollgate",
        "features": ["21 cm", "six settings", "", None],
        "price": "$58",
        "size": None,
        "colour": [],
    }
    assert read_brief({"source": json.dumps(record), **asked, **limits}, WHOLE) == MILL
    inside = {**record, "must_mention": "21 cm", "must_avoid": ["gourmet", "artisan"], "channel": "tweet"}
    inside |= {"max_characters": 280, "max_words": 50}
    assert read_brief({"source": json.dumps(inside)}, WHOLE) == MILL
    # By other names, and not at all.
    renamed = BriefForm(brief="mr", constraints=Constraints(must_mention="say", must_avoid=None))
    brief = read_brief({"source": '{"name": "A", "say": "B|C", "must_avoid": "D"}'}, renamed)
    assert brief == Brief((("name", "A"), ("must_avoid", "D")), must_mention=("B", "C"))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("salt; pepper | oil", "salt; pepper | oil"),  # a field is not cut
        ("[limited] edition", "[limited] edition"),
        ("{{first_name}}, look", "{{first_name}}, look"),
        ('["a", 2.50, true, "b"]', ("a", "2.50", "true", "b")),
        ("Cafe\u0301", "Café"),
        ('["Cafe\\u0301"]', ("Café",)),
    ],
)
def test_values_are_kept_as_they_are_written(cell: str, value: Value) -> None:
    assert read_brief(cells(name=cell), PARTS).fields == (("name", value),)


@pytest.mark.parametrize(
    ("row", "form", "reason"),
    [
        (cells(name=None, features=" ", price="[]"), PARTS, "it is empty"),
        (cells(channel="tweet"), PARTS, "it is empty"),
        ({"source": "{}"}, WHOLE, "it is empty"),
        ({"source": "name[], food[ ]"}, WHOLE, "it is empty"),
        ({"source": '{"must_mention": ["x"]}'}, WHOLE, "it is empty"),
        ({"source": '["a"]'}, WHOLE, "it is a list, not an object"),
        ({"source": '{"a": 1,}'}, WHOLE, "it is not JSON: "),
        ({"source": "{'a': 'b'}"}, WHOLE, "it is in Python syntax, not JSON: use json.dumps, not str"),
        ({"source": '{"a": "b", "a": "c"}'}, WHOLE, "the key 'a' occurs more than once"),
        ({"source": '{"a": "b", " a": "c"}'}, WHOLE, "the key 'a' occurs more than once"),
        ({"source": '{"a": NaN}'}, WHOLE, "it contains NaN, which is not JSON"),
        ({"source": '{"a":' * 100_000}, WHOLE, "it is nested too deeply"),
        ({"source": '{"a": {"b": 1}}'}, WHOLE, "'a' is an object, but a field is a text or a list of texts"),
        (
            {"source": '{"a": ["x", ["y"]]}'},
            WHOLE,
            "an item of 'a' is a list, but a field is a text or a list of texts",
        ),
        (cells(name='{"b": 1}'), PARTS, "'name' is an object, but a field is a text or a list of texts"),
        (
            cells(name="['a', \"it's\"]"),
            PARTS,
            "'name' is in Python syntax, not JSON: use json.dumps, not str",
        ),
        ({"source": '{"a": "x\\u0000"}'}, WHOLE, "it contains a NUL character"),
        ({"source": '{"a": "x\\ud83d"}'}, WHOLE, r"it contains half of a surrogate pair (\ud800-\udfff)"),
        (cells(name="A", max_words="ten"), PARTS, "max_words is 'ten', not a positive whole number"),
        (cells(name="A", max_words="0"), PARTS, "max_words is '0', not a positive whole number"),
        (cells(name="A", max_characters="2.5"), PARTS, "max_characters is '2.5', not a positive whole number"),
        (cells(name="A", channel='["x", "y"]'), PARTS, "the channel is a list, not a text"),
        (
            {"source": '{"a": "x", "channel": "tweet"}', "channel": "mail"},
            WHOLE,
            "'channel' is in the brief and in a column of its own",
        ),
    ],
)
def test_briefs_that_cannot_be_used_are_told(row: dict[str, Any], form: BriefForm, reason: str) -> None:
    with pytest.raises(UnusableBrief) as caught:
        read_brief(row, form)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("cell", "copies"),
    [
        ("  Grind on.\n", ("Grind on.",)),
        ('["One.", " Two. "]', ("One.", "Two.")),
        ('"Grind on."', ('"Grind on."',)),
        ("[New] Grind on.", ("[New] Grind on.",)),
        ("{{first_name}}, grind on.", ("{{first_name}}, grind on.",)),
        ('["Cafe\\u0301"]', ("Café",)),
    ],
)
def test_copy_is_one_text_or_a_list_of_them(cell: str, copies: tuple[str, ...]) -> None:
    assert read_copies({"copy": cell}) == copies


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "it is empty"),
        ("[]", "it is empty"),
        ('[" "]', "it is empty"),
        ('["One.", ""]', "copy 2 of 2 is empty"),
        ('["One.", null]', "copy 2 is null, not a text"),
        ('["One.", {"text": "x"}]', "copy 2 is an object, not a text"),
        ('{"text": "x"}', "it is an object, and not a text or a list of texts"),
        ("['One.', 'Two.']", "it is in Python syntax, not JSON: use json.dumps, not str"),
        ('["a\\u0000"]', "it contains a NUL character"),
    ],
)
def test_copy_that_cannot_be_used_is_told(cell: str, reason: str) -> None:
    with pytest.raises(UnusableBrief) as caught:
        read_copies({"copy": cell})
    assert str(caught.value) == reason


def test_a_brief_is_written_in_one_way_and_read_back() -> None:
    assert to_text(MILL) == (
        '{"fields":{"name":"Tollgate","features":["21 cm","six settings"],"price":"$58"},"must_mention":["21 cm"],'
        '"must_avoid":["gourmet","artisan"],"channel":"tweet","max_characters":280,"max_words":50}'
    )
    assert from_text(to_text(MILL)) == MILL
    accents = Brief((("fields", "é"),))
    assert to_text(accents) == '{"fields":{"fields":"é"}}'
    assert from_text(to_text(accents)) == accents
    assert unicodedata.is_normalized("NFC", to_text(accents))


def test_a_brief_is_shown_to_people_and_gives_its_facts() -> None:
    assert to_plain(MILL) == (
        "name: Tollgate; features: 21 cm, six settings; price: $58; channel: tweet; must mention: 21 cm; "
        "must avoid: gourmet, artisan; at most 280 characters; at most 50 words"
    )
    assert flat_text(MILL) == "Tollgate\n21 cm\nsix settings\n$58\n21 cm"


def test_what_a_brief_says_is_apart_from_how_it_is_to_be_said() -> None:
    turned = Brief(MILL.fields[::-1], must_mention=MILL.must_mention, channel="email", max_words=9)
    assert content_text(turned) == content_text(MILL) != content_text(Brief(MILL.fields))
    swapped = [Brief((("name", a), ("near", b))) for a, b in (("A", "B"), ("B", "A"))]
    assert content_text(swapped[0]) != content_text(swapped[1])
    assert flat_text(swapped[0]).split() == flat_text(swapped[1]).split()[::-1]
