"""Rows of preferences: what is read of them, what is refused with which words, what stays together in a split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.chatted import QUICK, composed, write_jsonl
from tests.preferred import pairs, thumbs
from tests.user_error import user_error
from tunebook.families.prepared import Prepared
from tunebook.pipeline.prepare import check_sources, prepare

PAIR = {"prompt": "Where is it?", "chosen": "Here it is.", "rejected": "No idea."}
THUMB = {"prompt": "Where is it?", "answer": "Here it is.", "good": True}


def config_of(folder: Path, rows: list[dict[str, Any]], objective: str, *more: str) -> Any:
    file = write_jsonl(folder / "rows.jsonl", rows)
    given = [f"objective={objective}", f"data.train={file}", f"data.cache_dir={folder / 'cache'}"]
    return composed(*QUICK, *given, f"run_dir={folder / 'run'}", *more)


def ready(folder: Path, rows: list[dict[str, Any]], objective: str, *more: str) -> Prepared[Any]:
    return prepare(config_of(folder, rows, objective, *more), folder / "rejects.jsonl")


def texts(prepared: Prepared[Any], split: str = "train") -> list[tuple[str, str]]:
    """Both token rows of each row, supervised tokens in brackets."""
    tokenizer = prepared.encoded.tokenizer.tokenizer
    shown = []
    for item in prepared.encoded.splits[split].items:
        both = []
        for row in item.rows:
            before, after = row.ids[~row.supervised], row.ids[row.supervised]
            both.append(f"{tokenizer.decode(before.tolist())}[{tokenizer.decode(after.tolist())}]")
        shown.append((both[0], both[1]))
    return shown


def test_only_the_last_answers_are_supervised(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Where is it?"},
    ]
    rows = [
        {"prompt": turns, "chosen": {"role": "assistant", "content": "Here."}, "rejected": "There."},
        *pairs(20),
    ]
    prepared = ready(tmp_path, rows, "dpo")
    found = [each for split in ("train", "validation", "test") for each in texts(prepared, split)]
    first, second = next(each for each in found if "Be brief." in each[0])
    assert first.endswith("<|assistant|>[Here.<|end|>]") and second.endswith("<|assistant|>[There.<|end|>]")
    assert first.split("[")[0] == second.split("[")[0]
    assert "<|assistant|>Hi<|end|>" in first


def test_a_thumb_has_an_answer_to_another_prompt_beside_it(tmp_path: Path) -> None:
    rows = thumbs(12)
    rows.insert(1, {**rows[0], "answer": "To the same prompt", "good": False})  # is no answer to another one
    prepared = ready(tmp_path, rows, "kto", "data.validation_fraction=0.2", "data.test_fraction=0.2")
    for split in ("train", "validation", "test"):
        known = [json.loads(text) for text in prepared.encoded.rows[split].texts("conversation")]
        items = prepared.encoded.splits[split].items
        thumb = prepared.encoded.rows[split].texts("thumb")
        for number, (first, second) in enumerate(texts(prepared, split)):
            prompt = known[number][-2]["content"]
            assert known[number][-1]["content"] in first and prompt in first and prompt in second
            others = {turns[-1]["content"] for turns in known if turns[-2]["content"] != prompt}
            assert any(f"[{answer}<|end|>]" in second for answer in others)
            assert items[number].good == (thumb[number] == "true")


def test_all_answers_to_a_prompt_are_on_one_side(tmp_path: Path) -> None:
    rows = [{**row, "answer": f"{row['answer']} {i}"} for row in thumbs(30) for i in range(3)]
    prepared = ready(tmp_path, rows, "kto")
    sides = [
        {json.loads(text)[-2]["content"] for text in prepared.encoded.rows[split].texts("conversation")}
        for split in ("train", "validation", "test")
    ]
    good = [prepared.encoded.splits[split].items.good for split in ("validation", "test")]
    assert all(each.any() and not each.all() for each in good)  # stratified by thumb
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]


def test_both_answers_lose_the_same_turns_where_one_is_too_long(tmp_path: Path) -> None:
    turns = [
        {"role": role, "content": f"{role} says {i} " + "word " * 12}
        for i in range(3)
        for role in ("user", "assistant")
    ]
    rows = [{"prompt": [*turns, {"role": "user", "content": "And now?"}], "chosen": "Yes.", "rejected": "No " * 20}]
    prepared = ready(tmp_path, [*rows, *pairs(20)], "dpo", "data.max_length=72")
    found = [each for split in ("train", "validation", "test") for each in texts(prepared, split)]
    first, second = next(each for each in found if "And now?" in each[0])
    assert first.split("[")[0] == second.split("[")[0]
    assert "says 0" not in first
    assert all(len(row.ids) <= 72 for item in prepared.encoded.splits["train"].items for row in item.rows)
    with user_error("data.rejected-rows", match="over data.max_length"):
        ready(tmp_path, [*rows, *pairs(20)], "dpo", "data.max_length=72", "data.overlength=reject")


ROWS: dict[str, tuple[str, list[dict[str, Any]], str]] = {
    "equal answers": ("dpo", [{**PAIR, "rejected": " Here it is."}], "'rejected' equals the chosen answer"),
    "an empty answer": ("dpo", [{**PAIR, "rejected": "  "}], "'rejected' is only white space"),
    "an empty list": ("dpo", [{**PAIR, "rejected": []}], "'rejected' is empty: an answer needs text"),
    "an empty message": (
        "dpo",
        [{**PAIR, "chosen": [{"role": "assistant", "content": ""}]}],
        "'chosen' is not a usable",
    ),
    "no answer": ("kto", [{**THUMB, "answer": None}], "'answer'"),
    "two turns": ("dpo", [{**PAIR, "chosen": [{"role": "assistant", "content": "a"}] * 2}], "it has 2 turns"),
    "a question for an answer": ("dpo", [{**PAIR, "chosen": {"role": "user", "content": "a"}}], "not a usable answer"),
    "a prompt that ends with an answer": (
        "dpo",
        [{**PAIR, "prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}],
        "'prompt' is not a usable prompt",
    ),
    "a thumb in words": ("kto", [{**THUMB, "good": "yes"}], "'good' is 'yes', neither true nor false"),
    "a thumb in stars": ("kto", [{**THUMB, "good": 5}], "'good' is '5', neither true nor false"),
    "thumbs at odds": ("kto", [THUMB, {**THUMB, "good": False}], "the same answer to the same prompt is good and bad"),
    "pairs at odds": (
        "dpo",
        [PAIR, {**PAIR, "chosen": PAIR["rejected"], "rejected": PAIR["chosen"]}],
        "the same answer to the same prompt was chosen and rejected (rows.jsonl:1 and rows.jsonl:2)",
    ),
    "tools": ("dpo", [{**PAIR, "tools": [{"name": "f"}]}], "'tools'"),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, name: str) -> None:
    objective, bad, said = ROWS[name]
    good = (pairs if objective == "dpo" else thumbs)(20)
    with user_error("data.rejected-rows") as caught:
        ready(tmp_path, [*bad, *good], objective)
    assert said in str(caught.value.where), caught.value.where
    assert f"{len(bad)} of {20 + len(bad)} rows cannot be used" in caught.value.what
    left = ready(tmp_path, [*bad, *good], objective, f"data.max_rejects={len(bad)}")
    assert left.data.kept == 20


@pytest.mark.parametrize("good", [True, False])
def test_thumbs_that_are_all_alike_teach_nothing(tmp_path: Path, good: bool) -> None:
    rows = [{**row, "good": good} for row in thumbs(20)]
    with user_error("preferences.one-sided", match=f"All 20 train answers are {'good' if good else 'bad'}"):
        ready(tmp_path, rows, "kto")


def test_a_split_without_one_kind_is_refused(tmp_path: Path) -> None:
    test = write_jsonl(tmp_path / "test.jsonl", [{**row, "good": True} for row in thumbs(8, seed=5)])
    with user_error("preferences.one-sided", match="All 8 test answers are good"):
        ready(tmp_path, thumbs(20), "kto", f"data.test={test}")
    rows = [{**row, "good": number > 0} for number, row in enumerate(thumbs(40))]
    with user_error("preferences.one-sided", match="answers are good"):
        ready(tmp_path, rows, "kto")


SETTINGS = {
    "adapt=scratch objective=dpo": ("config.conflict", "adapt=scratch does not"),
    "adapt=none objective=kto": ("config.conflict", "adapt=none does not"),
    "objective=dpo objective.desirable_weight=2": ("config.no-effect", "no effect with objective=dpo"),
    "objective.beta=0.5": ("config.no-effect", "no effect with objective=sft"),
    "objective=dpo data.format=messages": ("config.no-effect", "data.format has no effect"),
    "objective=kto": ("data.missing-column", "no column 'answer' and no column 'good'"),
}


@pytest.mark.parametrize("typed", SETTINGS)
def test_settings_without_effect_are_refused_before_rows_are_read(tmp_path: Path, typed: str) -> None:
    code, said = SETTINGS[typed]
    file = write_jsonl(tmp_path / "rows.jsonl", pairs(4))
    with user_error(code, match=said) as caught:
        check_sources(composed(*QUICK, f"data.train={file}", f"run_dir={tmp_path / 'run'}", *typed.split(" ")))
    if code == "data.missing-column":
        assert "objective=dpo" in str(caught.value.fix)


def test_preferences_need_rows(tmp_path: Path) -> None:
    with user_error("config.missing-value", match="objective=kto needs rows"):
        check_sources(composed(*QUICK, "objective=kto", f"run_dir={tmp_path / 'run'}"))


@pytest.mark.parametrize("recipe", ["review_sentiment", "medical_diagnosis", "marketing_copy"])
def test_other_recipes_have_no_such_objective(tmp_path: Path, recipe: str) -> None:
    with user_error("config.no-effect", match="objective=dpo is for conversations"):
        check_sources(composed(f"recipe={recipe}", "objective=dpo", f"run_dir={tmp_path / 'run'}"))


def test_csv_files_hold_thumbs_in_any_case(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    lines = [f"{row['prompt']},{row['answer']},{str(row['good']).upper()}\n" for row in thumbs(20)]
    file.write_text("prompt,answer,good\n" + "".join(lines))
    config = composed(
        *QUICK, "objective=kto", f"data.train={file}", f"data.cache_dir={tmp_path}", f"run_dir={tmp_path / 'run'}"
    )
    prepared = prepare(config, tmp_path / "rejects.jsonl")
    assert prepared.data.kept == 20
    good = np.concatenate([prepared.encoded.splits[split].items.good for split in ("train", "validation", "test")])
    assert good.sum() == 10
