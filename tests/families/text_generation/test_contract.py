"""A recipe that writes and returns something else than its contract asks: one message with its line, each time."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from tests.chatted import chatted, composed, tiny_llama, write_chats, write_jsonl
from tunebook.cli.predict import predict_command
from tunebook.families.image_classification.points import check_use
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.pipeline.prepare import make_recipe
from tunebook.plugins import load_recipe_class
from tunebook.plugins.contract import BrokenContract
from tunebook.run_folder import RunFolder
from tunebook.statistics.sums import RowSums


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a run of a second takes: conversations and a tiny model."""
    folder = tmp_path_factory.mktemp("rows")
    train, model = write_chats(folder / "chats.jsonl", 40), tiny_llama(folder / "llama", positions=128)
    small = ["data.max_length=64", "trainer.max_steps=1", "recipe.max_new_tokens=4", "evaluation.max_generations=6"]
    return [f"data.train={train}", f"model.name={model}", *small]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, rows: list[str]) -> RunFolder:
    return chatted(tmp_path_factory.mktemp("sound"), *rows)


def a_generator_of_texts(self: Any, rows: Any) -> Iterator[Any]:
    yield from (["hello"] for _ in range(len(rows)))


def one_row_short(self: Any, rows: Any) -> Iterator[Any]:
    yield from list(TextGeneration.training_conversations(self, rows))[1:]


def one_row_more(self: Any, rows: Any) -> Iterator[Any]:
    found = list(TextGeneration.training_conversations(self, rows))
    yield from [*found, found[0]]


def a_row_less_measured(self: Any, rows: Any, which: Any, completions: Any, train: Any) -> dict[str, RowSums]:
    return {"politeness": RowSums("politeness", np.ones((len(which) - 1, 2)))}


def measured(sums: Any, name: str = "warmth", **more: Any) -> Callable[..., dict[str, RowSums]]:
    """A recipe's `measures` of its answers: so many rows of these sums, or what `sums` makes of their number."""

    def measures(self: Any, rows: Any, which: Any, completions: Any, train: Any) -> dict[str, RowSums]:
        made = sums(len(which)) if callable(sums) else np.tile(sums, (len(which), 1))
        return {"warmth": RowSums(name, made, **more)}

    return measures


def without_references(self: Any, rows: Any, wanted: Any) -> Any:
    found = TextGeneration.evaluation_prompts(self, rows, wanted)
    return replace(found, references=[[] for _ in found.references])


def a_reference_short(self: Any, rows: Any, wanted: Any) -> Any:
    found = TextGeneration.evaluation_prompts(self, rows, wanted)
    return replace(found, references=found.references[1:])


CASES: list[tuple[str, Any, str]] = [
    ("generation", lambda self: {"max_new_tokens": 4}, "`generation` returned a dict"),
    ("candidates", property(lambda self: "3"), "`candidates` returned '3'"),
    ("answer_columns", property(lambda self: "answer"), "`answer_columns` returned 'answer'"),
    ("cache_salt", property(lambda self: None), "`cache_salt` returned None"),
    ("training_conversations", a_generator_of_texts, "`training_conversations` returned a list of str"),
    ("training_conversations", lambda self, rows: None, "`training_conversations` returned None"),
    ("training_conversations", one_row_short, "`training_conversations` gave 31 of 32 rows"),
    ("training_conversations", one_row_more, "`training_conversations` gave more than the 32 rows"),
    (
        "training_conversations",
        lambda self, rows: ([] for _ in range(len(rows))),
        "`training_conversations` returned a list",
    ),
    ("candidates", property(lambda self: True), "`candidates` returned True"),
    ("answer_columns", property(lambda self: ["answer", "answer"]), "name 'answer' twice"),
    ("answer_columns", property(lambda self: ["line", "answer"]), "name 'line' twice (every answer has its place)"),
    ("generation", lambda self: Generation(max_new_tokens=5000), "`generation` requests 5000 tokens"),
    (
        "answers",
        lambda self, rows, prompts, completions: [("one", "two", "three")] * len(rows),
        "`answers` returned 3 values",
    ),
    ("evaluation_prompts", without_references, "have an empty history, or references that are not text"),
    ("evaluation_prompts", a_reference_short, "histories, but other fields of a different length"),
    ("ranked", lambda self, rows, which, completions: completions[1:], "`ranked` returned completions of"),
    ("measures", measured([1.0]), "`measures` returned of 'warmth' 1 columns"),
    ("measures", measured(lambda n: np.ones(n)), "sums of type ndarray"),
    ("measures", measured(lambda n: [[1.0, 2.0]] * n), "sums of type list"),
    ("measures", measured([1.0, np.nan]), "sums that are not finite"),
    ("measures", measured([3.0, 1.0], share=True), "a share outside 0 to 1"),
    ("measures", measured([1.0, 1.0], "bleu"), "one with the name 'bleu'"),
    ("measures", measured([1.0, 1.0], formula=lambda sums: sums.sum()), "a formula that does not map sums"),
    ("baselines", lambda self, rows, which, train: {"tuned": ["..."] * len(which)}, "name one 'tuned'"),
    (
        "bundle_state",
        lambda self, config, train: {"name": "\ud800"},
        "`bundle_state` returned non-JSON values",
    ),
    ("evaluation_prompts", lambda self, rows, wanted: [], "`evaluation_prompts` returned a list"),
    (
        "ranked",
        lambda self, rows, which, completions: [each[0] for each in completions],
        "`ranked` returned Completion(text=",
    ),
    ("measures", lambda self, rows, which, completions, train: {"length": 3.0}, "`measures` returned a dict"),
    ("measures", a_row_less_measured, "rows for"),
    ("baselines", lambda self, rows, which, train: {"silence": "..."}, "`baselines` returned a dict"),
    ("baselines", lambda self, rows, which, train: {"silence": ["..."]}, "returned 1 texts of 'silence' for"),
    ("bundle_state", lambda self, config, train: {"seen": {1, 2}}, "`bundle_state` returned non-JSON values"),
    ("bundle_state", lambda self, config, train: ["seen"], "`bundle_state` returned a list of str"),
]
IN_PREDICT: list[tuple[str, Any, str]] = [
    ("prompts", lambda self, rows: ["hello" for _ in range(len(rows))], "`prompts` returned 'hello'"),
    ("prompts", lambda self, rows: iter(()), "`prompts` gave 0 of 2 rows"),
    (
        "answers",
        lambda self, rows, prompts, completions: [each[0] for each in completions],
        "`answers` returned a Completion",
    ),
]


def named(cases: list[tuple[str, Any, str]]) -> list[Any]:
    return [pytest.param(*case, id=f"{case[0]}: {case[2].replace('`', '')}") for case in cases]


def tells(caught: pytest.ExceptionInfo[BrokenContract], own: Any, said: str, name: str = "customer_chat") -> None:
    code = getattr(own, "fget", own).__code__
    assert f"The recipe '{name}' breaks the contract: its " in caught.value.what
    assert said in caught.value.what and caught.value.exit_code == 2
    assert caught.value.where == f"{inspect.getsourcefile(code)}:{code.co_firstlineno}"
    assert caught.value.fix


@pytest.mark.parametrize(("part", "own", "said"), named(CASES))
def test_what_a_part_returned_is_said_before_anything_is_trained(
    part: str, own: Any, said: str, rows: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    monkeypatch.setattr(load_recipe_class("customer_chat"), part, own)
    with pytest.raises(BrokenContract) as caught:
        chatted(tmp_path, *rows)
    tells(caught, own, said)
    assert "training:" not in capsys.readouterr().out and not (tmp_path / "run").exists()


def test_what_numpy_and_other_mappings_give_is_taken(rows: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = load_recipe_class("customer_chat")
    sound = {
        "candidates": property(lambda self: np.int64(1)),
        "generation": lambda self: Generation(max_new_tokens=np.int64(4)),
        "measures": lambda self, *given: MappingProxyType(measured([1.0, 2.0])(self, *given)),
        "baselines": lambda self, rows, which, train: MappingProxyType({"silence": ("...",) * len(which)}),
        "answer_columns": property(lambda self: ("answer", "polite", "length")),
        "answers": lambda self, rows, prompts, completions: (
            (each[0].text, np.bool_(True), np.int64(3)) for each in completions
        ),
    }
    for part, own in sound.items():
        monkeypatch.setattr(recipe, part, own)
    made = chatted(tmp_path, *rows)
    told = json.loads(made.metrics.read_text())
    assert told["test"]["warmth"]["value"] == 0.5 and set(told["baselines"]) == {"before tuning", "silence"}
    asked = write_jsonl(tmp_path / "asked.jsonl", [{"messages": [{"role": "user", "content": "Hello."}]}])
    predict_command([str(made.path), str(asked), "-o", str(tmp_path / "out.jsonl")])
    told = json.loads((tmp_path / "out.jsonl").read_text())
    assert list(told) == ["file", "line", "answer", "polite", "length"] and (told["polite"], told["length"]) == (
        True,
        3,
    )


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
