"""Keys that other trainers read: turns that are excluded from training, and rows that are nothing without the key."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.chatted import STARTER, sentence, write_jsonl
from tests.conftest import Tunebook
from tests.user_error import user_error
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.brief_to_text.data.content import BriefContent
from tunebook.families.brief_to_text.data.forms import BriefForm, brief_columns
from tunebook.families.text_generation.columns import conversation_columns, prompt_columns
from tunebook.families.text_generation.data.content import ConversationContent
from tunebook.families.text_generation.data.formats import detect_format
from tunebook.families.text_generation.data.message import UnusableConversation, from_text
from tunebook.families.text_generation.data.parse import parse
from tunebook.families.text_generation.data.supervision import fit
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.options import ConversationFormat
from tunebook.families.text_generation.prompts import assistant_turns
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer


@pytest.fixture(scope="module")
def template() -> ChatTemplate:
    return ChatTemplate.of(load_tokenizer(ModelSource("starter", STARTER)))


def turns(**flag: Any) -> list[dict[str, Any]]:
    """A bad answer with a flag, and a good one."""
    return [
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": "No idea.", **flag},
        {"role": "user", "content": "Politely, please."},
        {"role": "assistant", "content": "On its way."},
    ]


def read(file: Path, answered: bool = True) -> tuple[Rows, RejectLog]:
    columns = conversation_columns([file], None, None, None) if answered else prompt_columns([str(file)], None)
    rejects = RejectLog(file.with_name("rejects.jsonl"), 0)
    rows = read_rows(str(file), "data.train", columns, rejects)
    return ConversationContent(answered=answered).inspect(rows, rejects), rejects


def reasons(rejects: RejectLog) -> list[tuple[int, str]]:
    rejects.write()
    entries = map(json.loads, rejects.path.read_text().splitlines())
    return [(entry["line"], entry["reason"].partition(": ")[2]) for entry in entries]


@pytest.mark.parametrize(
    "flag", [{"train": False}, {"training": 0}, {"loss": False}, {"weight": 0}, {"weight": 0.0}, {"masked": True}]
)
def test_an_excluded_turn_is_context_and_no_reference(
    tmp_path: Path, template: ChatTemplate, flag: dict[str, Any]
) -> None:
    rows, rejects = read(write_jsonl(tmp_path / "a.jsonl", [{"messages": turns(**flag)}]))
    (row,) = fit(from_text(rows.texts("conversation")[0]), template, 100).rows
    decode = template.tokenizer.decode
    assert decode(row.ids[row.supervised]) == "On its way.<|end|>"
    assert "No idea.<|end|>" in decode(row.ids)
    prompts = assistant_turns(rows, None)
    assert (prompts.references, prompts.turns) == ([["On its way."]], [4])
    assert [message.content for message in prompts.histories[0]] == ["Where is it?", "No idea.", "Politely, please."]
    (key,) = flag
    shown = {"weight": "weight: 0", "masked": "masked: true"}.get(key, f"{key}: false")
    assert rejects.unread.facts() == {"turns not trained on": f"1 ({shown})"}


@pytest.mark.parametrize(
    "flag", [{"train": True}, {"loss": 1}, {"weight": 1}, {"weight": None}, {"masked": False}, {"train_detail": []}]
)
def test_the_usual_flags_change_nothing(tmp_path: Path, template: ChatTemplate, flag: dict[str, Any]) -> None:
    flagged, plain = (
        read(write_jsonl(tmp_path / f"{name}.jsonl", [{"messages": turns(**given)}]))[0]
        for name, given in (("flagged", flag), ("plain", {}))
    )
    assert flagged.fingerprint == plain.fingerprint
    (row,) = fit(from_text(flagged.texts("conversation")[0]), template, 100).rows
    assert template.tokenizer.decode(row.ids[row.supervised]) == "No idea.<|end|>On its way.<|end|>"


def test_windows_of_a_long_conversation_leave_excluded_turns_out(template: ChatTemplate) -> None:
    said = [turn for number in range(4) for turn in turns(train=False)]
    conversation = parse({"messages": json.dumps(said)}, ConversationFormat.messages)
    whole = len(fit(conversation, template, 1000).rows[0])
    rows = fit(conversation, template, whole // 2).rows
    decode = template.tokenizer.decode
    assert len(rows) > 1
    assert "".join(decode(row.ids[row.supervised]) for row in rows) == "On its way.<|end|>" * 4


def test_a_conversation_that_ends_with_an_excluded_turn_is_learned_up_to_the_one_before(template: ChatTemplate) -> None:
    said = [*turns(), {"role": "user", "content": "Thanks."}, {"role": "assistant", "content": "Bah.", "loss": False}]
    (row,) = fit(parse({"messages": json.dumps(said)}, ConversationFormat.messages), template, 1000).rows
    assert template.tokenizer.decode(row.ids).endswith("On its way.<|end|>")


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ({"train": "no"}, "turn 2 has 'train': 'no', which is neither true nor false"),
        ({"loss": 0.5}, "turn 2 has 'loss': 0.5, which is neither true nor false"),
        ({"weight": 0.5}, "turn 2 has the weight 0.5, and only 0 and 1 are supported"),
        ({"weight": "0"}, "turn 2 has the weight '0', and only 0 and 1 are supported"),
        ({"train": True, "masked": True}, "turn 2 has 'train': true and 'masked': true, which contradict each other"),
        ({"train": True, "weight": 0}, "turn 2 has 'train': true and 'weight': 0, which contradict each other"),
        (
            {"train_detail": [{"begin_offset": 0, "end_offset": 3, "train": False}]},
            "turn 2 has 'train_detail', but a turn is trained on as a whole or not at all",
        ),
    ],
)
def test_a_flag_that_cannot_be_honoured_is_refused(flag: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableConversation) as caught:
        parse({"messages": json.dumps(turns(**flag))}, ConversationFormat.messages)
    assert str(caught.value) == reason


def test_turns_of_others_are_never_trained_on() -> None:
    said = turns()
    said[0]["train"] = False
    assert parse({"messages": json.dumps(said)}, ConversationFormat.messages)[0].supervised
    said[0]["train"] = True
    with pytest.raises(UnusableConversation, match="turn 1 has 'train': true, but a user turn is never trained on"):
        parse({"messages": json.dumps(said)}, ConversationFormat.messages)


def test_a_conversation_of_excluded_turns_alone_is_rejected(tmp_path: Path) -> None:
    said = [{**turn, "weight": 0} for turn in turns()]
    rows, rejects = read(write_jsonl(tmp_path / "a.jsonl", [{"messages": said}]))
    assert not len(rows)
    assert reasons(rejects) == [(1, "no assistant turn to train on: each is excluded by a flag")]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"label": True}, "the key 'label' (true) says whether the answer is good"),
    ({"label": False}, "the key 'label' (false) says whether the answer is good"),
    ({"kto_tag": True}, "the key 'kto_tag' (true) says whether the answer is good"),
    ({"chosen": "a", "rejected": "b"}, "the key 'rejected' holds an answer to avoid"),
    ({"rejected_response": "b"}, "the key 'rejected_response' holds an answer to avoid"),
    ({"functions": [{"name": "track"}]}, "the key 'functions' lists tools, which the model would not see"),
    ({"tools": [{"name": "track"}]}, 'tool 1 is not {"type": "function", "function": {'),
    ({"images": ["photos/1.jpg"]}, "the key 'images' holds media, and only text is supported"),
    ({"videos": ["a.mp4"]}, "the key 'videos' holds media"),
    ({"audios": ["a.wav"]}, "the key 'audios' holds media"),
    ({"weight": 0}, "the key 'weight' (0) says that the row counts less or not at all"),
    ({"weight": 0.5}, "the key 'weight' (0.5) says that the row counts less or not at all"),
    ({"train": False}, "the key 'train' (false) says that the row counts less or not at all"),
    ({"masked": True}, "the key 'masked' (true) says that the row counts less or not at all"),
]
HARMLESS = [
    {"tools": [], "images": None, "videos": []},
    {"tools": "[]", "label": "refunds", "rejected": "by the manager"},
    {"label": 1, "audios": ""},
    {"weight": 1.0, "train": True, "loss": None, "masked": False},
    {"weight": "12 kg", "train": "ICE 572"},
]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("beside", "reason"), REFUSED)
def test_keys_beside_a_conversation_refuse_the_row_by_name(
    tmp_path: Path, beside: dict[str, Any], reason: str, late: bool
) -> None:
    rows: list[dict[str, Any]] = [{"prompt": f"Ask {i}", "completion": f"Say {i}"} for i in range(150)]
    rows[149 if late else 1] |= beside
    good, rejects = read(write_jsonl(tmp_path / "a.jsonl", rows))
    assert len(good) == 149
    ((line, found),) = reasons(rejects)
    assert line == (150 if late else 2) and found.startswith(reason)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("beside", HARMLESS)
def test_empty_keys_and_those_that_mean_something_else_do_no_harm(
    tmp_path: Path, beside: dict[str, Any], kind: str
) -> None:
    row = {"messages": turns(), **beside}
    file = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), file)
    else:
        write_jsonl(file, [row])
    rows, rejects = read(file)
    assert (len(rows), rejects.count, rows.roles) == (1, 0, ("conversation", "text"))


def test_prompts_are_refused_for_what_the_model_cannot_see_alone(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "label": False}, {"prompt": "b", "images": ["b.png"]}]
    good, rejects = read(write_jsonl(tmp_path / "a.jsonl", rows), answered=False)
    assert (len(good), [line for line, _ in reasons(rejects)]) == (1, [2])


def test_a_file_of_preference_pairs_is_refused_with_the_way_out(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "pairs.jsonl", [{"prompt": "a", "chosen": "b", "rejected": "c"}])
    with user_error("conversation.preference-pairs", match="pairs.jsonl holds pairs of a preferred and a rejected"):
        detect_format([file])


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "completion"),
        ({"chosen": [{"role": "user", "content": "a"}], "rejected": []}, "messages"),
        ({"input": [], "preferred_output": [], "non_preferred_output": []}, "messages"),
    ],
)
def test_the_way_out_of_pairs_is_a_format(tmp_path: Path, row: dict[str, Any], name: str) -> None:
    good = next(key for key in ("chosen", "preferred_output") if key in row)
    with user_error("conversation.preference-pairs") as caught:
        detect_format([write_jsonl(tmp_path / "pairs.jsonl", [row])])
    assert f"rename the column '{good}' to '{name}'" in str(caught.value.fix)


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "a", "input": "", "output": ["good", "bad"]},
        {"prompt": "a", "completion": ["good", "bad"]},
    ],
)
def test_answers_that_are_pairs_are_rejected_and_never_learnt_as_text(tmp_path: Path, row: dict[str, Any]) -> None:
    listed = {key: '["good", "bad", "no pair"]' if isinstance(value, list) else value for key, value in row.items()}
    rows, rejects = read(write_jsonl(tmp_path / "a.jsonl", [row, listed]))
    assert (len(rows), [line for line, _ in reasons(rejects)]) == (1, [1])


def test_rated_copies_are_refused_and_columns_of_a_brief_are_not(tmp_path: Path) -> None:
    rows = [{"name": "Lamp", "copy": "A lamp.", "label": True}, {"name": "Rug", "copy": "A rug.", "label": "new"}]
    for fields, kept in ((("name",), 1), (("name", "label"), 2)):
        form = BriefForm(fields)
        rejects = RejectLog(tmp_path / "rejects.jsonl", 0)
        file = write_jsonl(tmp_path / "a.jsonl", rows)
        found = BriefContent(form).inspect(read_rows(str(file), "data.train", brief_columns(form), rejects), rejects)
        assert (len(found), rejects.count) == (kept, 2 - kept)


def test_check_shows_what_is_excluded_and_max_rejects_counts_what_is_refused(
    tunebook: Tunebook, tmp_path: Path
) -> None:
    draw = random.Random(0)
    rows: list[dict[str, Any]] = []
    for _ in range(30):
        said = turns(train=False)
        for turn in said:
            turn["content"] += f" {sentence(draw)}"
        rows.append({"messages": said})
    rows[3]["functions"] = [{"name": "track"}]
    given = ["check", "recipe=customer_chat", f"data.train={write_jsonl(tmp_path / 'a.jsonl', rows)}"]
    refused = tunebook(*given, "trainer.progress=false")
    assert refused.returncode == 2 and "the key 'functions' lists tools" in refused.stderr
    done = tunebook(*given, "trainer.progress=false", "data.max_rejects=1")
    assert done.returncode == 0, done.stderr
    assert "turns not trained on: 29 (train: false)" in done.stdout
    assert "columns not read: functions (1 rows)" in done.stdout
