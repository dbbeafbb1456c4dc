"""A recipe that writes and returns something else than its contract asks: one message with its line, each time."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.chatted import chatted, composed, tiny_llama, write_chats, write_jsonl
from tunebook.commands.predict import predict_command
from tunebook.commands.setup import make_recipe
from tunebook.evaluation.generation.sums import RowSums
from tunebook.plugins import load_recipe_class
from tunebook.plugins.answers import check_use
from tunebook.plugins.contract import BrokenContract
from tunebook.run_folder import RunFolder
from tunebook.tasks.text_generation import TextGeneration


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a run of a second takes: conversations and a tiny model."""
    folder = tmp_path_factory.mktemp("rows")
    train, model = write_chats(folder / "chats.jsonl", 40), tiny_llama(folder / "llama", positions=128)
    small = ["data.max_length=64", "trainer.max_steps=1", "recipe.max_new_tokens=4", "evaluation.answers=6"]
    return [f"data.train={train}", f"model.name={model}", *small]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, rows: list[str]) -> RunFolder:
    return chatted(tmp_path_factory.mktemp("sound"), *rows)


def a_generator_of_texts(self: Any, rows: Any) -> Iterator[Any]:
    yield from (["hello"] for _ in range(len(rows)))


def one_row_short(self: Any, rows: Any) -> Iterator[Any]:
    yield from list(TextGeneration.learnt(self, rows))[1:]


def one_row_more(self: Any, rows: Any) -> Iterator[Any]:
    found = list(TextGeneration.learnt(self, rows))
    yield from [*found, found[0]]


def a_row_less_measured(self: Any, rows: Any, which: Any, drafts: Any, train: Any) -> dict[str, RowSums]:
    return {"politeness": RowSums("politeness", np.ones((len(which) - 1, 2)))}


BEFORE_TRAINING: list[tuple[str, Any, str]] = [
    ("generation", lambda self: {"max_new_tokens": 4}, "`generation` returned a dict"),
    ("candidates", property(lambda self: "3"), "`candidates` returned '3'"),
    ("answer_columns", property(lambda self: "answer"), "`answer_columns` returned 'answer'"),
    ("learnt_by", property(lambda self: None), "`learnt_by` returned None"),
    ("learnt", a_generator_of_texts, "`learnt` returned a list of str"),
    ("learnt", lambda self, rows: None, "`learnt` returned None"),
    ("learnt", one_row_short, "`learnt` gave 31 of 32 rows"),
    ("learnt", one_row_more, "`learnt` gave more than the 32 rows"),
]
AFTER_IT: list[tuple[str, Any, str]] = [
    ("exchanges", lambda self, rows, wanted: [], "`exchanges` returned a list"),
    ("ranked", lambda self, rows, which, drafts: [each[0] for each in drafts], "`ranked` returned a list of Draft"),
    ("measures", lambda self, rows, which, drafts, train: {"length": 3.0}, "`measures` returned a dict"),
    ("measures", a_row_less_measured, "rows of 'politeness' for"),
    ("baselines", lambda self, rows, which, train: {"silence": "..."}, "`baselines` returned a dict"),
    ("baselines", lambda self, rows, which, train: {"silence": ["..."]}, "returned 1 texts of 'silence' for"),
    ("kept", lambda self, config, train: {"seen": {1, 2}}, "`kept` returned what JSON has not"),
    ("kept", lambda self, config, train: ["seen"], "`kept` returned a list of str"),
]
IN_PREDICT: list[tuple[str, Any, str]] = [
    ("asked", lambda self, rows: ["hello" for _ in range(len(rows))], "`asked` returned 'hello'"),
    ("asked", lambda self, rows: iter(()), "`asked` gave 0 of 2 rows"),
    ("answers", lambda self, rows, asked, drafts: [("one", "two", "three")] * len(rows), "`answers` returned 3 values"),
    ("answers", lambda self, rows, asked, drafts: [each[0] for each in drafts], "`answers` returned a Draft"),
]


def named(cases: list[tuple[str, Any, str]]) -> list[Any]:
    return [pytest.param(*case, id=f"{case[0]}: {case[2].replace('`', '')}") for case in cases]


def tells(caught: pytest.ExceptionInfo[BrokenContract], own: Any, said: str, name: str = "customer_chat") -> None:
    code = getattr(own, "fget", own).__code__
    assert f"The recipe '{name}' breaks the contract: its " in caught.value.what
    assert said in caught.value.what and caught.value.exit_code == 2
    assert caught.value.where == f"{inspect.getsourcefile(code)}:{code.co_firstlineno}"
    assert caught.value.mend


@pytest.mark.parametrize(("part", "own", "said"), named([*BEFORE_TRAINING, *AFTER_IT]))
def test_training_says_what_a_part_returned(
    part: str, own: Any, said: str, rows: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    monkeypatch.setattr(load_recipe_class("customer_chat"), part, own)
    with pytest.raises(BrokenContract) as caught:
        chatted(tmp_path, *rows)
    tells(caught, own, said)
    assert ("training:" in capsys.readouterr().out) == ((part, own, said) in AFTER_IT)


@pytest.mark.parametrize(("part", "own", "said"), named(IN_PREDICT))
def test_predict_says_what_a_part_returned(
    part: str, own: Callable[..., Any], said: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = write_jsonl(tmp_path / "asked.jsonl", [{"messages": [{"role": "user", "content": t}]} for t in "ab"])
    monkeypatch.setattr(load_recipe_class("customer_chat"), part, own)
    with pytest.raises(BrokenContract) as caught:
        predict_command([str(run.path), str(asked), "-o", str(tmp_path / "out.csv")])
    tells(caught, own, said)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["asked.jsonl"]


@pytest.mark.parametrize(
    ("part", "own", "said"),
    [
        ("cautions", property(lambda self: "Not for diagnosis."), "`cautions` returned 'Not for diagnosis.'"),
        ("own_points", property(lambda self: {"screening": 0.95}), "`own_points` returned a dict"),
    ],
)
def test_an_image_recipe_says_its_use_in_sentences_and_rules(
    part: str, own: Any, said: str, monkeypatch: pytest.MonkeyPatch
):
    recipe: Any = make_recipe(composed("recipe=medical_diagnosis", "run_dir=x"))
    monkeypatch.setattr(load_recipe_class("medical_diagnosis"), part, own)
    with pytest.raises(BrokenContract) as caught:
        check_use(recipe)
    tells(caught, own, said, "medical_diagnosis")
