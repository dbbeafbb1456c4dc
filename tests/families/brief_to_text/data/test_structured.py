"""Copy of several parts: rows become JSON objects as their schema says, or are rejected with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.user_error import user_error
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.families.brief_to_text.data.content import BriefContent
from tunebook.families.brief_to_text.data.forms import BriefForm, brief_columns
from tunebook.families.brief_to_text.data.structured import CopyStructure

PARTS = ["headline", "body"]
SCHEMA = {
    "type": "object",
    "properties": {
        "headline": {"type": "string", "maxLength": 20},
        "points": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "price": {"type": "number"},
    },
    "required": ["headline", "points"],
    "additionalProperties": False,
}


def structure_of(folder: Path, schema: Any = SCHEMA) -> CopyStructure:
    file = folder / "copy.schema.json"
    file.write_text(json.dumps(schema), encoding="utf-8")
    made = CopyStructure.of(None, file)
    assert made is not None
    return made


def copies(folder: Path, structure: CopyStructure | None, rows: list[dict[str, Any]]) -> tuple[list[Any], list[str]]:
    """The copies of good rows, and the reasons of the rejected ones."""
    form = BriefForm(("name",), structure=structure)
    rejects = RejectLog(folder / "rejects.jsonl", 0)
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = BriefContent(form).inspect(read_rows(str(path), "data.train", brief_columns(form), rejects), rejects)
    rejects.write()
    reasons = [json.loads(line)["reason"] for line in rejects.path.read_text().splitlines()]
    return [json.loads(text) for text in found.texts("copy")], reasons


def test_columns_become_an_object_in_the_order_given(tmp_path: Path) -> None:
    rows = [
        {"name": "Hook", "body": " Oak\nand brass. ", "headline": 'The "Hook"'},
        {"name": "Lamp", "body": "Oak.", "headline": ""},
        {"name": "Mug", "headline": "Mug."},
    ]
    found, reasons = copies(tmp_path, CopyStructure.of(PARTS, None), rows)
    assert found == [['{"headline": "The \\"Hook\\"", "body": "Oak\\nand brass."}']]
    assert reasons == ["has no usable copy: 'headline' is empty", "has no usable copy: 'body' is empty"]


def test_objects_must_match_the_schema_and_get_its_order(tmp_path: Path) -> None:
    good = {"price": 58, "points": ["oak", "brass"], "headline": "The Hook"}
    rows = [
        {"name": "a", "copy": good},
        {"name": "b", "copy": [good, {"headline": "B", "points": ["x"]}]},
        {"name": "c", "copy": {"headline": "C"}},
        {"name": "d", "copy": {**good, "headline": "A headline that is far too long"}},
        {"name": "e", "copy": "just a text"},
        {"name": "f", "copy": {**good, "price": "58"}},
        {"name": "g", "copy": {**good, "colour": "red"}},
        {"name": "h", "copy": '{"headline": "H", "headline": "I", "points": ["x"]}'},
        {"name": "i", "copy": "{'headline': 'I'}"},
    ]
    found, reasons = copies(tmp_path, structure_of(tmp_path), rows)
    ordered = '{"headline": "The Hook", "points": ["oak", "brass"], "price": 58}'
    assert found == [[ordered], [ordered, '{"headline": "B", "points": ["x"]}']]
    start = "has no usable copy: it does not match the schema: "
    assert reasons == [
        start + "'points' is a required property at $",
        start + "'A headline that is far too long' is too long at $.headline",
        "has no usable copy: it is not JSON (Expecting value at column 1)",
        start + "'58' is not of type 'number' at $.price",
        start + "Additional properties are not allowed ('colour' was unexpected) at $",
        "has no usable copy: the key 'headline' occurs more than once",
        "has no usable copy: it is not JSON (Expecting property name enclosed in double quotes at column 2: "
        "Python wrote it; use json.dumps, not str)",
    ]


def test_constraints_are_about_what_a_copy_says(tmp_path: Path) -> None:
    """The names of its parts are no words of it, and its length is that of its values and a line break between."""
    rows = [
        {"name": "a", "headline": "Hook", "body": "Oak.", "must_avoid": ["headline"], "max_characters": 9},
        {"name": "b", "headline": "Hook", "body": "Oak.", "max_characters": 8},
        {"name": "c", "headline": "Hook", "body": "Oak.", "must_mention": ["body"]},
    ]
    found, reasons = copies(tmp_path, CopyStructure.of(PARTS, None), rows)
    assert len(found) == 1
    assert reasons == [
        "has no usable copy: it has 9 characters (at most 8 are allowed)",
        "has no usable copy: it lacks 'body', which it must mention",
    ]


def test_what_a_copy_says_is_its_values(tmp_path: Path) -> None:
    structure = structure_of(tmp_path)
    copy = '{"headline": "The Hook", "points": ["oak", "brass"], "price": 58.5}'
    assert structure.said(copy) == "The Hook\noak\nbrass\n58.5"
    assert structure.holds(copy)
    for other in ("The Hook", '{"headline": "The Hook"', '{"headline": "The Hook"}', "7", "[" * 100_000):
        assert not structure.holds(other)
        assert structure.said(other) == (other if not other.endswith("}") else "The Hook")


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ("{", "config.bad-schema"),
        ('["headline"]', "config.bad-schema"),
        ('{"type": "string"}', "config.bad-schema"),
        ('{"type": "object", "properties": {}}', "config.bad-schema"),
        ('{"type": "object", "properties": {"a": {"type": "txt"}}}', "config.bad-schema"),
        ('{"type": "object", "properties": {"a": false}, "required": ["a"]}', "config.bad-schema"),
        (None, "config.bad-schema"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(tmp_path: Path, schema: str | None, code: str) -> None:
    file = tmp_path / "copy.schema.json"
    if schema is not None:
        file.write_text(schema, encoding="utf-8")
    with user_error(code):
        CopyStructure.of(None, file)


def test_parts_and_schema_are_one_or_the_other(tmp_path: Path) -> None:
    with user_error("config.conflict"):
        CopyStructure.of(PARTS, tmp_path / "copy.schema.json")
    with user_error("brief.column-used-twice", where="recipe.target_fields"):
        CopyStructure.of(["body", "body"], None)
