from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.user_error import user_error
from tunebook.config.schema import DataConfig, Leaks
from tunebook.data.columns import Column
from tunebook.data.content import Layout
from tunebook.data.load_and_validate import ValidatedData, load_and_validate
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import RowWriter, row_schema
from tunebook.families.text_generation.data.content import ConversationContent
from tunebook.families.text_generation.data.formats import detect_format, format_columns
from tunebook.families.text_generation.data.message import Message, from_text, to_plain
from tunebook.families.text_generation.options import ConversationFormat

ROOT = Path(__file__).parents[4]
SAMPLES = {name: ROOT / f"tests/rows/customer_chat/{name}.jsonl" for name in ("train", "validation", "test")}
SGD = ROOT.parent / "shared" / "data" / "sgd"
GROUP = Column("group", "customer", "data.group", "any")


def gate(folder: Path, config: DataConfig, *columns: Column, samples: dict[str, Path] | None = None) -> ValidatedData:
    given = [config.train, config.validation, config.test] if config.train else list((samples or {}).values())
    found = detect_format([Path(path) for path in given if path])
    return load_and_validate(
        config,
        [*format_columns(found.format, found.present), *columns],
        samples=samples,
        invalid=None,
        rejects=RejectLog(folder / "rejects.jsonl", config.max_rejects),
        seed=0,
        content=ConversationContent(found.format, "messages"),
    )


def chat(seed: int, turns: int = 4, words: int = 12, system: str = "") -> list[dict[str, str]]:
    """A conversation like no other but for how it begins."""
    draw = random.Random(seed)
    said = [" ".join(f"word{draw.randrange(5000)}" for _ in range(words)) for _ in range(turns)]
    said[0], said[1] = f"Hello! {said[0]}", f"Hello, thank you for writing to us. {said[1]}"
    opening = [{"role": "system", "content": system}] if system else []
    return opening + [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def customers(checked: ValidatedData) -> list[set[str]]:
    return [set(part.texts("group")) for part in (checked.train, checked.validation, checked.test)]


def test_the_samples_are_good_and_no_customer_is_on_two_sides(tmp_path: Path) -> None:
    facts = Column("facts", "facts", "recipe.facts", "any", required=False)
    checked = gate(tmp_path, DataConfig(), GROUP, facts, samples=SAMPLES)
    lines = sum(len(path.read_text().splitlines()) for path in SAMPLES.values())
    assert (checked.read, checked.kept, checked.rejected, checked.leaks) == (lines, lines, 0, ())
    assert checked.train.roles == ("group", "facts", "conversation", "text")
    row = json.loads(SAMPLES["test"].read_text().splitlines()[0])
    turns = [Message(**turn) for turn in row["messages"]]
    assert from_text(checked.test.texts("conversation")[0]) == turns
    assert checked.test.texts("text")[0] == to_plain(turns)
    assert json.loads(checked.test.texts("facts")[0]) == row["facts"]
    assert checked.test.where(0) == "test.jsonl:1"


@pytest.mark.skipif(not SGD.is_dir(), reason="Schema-Guided Dialogue is not there")
def test_all_dialogues_of_sgd_are_good(tmp_path: Path) -> None:
    paths = [SGD / "valid.jsonl", SGD / "test.jsonl"]
    found = detect_format(paths)
    rejects = RejectLog(tmp_path / "rejects.jsonl", 0)
    rows = read_rows(list(map(str, paths)), "data.train", format_columns(found.format, found.present), rejects)
    good = ConversationContent(found.format).inspect(rows, rejects)
    assert (len(good), rejects.read, rejects.count) == (2500, 2500, 0)


def test_bad_conversations_are_rejected_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"messages": chat(i), "customer": f"c{i // 3}"} for i in range(60)]
    bad: dict[int, Any] = {7: chat(7)[:3], 20: [], 41: "hello", 59: [*chat(59), *chat(59)[1:2]]}
    for i, value in bad.items():
        rows[i]["messages"] = value
    config = DataConfig(train=write(tmp_path / "rows.jsonl", rows))
    with user_error("data.rejected-rows") as caught:
        gate(tmp_path, config, GROUP)
    assert (
        "rows.jsonl:8 'messages' is not a usable conversation: turn 3, the last, is a user turn without an answer"
        in str(caught.value)
    )
    entries = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [(entry["line"], entry["reason"].split(": ")[1][:10]) for entry in entries] == [
        (8, "turn 3, th"),
        (21, "no turns"),
        (42, "not JSON"),
        (60, "turn 5 is "),
    ]
    config.max_rejects = 4
    checked = gate(tmp_path, config, GROUP)
    assert (checked.read, checked.kept, checked.rejected, checked.unused) == (60, 56, 4, 0)
    train, validation, test = customers(checked)
    assert min(map(len, (train, validation, test))) > 0
    assert not (train & validation | train & test | validation & test)
    # What is left of each row is its own: the place, the group and the conversation still belong together.
    for part in (checked.train, checked.validation, checked.test):
        for line, group, text in zip(
            part.column("line").to_pylist(), part.texts("group"), part.texts("conversation"), strict=True
        ):
            assert group == f"c{(line - 1) // 3}"
            assert json.loads(text) == chat(line - 1)


def test_half_of_a_pair_in_a_csv_file_is_a_reject(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    good = json.dumps(chat(1)).replace('"', '""')
    path.write_text(f'messages\n"{good}"\n"{good.replace("Hello!", chr(92) + "ud83d")}"\n')
    rejects = RejectLog(tmp_path / "rejects.jsonl", 1)
    rows = read_rows(str(path), "data.train", format_columns(ConversationFormat.messages), rejects)
    kept = ConversationContent(ConversationFormat.messages).inspect(rows, rejects)
    assert (len(kept), rejects.count) == (1, 1)


def leaked(
    folder: Path, train: list[list[dict[str, str]]], test: list[list[dict[str, str]]], **more: Any
) -> ValidatedData:
    config = DataConfig(
        train=write(folder / "train.jsonl", [{"messages": turns} for turns in train]),
        validation=write(folder / "validation.jsonl", [{"messages": chat(999)}]),
        test=write(folder / "test.jsonl", [{"messages": turns} for turns in test]),
        leaks=Leaks.drop,
        **more,
    )
    return gate(folder, config)


def grams(turns: list[dict[str, str]]) -> set[tuple[str, ...]]:
    words = " ".join(f"{turn['role']} {turn['content']}" for turn in turns).lower()
    parts = words.replace("!", "").replace(",", "").replace(".", "").split()
    return {tuple(parts[i : i + 3]) for i in range(len(parts) - 2)}


def test_conversations_that_stand_on_two_sides_are_found(tmp_path: Path) -> None:
    originals = [chat(i, words=20) for i in range(12)]
    near = [dict(turn) for turn in originals[3]]
    near[2]["content"] = near[2]["content"].rsplit(" ", 1)[0] + " otherwise"
    shouted = [{**turn, "content": turn["content"].upper()} for turn in originals[5]]
    checked = leaked(tmp_path, originals, [near, shouted, chat(100)])
    assert [(leak.kind, leak.left, leak.right) for leak in checked.leaks] == [
        ("near", "train.jsonl:4", "test.jsonl:1"),
        ("exact", "train.jsonl:6", "test.jsonl:2"),
    ]
    a, b = grams(originals[3]), grams(near)
    assert checked.leaks[0].similarity == pytest.approx(len(a & b) / len(a | b))
    assert (checked.read, checked.kept, checked.dropped) == (16, 14, 2)


def test_a_shared_opening_or_system_turn_joins_no_conversations(tmp_path: Path) -> None:
    policy = " ".join(f"rule{i} says that case{i} is refused" for i in range(400))
    # The system turn alone would make any two of these alike: 99 of 100 word 3-grams are its own.
    train = [chat(i, turns=2, words=5, system=policy) for i in range(20)]
    test = [chat(100 + i, turns=2, words=5, system=policy) for i in range(5)]
    a, b = grams(train[0]), grams(test[0])
    assert len(a & b) / len(a | b) > 0.9
    assert leaked(tmp_path, train, test).leaks == ()


def test_the_same_turns_under_another_system_turn_are_near(tmp_path: Path) -> None:
    train = [chat(1, turns=8, system="Facts: the shop is in Rome."), chat(2, turns=8)]
    checked = leaked(tmp_path, train, [chat(1, turns=8, system="Be polite and short.")])
    assert [(leak.kind, leak.left) for leak in checked.leaks] == [("near", "train.jsonl:1")]


def test_other_forms_are_compared_with_each_other_in_one_form(tmp_path: Path) -> None:
    rows = [{"instruction": f"Name number {i} of the list that I gave you", "output": f"It is {i}."} for i in range(9)]
    train, test = write(tmp_path / "train.jsonl", rows), write(tmp_path / "test.jsonl", rows[4:5])
    config = DataConfig(train=train, validation=write(tmp_path / "v.jsonl", [{**rows[0], "input": "Now!"}]), test=test)
    with user_error("data.shared-rows", match=r"an exact duplicate in test: test.jsonl:1"):
        gate(tmp_path, config)
    config.leaks = Leaks.drop
    checked = gate(tmp_path, config)
    assert (checked.read, checked.kept, checked.dropped) == (11, 10, 1)
    assert checked.train.roles == ("conversation", "text")


def test_memory_is_that_of_a_few_chunks(tmp_path: Path) -> None:
    writer = RowWriter(row_schema(["messages"]), "train")
    files = pa.array(["rows.jsonl"])
    total = 0
    for batch in range(40):
        answers = [f"{batch} {i} " + "word" * 2500 for i in range(50)]
        texts = [json.dumps([*chat(0)[:1], {"role": "assistant", "content": answer}]) for answer in answers]
        total += sum(map(len, texts))
        writer.add({"messages": texts}, pa.DictionaryArray.from_arrays(np.zeros(50, np.int32), files), range(50))
    rows = writer.finish()
    content = ConversationContent(ConversationFormat.messages)
    tracemalloc.start()
    good = content.inspect(rows, RejectLog(tmp_path / "rejects.jsonl", 0))
    content.alike(Layout.of({"train": good}), 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(good) == 2000
    assert peak < total / 4
