"""The same rows as JSON Lines and as Parquet, where Arrow fills up objects with nulls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.chatted import STARTER
from tunebook.data.columns import Column
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.data.values import without_missing
from tunebook.families.text_generation.columns import conversation_columns
from tunebook.families.text_generation.data.content import ConversationContent
from tunebook.families.text_generation.data.encoded import encode_cached
from tunebook.families.text_generation.data.template import TEMPLATES, ChatTemplate
from tunebook.families.text_generation.options import Overlength
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer

CALLS = [{"function": {"name": "track", "arguments": {"order": 17}}}]
CHATS = [
    {
        "messages": [
            {"role": "user", "content": "Where is order 17?"},
            {"role": "assistant", "tool_calls": CALLS},
            {"role": "tool", "content": "depot"},
            {"role": "assistant", "content": "At the depot."},
        ]
    },
    {
        "messages": [
            {"role": "user", "content": "Any lamps in Bonn?"},
            {
                "role": "assistant",
                "tool_calls": [{"function": {"name": "find", "arguments": {"city": "Bonn", "near": {"km": 5}}}}],
            },
            {"role": "tool", "content": "two"},
            {"role": "assistant", "content": "Two."},
        ]
    },
]
PROMPTS = [
    {"prompt": {"name": "Ada", "city": "Bonn"}, "completion": "A."},
    {"prompt": {"name": "Bo"}, "completion": "B."},
]


def read(folder: Path, name: str, rows: list[dict[str, Any]]) -> Rows:
    file = folder / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rejects = RejectLog(folder / "rejects.jsonl", 0)
    found = read_rows(str(file), "data.train", conversation_columns([file], None, None, None), rejects)
    checked = ConversationContent().inspect(found, rejects)
    assert (rejects.count, len(checked)) == (0, 2), rejects
    return checked


@pytest.mark.parametrize("rows", [CHATS, PROMPTS])
def test_the_same_rows_give_the_same_tokens_as_json_lines_and_as_parquet(tmp_path: Path, rows: list[Any]) -> None:
    made = [read(tmp_path, name, rows) for name in ("rows.jsonl", "rows.parquet")]
    template = ChatTemplate.of(load_tokenizer(ModelSource("starter", STARTER)), TEMPLATES["plain"])
    ids = [
        encode_cached(part, template, 500, Overlength.error, tmp_path / str(number)).ids.tolist()
        for number, part in enumerate(made)
    ]
    assert made[0].fingerprint == made[1].fingerprint
    assert ids[0] == ids[1] and "null" not in template.tokenizer.decode(ids[1])


def test_a_null_in_a_list_has_a_place_and_stays() -> None:
    assert without_missing({"a": None, "b": [None, {"c": None}], "d": 0}) == {"b": [None, {}], "d": 0}


def test_a_key_that_json_lines_say_is_null_stays(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": {"a": null}}\n')
    column = Column("text", "text", "data.text", "any")
    rows = read_rows(str(tmp_path / "a.jsonl"), "data.x", [column], RejectLog(tmp_path / "r.jsonl", 0))
    assert rows.texts("text") == ['{"a": null}']
