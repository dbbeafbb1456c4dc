"""Copy of several parts, such as headline, body and call to action: one JSON object, as a schema says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tunebook.errors import UserError
from tunebook.families.brief_to_text.data.brief import UnusableBrief
from tunebook.files import why_unreadable

FIELDS, SCHEMA = "recipe.target_fields", "recipe.schema"
"""The two keys that say what copy is made of."""


@dataclass(frozen=True)
class CopyStructure:
    """What a copy is made of.

    Attributes:
        text: Its JSON schema, as text.
        parts: The columns that it is made up of; none where one column holds it whole, as an object.
    """

    text: str
    parts: tuple[str, ...] = ()

    @classmethod
    def of(cls, parts: Sequence[str] | None, file: Path | None) -> CopyStructure | None:
        """The structure that the options name; None where copy is a plain text.

        Args:
            parts: ``recipe.target_fields``.
            file: ``recipe.schema``.

        Raises:
            UserError: Both are given, the file holds no schema of an object, nothing satisfies it, or a package is
                missing that structures need.
        """
        if not parts and file is None:
            return None
        where = FIELDS if parts else SCHEMA
        if parts and file is not None:
            raise UserError(
                "Copy is made of columns or of one object with a schema, not of both.",
                code="config.conflict",
                where=f"{FIELDS}, {SCHEMA}",
                fix=f"leave {FIELDS} or {SCHEMA} out",
            )
        found = cls(_schema_of(parts or ()) if file is None else _read(file), tuple(parts or ()))
        found.check(where if file is None else str(file))
        return found

    def check(self, where: str) -> None:
        """Refuse a schema that answers cannot be kept to.

        Raises:
            UserError: It is none, nothing satisfies it, or a package is missing.
        """
        from tunebook.families.text_generation.model.structure import grammar_of, need_packages

        need_packages(where)
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError

        try:
            Draft202012Validator.check_schema(self.schema)
            grammar_of(self.text)
        except (SchemaError, ValueError) as error:
            reason = error.message if isinstance(error, SchemaError) else str(error)
            raise UserError(
                f"Copy cannot be kept to this JSON schema: {reason}.",
                code="config.bad-schema",
                where=where,
                fix="correct the schema: an object, whose properties can all be met (JSON Schema 2020-12)",
            ) from error

    @cached_property
    def schema(self) -> Any:
        """The JSON schema."""
        return json.loads(self.text)

    def copy_of(self, record: Any) -> str:
        """A copy as JSON, its keys in the order of the schema.

        Raises:
            UnusableBrief: It does not match the schema; the reason says where.
        """
        fault = self.fault(record)
        if fault:
            raise UnusableBrief(fault)
        return json.dumps(_ordered(record, self.schema), ensure_ascii=False)

    def fault(self, record: Any) -> str:
        """Why a value does not match the schema, "" where it does."""
        error = next(iter(sorted(self._validator.iter_errors(record), key=lambda each: each.json_path)), None)
        return "" if error is None else f"it does not match the schema: {error.message} at {error.json_path}"

    def holds(self, copy: str) -> bool:
        """Whether a copy can be parsed, and matches the schema."""
        try:
            return not self.fault(json.loads(copy))
        except (ValueError, RecursionError):
            return False

    def said(self, copy: str) -> str:
        """What a copy says to people: its texts and numbers, a line each; as it is where it cannot be parsed."""
        try:
            record = json.loads(copy)
        except (ValueError, RecursionError):
            return copy
        return "\n".join(_values(record)) if isinstance(record, dict) else copy

    @cached_property
    def _validator(self) -> Any:
        from jsonschema import Draft202012Validator

        return Draft202012Validator(self.schema)


def _schema_of(parts: Sequence[str]) -> str:
    twice = next((name for number, name in enumerate(parts) if name in parts[:number]), None)
    if twice is not None or not all(parts):
        what = f"names {twice!r} twice" if twice else "holds an empty name"
        raise UserError(
            f"{FIELDS} {what}.", code="brief.column-used-twice", where=FIELDS, fix="name each column of the copy once"
        )
    text = {"type": "string", "minLength": 1}
    schema = {"type": "object", "properties": dict.fromkeys(parts, text), "required": list(parts)}
    return json.dumps({**schema, "additionalProperties": False}, ensure_ascii=False)


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The schema cannot be read: {why_unreadable(error)}.",
            code="config.bad-schema",
            where=f"{SCHEMA}={file}",
            fix=f"{SCHEMA}=<JSON Schema file>",
        ) from error
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"The schema is not JSON: {error}.", code="config.bad-schema", where=str(file), fix="write it as JSON"
        ) from error
    if not isinstance(schema, dict) or schema.get("type") != "object" or not schema.get("properties"):
        raise UserError(
            "The schema is not one of an object with properties.",
            code="config.bad-schema",
            where=str(file),
            fix='{"type": "object", "properties": {"headline": {"type": "string"}}, "required": ["headline"]}',
        )
    return json.dumps(schema, ensure_ascii=False)


def _ordered(value: Any, schema: Any) -> Any:
    """A value with the keys of objects as the schema orders them: copy is generated in that order."""
    schema = schema if isinstance(schema, Mapping) else {}
    if isinstance(value, list):
        return [_ordered(item, schema.get("items")) for item in value]
    if not isinstance(value, dict):
        return value
    inner = schema.get("properties", {})
    names = [*(name for name in inner if name in value), *(name for name in value if name not in inner)]
    return {name: _ordered(value[name], inner.get(name)) for name in names}


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _values(each)
    elif isinstance(value, str):
        yield value
    elif value is not None and not isinstance(value, bool):
        yield json.dumps(value)
