"""Tools of a row and calls of them: read from OpenAI's form, or rejected with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.chatted import write_jsonl
from tests.families.text_generation.data.test_flags import read, reasons
from tests.tooled import REFUND, TRACK, broken, call, row
from tunebook.families.text_generation.data.message import Message, ToolCall, from_text, offering, to_plain, to_text
from tunebook.families.text_generation.data.tool_calls import Reading, openai_calls, read_calls, same_calls, same_json

TOOLS = (TRACK, REFUND)


def conversation(tmp_path: Path, made: dict[str, Any]) -> list[Message]:
    rows, rejects = read(write_jsonl(tmp_path / "a.jsonl", [made]))
    assert rejects.count == 0, reasons(rejects)
    return from_text(rows.texts("conversation")[0])


@pytest.mark.parametrize("arguments", ['{"order": 17}', {"order": 17}])
def test_calls_and_results_are_kept_as_such(tmp_path: Path, arguments: Any) -> None:
    made = row()
    made["messages"][1]["tool_calls"] = [call(arguments=arguments)]
    expected = [
        Message("user", "Where is it?"),
        Message("assistant", "", calls=(ToolCall("track", {"order": 17}, "c1"),)),
        Message("tool", "order 17 is late", call_id="c1"),
        Message("assistant", "On its way."),
    ]
    found = conversation(tmp_path, made)
    assert found == offering(expected, TOOLS) and from_text(to_text(found)) == found
    assert to_plain(found).splitlines()[1] == 'assistant: {"name": "track", "arguments": {"order": 17}}'


def test_tools_as_json_text_in_parquet_are_the_same(tmp_path: Path) -> None:
    made = {**row(), "tools": json.dumps([TRACK, REFUND])}
    made["messages"] = json.dumps(made["messages"])
    pq.write_table(pa.Table.from_pylist([made]), tmp_path / "a.parquet")
    rows, _ = read(tmp_path / "a.parquet")
    assert from_text(rows.texts("conversation")[0]) == conversation(tmp_path, row())


def test_a_call_that_sharegpt_says_is_one(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "Where?"},
        {"from": "function_call", "value": '{"name": "track", "arguments": {"order": 17}}'},
        {"from": "observation", "value": "late"},
        {"from": "gpt", "value": "Late."},
    ]
    found = conversation(tmp_path, {"conversations": turns, "tools": [TRACK]})
    assert found[1].calls == (ToolCall("track", {"order": 17}),) and found[1].content == ""


def test_results_of_several_calls_may_come_in_any_order(tmp_path: Path) -> None:
    made = row()
    made["messages"][1]["tool_calls"] = [call(), call("refund", "", "c2")]
    made["messages"][2:3] = [
        {"role": "tool", "tool_call_id": "c2", "content": "paid"},
        {"role": "tool", "tool_call_id": "c1", "content": "late"},
    ]
    assert [turn.call_id for turn in conversation(tmp_path, made)][2:4] == ["c2", "c1"]


@pytest.mark.parametrize(("made", "reason"), broken(), ids=[reason for _, reason in broken()])
def test_a_row_that_is_wrong_about_tools_is_rejected_with_the_reason(
    tmp_path: Path, made: dict[str, Any], reason: str
) -> None:
    rows, rejects = read(write_jsonl(tmp_path / "a.jsonl", [row(), made, row(18)]))
    ((line, found),) = reasons(rejects)
    assert len(rows) == 2 and line == 2 and found.startswith(reason), found


def test_calls_of_a_row_without_tools_are_no_text_where_others_list_some(tmp_path: Path) -> None:
    bare = {"messages": row()["messages"]}
    rows, rejects = read(write_jsonl(tmp_path / "a.jsonl", [row(), bare]))
    assert reasons(rejects) == [(2, "turn 2 calls a tool, and the row lists none in 'tools', as other rows do")]
    rows, rejects = read(write_jsonl(tmp_path / "b.jsonl", [bare, {**bare, "tools": []}]))
    assert (len(rows), rejects.count) == (2, 0)
    assert from_text(rows.texts("conversation")[0])[1].content == '{"name": "track", "arguments": {"order": 17}}'


# What a model writes --------------------------------------------------------------------------------------------

ONE = (ToolCall("f", {"a": 1}),)
TWO = (*ONE, ToolCall("g", {}))


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ('<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>', Reading("", ONE)),
        ('<tool_call>{"name": "f", "arguments": {"a": 1}}', Reading("", ONE)),  # the end of turn came first
        ('One moment.\n<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>', Reading("One moment.", ONE)),
        (
            '<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>\n<tool_call>{"name":"g","arguments":{}}</tool_call>',
            Reading("", TWO),
        ),
        ('<tool_call>[{"name":"f","arguments":{"a":1}}, {"name":"g","arguments":{}}]</tool_call>', Reading("", TWO)),
        ('{"name": "f", "parameters": {"a": 1}}', Reading("", ONE)),
        ('<|python_tag|>{"name": "f", "parameters": {"a": 1}}', Reading("", ONE)),
        ('{"name": "f", "parameters": {"a": 1}}; {"name": "g", "parameters": {}}', Reading("", TWO)),
        ('[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}, "id": "123456789"}]', Reading("", ONE)),
        ('{"name": "f", "arguments": {"a": 1}}\n{"name": "g", "arguments": {}}', Reading("", TWO)),
        ("It is on its way.", Reading("It is on its way.")),
        ('{"state": "late"}', Reading('{"state": "late"}')),
        ('{"name": "Ann"}', Reading('{"name": "Ann"}')),
        ("[1, 2]", Reading("[1, 2]")),
        ('{"name": "f", "arguments": {"a": 1}} as I said', Reading('{"name": "f", "arguments": {"a": 1}} as I said')),
        ("<tool_call>f(a=1)</tool_call>", Reading("", broken=True)),
        ("<tool_call>", Reading("", broken=True)),
        ('<tool_call>{"name": "f", "arguments": "{}"}</tool_call>', Reading("", broken=True)),
        ('<tool_call>{"name": "f", "arguments": {"a": NaN}}</tool_call>', Reading("", broken=True)),
        ('<tool_call>{"name": "f", "arguments": {"a": 1e999}}</tool_call>', Reading("", broken=True)),
        ("<|python_tag|>f.call(a=1)", Reading("<|python_tag|>f.call(a=1)")),
        ("<tool_call>" + "[" * 100_000, Reading("", broken=True)),
    ],
)
def test_calls_are_read_in_each_form(text: str, reading: Reading) -> None:
    assert read_calls(text) == reading


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": [2.0]}, {"b": [2], "a": 1e0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 0}, {"a": None}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ({}, [], False),
        (None, None, True),
        ("ü", "u", False),
    ],
)
def test_json_values_are_equal_whatever_their_form(one: Any, other: Any, same: bool) -> None:
    assert same_json(one, other) is same is same_json(other, one)


def test_calls_are_the_same_in_any_order_and_each_counts_once() -> None:
    assert same_calls(TWO, TWO[::-1]) and not same_calls(TWO, (*ONE, *ONE)) and not same_calls(TWO, ONE)
    assert not same_calls((ToolCall("f", {"a": True}), *ONE), (*ONE, *ONE))


def test_openais_form_has_arguments_as_text_and_can_be_written_to_any_file() -> None:
    (one, other) = json.loads(openai_calls((ToolCall("f", {"a": "Köln"}, "c1"), ToolCall("g", {"b": "\ud800"}))))
    assert one == {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": "Köln"}'}}
    assert other["id"] == "call_1" and json.loads(other["function"]["arguments"]) == {"b": "\ud800"}
    openai_calls((ToolCall("g", {"b": "\ud800"}),)).encode()
