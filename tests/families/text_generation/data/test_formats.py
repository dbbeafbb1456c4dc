from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.user_error import user_error
from tunebook.data.formats import read_batches
from tunebook.families.text_generation.data.formats import detect_format, format_columns
from tunebook.families.text_generation.data.message import Message, UnusableConversation, from_text, to_plain, to_text
from tunebook.families.text_generation.data.parse import MOST_TURNS, parse
from tunebook.families.text_generation.options import ConversationFormat

Form = ConversationFormat
Row = dict[str, Any]

SYSTEM, HELLO, HI = Message("system", "Be brief."), Message("user", "Wo ist mein Päckchen?"), Message("assistant", "Hi")
MORE, BYE = Message("user", 'Said "no",\nthen left'), Message("assistant", "17")


def openai(*messages: Message) -> list[Row]:
    return [{"role": message.role, "content": message.content} for message in messages]


def sharegpt(*messages: Message) -> list[Row]:
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    return [{"from": names[message.role], "value": message.content} for message in messages]


# Each form with two rows: one with all the form can hold, and one without what is optional.
TWO_ROWS: dict[Form, list[Row]] = {
    Form.messages: [
        {"id": 1, "messages": openai(SYSTEM, HELLO, HI, MORE, BYE)},
        {"id": 2, "messages": openai(HELLO, HI)},
    ],
    Form.sharegpt: [
        {"id": 1, "system": "Be brief.", "conversations": sharegpt(HELLO, HI, MORE, BYE)},
        {"id": 2, "system": None, "conversations": sharegpt(HELLO, HI)},
    ],
    Form.alpaca: [
        {
            "instruction": 'Said "no",',
            "input": "then left",
            "output": "17",
            "system": "Be brief.",
            "history": [[HELLO.content, HI.content]],
        },
        {"instruction": HELLO.content, "input": None, "output": "Hi", "system": None, "history": None},
    ],
    Form.prompt_completion: [
        {"prompt": openai(SYSTEM, HELLO, HI, MORE), "completion": openai(BYE)},
        {"prompt": openai(HELLO), "completion": openai(HI)},
    ],
}
FIRST = {form: [SYSTEM, HELLO, HI, MORE, BYE] for form in Form}
FIRST[Form.alpaca] = [SYSTEM, HELLO, HI, Message("user", 'Said "no",\n\nthen left'), BYE]


def test_columns_that_are_parted_otherwise_are_told_so(tmp_path: Path) -> None:
    path = tmp_path / "chats.csv"
    path.write_text("id;prompt;completion\n1;Hello;Hi\n")
    with user_error("data.wrong-separator", match="in an unknown format") as caught:
        detect_format([path])
    assert caught.value.fix == "data.delimiter=';'; its columns: id, prompt, completion"
    assert detect_format([path], delimiter=";").present == ("prompt", "completion")


def write_jsonl(path: Path, rows: list[Row]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def write_csv(path: Path, rows: list[Row]) -> Path:
    with (
        gzip.open(path, "wt", newline="", encoding="utf-8")
        if path.suffix == ".gz"
        else path.open("w", newline="", encoding="utf-8") as stream
    ):
        writer = csv.writer(stream, delimiter="\t" if ".tsv" in path.name else ",")
        writer.writerow(rows[0])
        for row in rows:
            texts = (value if isinstance(value, str) else json.dumps(value) for value in row.values())
            writer.writerow("" if text == "null" else text for text in texts)
    return path


def write_parquet(path: Path, rows: list[Row]) -> Path:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    content = sink.getvalue().to_pybytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


FILES: dict[str, Callable[[Path, list[Row]], Path]] = {
    "rows.jsonl": write_jsonl,
    "rows.jsonl.gz": write_jsonl,
    "rows.csv": write_csv,
    "rows.tsv.gz": write_csv,
    "rows.parquet": write_parquet,
    "rows.parquet.gz": write_parquet,
}


def read(path: Path) -> tuple[Form, list[list[Message]]]:
    """Every conversation of a file, as the gate reads it."""
    found = detect_format([path])
    columns = format_columns(found.format, found.present)
    rejects: list[Any] = []
    conversations = []
    for chunk in read_batches(path, columns, lambda *reject: rejects.append(reject)):
        for row in zip(*chunk.values.values(), strict=True):
            conversations.append(parse(dict(zip(chunk.values, row, strict=True)), found.format))
    assert not rejects
    return found.format, conversations


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("form", Form)
def test_every_form_is_read_from_every_kind_of_file(form: Form, name: str, tmp_path: Path) -> None:
    assert read(FILES[name](tmp_path / name, TWO_ROWS[form])) == (form, [FIRST[form], [HELLO, HI]])


def test_a_saved_dataset_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(TWO_ROWS[Form.sharegpt]).save_to_disk(tmp_path / "rows")
    assert read(tmp_path / "rows") == (Form.sharegpt, [FIRST[Form.sharegpt], [HELLO, HI]])


def test_text_prompts_and_completions_are_a_turn_each_even_if_they_look_like_json(tmp_path: Path) -> None:
    rows = [{"prompt": "Sort [3, 1]", "completion": "[1, 3]"}, {"prompt": '[{"a": 1}]', "completion": "a is 1"}]
    assert read(write_jsonl(tmp_path / "rows.jsonl", rows))[1] == [
        [Message("user", "Sort [3, 1]"), Message("assistant", "[1, 3]")],
        [Message("user", '[{"a": 1}]'), Message("assistant", "a is 1")],
    ]


def test_a_conversation_is_written_down_in_one_way() -> None:
    text = to_text([HELLO, HI])
    assert text == '[{"role":"user","content":"Wo ist mein Päckchen?"},{"role":"assistant","content":"Hi"}]'
    assert from_text(text) == [HELLO, HI]
    assert from_text(to_text([MORE, BYE])) == [MORE, BYE]
    assert to_plain([SYSTEM, HELLO, HI]) == "system: Be brief.\nuser: Wo ist mein Päckchen?\nassistant: Hi"


def messages(*turns: object) -> list[Message]:
    return parse({"messages": json.dumps(turns)}, Form.messages)


def test_text_parts_become_a_line_each() -> None:
    parts = [{"type": "text", "text": "Here:"}, {"type": "text", "text": "a list", "image_url": None}]
    assert messages({"role": "user", "content": parts}) == [Message("user", "Here:\na list")]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"type": "image_url", "image_url": {"url": "cat.png"}}, "turn 1 holds a part of type 'image_url'"),
        ({"type": "text"}, "turn 1 holds a part without text"),
        ("text", "turn 1 holds a part without text"),
    ],
)
def test_parts_that_are_no_text_are_refused(part: object, reason: str) -> None:
    with pytest.raises(UnusableConversation, match=reason):
        messages({"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]})


def test_tool_calls_become_text_and_tools_may_answer() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"order": 17, "in": "Köln"}'}}
    assert messages(
        {"role": "assistant", "content": None, "tool_calls": [call, call]},
        {"role": "tool", "tool_call_id": "c1", "content": "lost"},
        {"role": "assistant", "content": "One moment.", "function_call": {"name": "pay", "arguments": "all"}},
        {"role": "function", "name": "pay", "content": "done"},
    ) == [
        Message("assistant", "\n".join(['{"name": "find", "arguments": {"order": 17, "in": "Köln"}}'] * 2)),
        Message("tool", "lost"),
        Message("assistant", 'One moment.\n{"name": "pay", "arguments": "all"}'),
        Message("tool", "done"),
    ]
    with pytest.raises(UnusableConversation, match="turn 1 has a tool call that names no function"):
        messages({"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]})


def test_sharegpt_names_its_roles_its_own_way() -> None:
    turns = [{"from": name, "value": "x"} for name in ("system", "human", "function_call", "observation", "gpt")]
    found = parse({"conversations": json.dumps(turns)}, Form.sharegpt)
    assert [message.role for message in found] == ["system", "user", "assistant", "tool", "assistant"]


def test_escapes_come_to_the_normal_form_that_read_text_has() -> None:
    assert parse({"messages": r'[{"role": "user", "content": "u\u0308"}]'}, Form.messages) == [Message("user", "ü")]


def test_an_optional_key_that_comes_late_in_json_lines_is_read(tmp_path: Path) -> None:
    rows = [{"instruction": f"Say {i}", "output": str(i)} for i in range(200)]
    rows[-1]["input"] = "twice"
    _, conversations = read(write_jsonl(tmp_path / "rows.jsonl", rows))
    assert conversations[-1][0] == Message("user", "Say 199\n\ntwice")


def test_only_columns_that_files_have_are_asked_for(tmp_path: Path) -> None:
    plain = write_csv(tmp_path / "a.csv", [{"instruction": "a", "output": "b", "id": 1}])
    assert detect_format([plain]).present == ("instruction", "output")
    more = write_csv(tmp_path / "b.csv", [{"input": "x", "instruction": "a", "output": "b"}])
    found = detect_format([plain, more])
    assert found.present == ("instruction", "output", "input")
    columns = format_columns(found.format, found.present)
    assert [(column.role, column.kind, column.required) for column in columns] == [
        ("instruction", "any", True),
        ("output", "any", True),
        ("input", "any", False),
    ]
    assert {column.key for column in columns} == {"data.format"}
    assert [column.name for column in format_columns(Form.alpaca)][2:] == ["input", "system", "history", "tools"]


def test_columns_of_no_form_are_named_with_what_each_form_needs(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "dolly.csv", [{"question": "a", "response": "b"}])
    with user_error("conversation.unknown-format") as caught:
        detect_format([path])
    message = str(caught.value)
    assert "dolly.csv has conversations in an unknown format; its columns: question, response" in message
    for need in (
        "data.format=messages needs messages",
        "data.format=sharegpt needs conversations",
        "data.format=alpaca needs instruction and output",
        "data.format=prompt_completion needs prompt and completion",
    ):
        assert need in message


def test_columns_of_two_forms_want_a_word_from_the_user(tmp_path: Path) -> None:
    row = {"messages": openai(HELLO, HI), "prompt": "a", "completion": "b"}
    path = write_parquet(tmp_path / "rows.parquet", [row])
    with user_error(
        "conversation.ambiguous-format",
        where="data.format",
        match="fit more than one format: messages, prompt, completion",
    ) as caught:
        detect_format([path])
    assert "data.format=messages or data.format=prompt_completion" in str(caught.value)
    assert detect_format([path], Form.prompt_completion).present == ("prompt", "completion")
    with user_error(
        "data.missing-column", match=r"no column 'instruction' and no column 'output', which data.format=alpaca"
    ):
        detect_format([path], Form.alpaca)


def test_a_key_without_a_value_makes_no_form(tmp_path: Path) -> None:
    row = {"messages": openai(HELLO, HI), "prompt": None, "completion": None}
    assert detect_format([write_jsonl(tmp_path / "rows.jsonl", [row])]).format is Form.messages


def test_all_files_have_one_form(tmp_path: Path) -> None:
    both = {"messages": openai(HELLO, HI), "prompt": "a", "completion": "b"}
    paths = [
        write_jsonl(tmp_path / "a.jsonl", [both]),
        write_parquet(tmp_path / "b.parquet", TWO_ROWS[Form.messages]),
    ]
    assert detect_format(paths).format is Form.messages
    paths.append(write_csv(tmp_path / "c.csv", TWO_ROWS[Form.alpaca]))
    with user_error(
        "conversation.mixed-formats",
        where="data.format",
        match=r"in different formats: messages or prompt_completion and alpaca",
    ) as caught:
        detect_format([paths[0], paths[2]])
    assert "a.jsonl and c.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("rows.jsonl", b'[{"messages": []}]', "data.json-array"),
        ("rows.jsonl", b"nonsense\n[1]\n{}\n", "data.damaged-file"),
        ("rows.csv", b"", "data.empty-file"),
        ("rows.csv", b'"messages\nx', "data.bad-header"),
        ("rows.jsonl.gz", gzip.compress(b'{"messages": []}\n' * 9, mtime=0)[:-9], "data.damaged-file"),
        ("rows.parquet", b"PAR1 nothing", "data.damaged-file"),
        ("rows.txt", b"messages\n", "data.unknown-format"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_the_reader_does(
    name: str, content: bytes, code: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with user_error(code):
        detect_format([tmp_path / name])


def test_bad_lines_do_not_hide_the_form(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf{oops\n\xff\n[1]\n" + json.dumps(TWO_ROWS[Form.messages][0]).encode())
    assert detect_format([path]).format is Form.messages
    table = tmp_path / "rows.csv"
    table.write_bytes(b"\xef\xbb\xbfprompt,completion\n\xff,b\n")
    assert detect_format([table]).format is Form.prompt_completion


def test_conversations_of_thousands_of_turns_are_rejected(tmp_path: Path) -> None:
    def turns(count: int) -> list[dict[str, str]]:
        return [{"role": ("user", "assistant")[i % 2], "content": f"turn {i}"} for i in range(count)]

    assert len(messages(*turns(MOST_TURNS))) == MOST_TURNS
    with pytest.raises(UnusableConversation, match="1,002 turns are more than 1,000: split the conversation"):
        messages(*turns(MOST_TURNS + 2))
    history = json.dumps([["question", "answer"]] * 501)
    with pytest.raises(UnusableConversation, match="1,002 turns are more than 1,000"):
        parse({"instruction": "a", "output": "b", "history": history}, Form.alpaca)
