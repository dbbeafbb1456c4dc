"""Whole runs of customer_chat on conversations with tools."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.chatted import chatted, sentence, write_jsonl
from tests.conftest import Tunebook
from tests.tooled import TEMPLATE, TRACK, call, row, write_tooled
from tunebook.run_folder import RunFolder


def repeated(count: int) -> list[dict[str, Any]]:
    """Questions of which all but every sixth are answered by one and the same call."""
    draw, found = random.Random(0), []
    for i in range(count):
        turns: list[dict[str, Any]] = [{"role": "user", "content": sentence(draw, 3)}]
        if i % 6:
            turns.append({"role": "assistant", "content": None, "tool_calls": [call()]})
        else:
            turns[0]["content"] = f"thanks {sentence(draw, 3)}"
            turns.append({"role": "assistant", "content": "You are welcome."})
        found.append({"messages": turns, "tools": [{**TRACK, "function": {"name": "track", "parameters": {}}}]})
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The starter, until it has learned the call."""
    folder = tmp_path_factory.mktemp("tools")
    rows = write_jsonl(folder / "calls.jsonl", repeated(80))
    steps = ["trainer.max_steps=32", "optim.lr=0.003", "evaluation.zero_shot=false", "recipe.max_new_tokens=60"]
    return chatted(folder, f"data.train={rows}", f"model.chat_template={TEMPLATE}", *steps)


def test_scores_of_calls_are_those_of_the_written_answers(run: RunFolder) -> None:
    metrics = json.loads(run.metrics.read_text(encoding="utf-8"))["test"]
    with run.predictions.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    wanted = '{"name": "track", "arguments": {"order": 17}}'
    calls = [line for line in rows if line["reference"] == wanted]
    texts = [line for line in rows if line["reference"] != wanted]
    assert calls and texts and len(calls) + len(texts) == 8
    right = sum(f"<tool_call>{wanted}</tool_call>" == line["answer"] for line in calls)
    needless = sum("<tool_call>" in line["answer"] for line in texts)
    assert metrics["tool_arguments"]["value"] == right / len(calls) > 0
    assert (metrics["tool_arguments"]["n"], metrics["tool_needless"]["n"]) == (len(calls), len(texts))
    assert metrics["tool_needless"]["value"] == needless / len(texts)
    assert metrics["exact_match"]["n"] == metrics["chrf"]["n"] == len(texts)
    same = sum(line["answer"] == line["reference"] for line in texts)
    assert metrics["exact_match"]["value"] == same / len(texts)
    page = run.report.read_text(encoding="utf-8")
    assert f"{len(calls)} of the 8 answers are tool calls in the reference" in page and "Tool calls" in page
    assert "apply_chat_template(turns, tools=[...])" in (run.bundle / "README.md").read_text(encoding="utf-8")


def test_predict_writes_calls_in_openais_form(tunebook: Tunebook, run: RunFolder, tmp_path: Path) -> None:
    asked = [{**each, "messages": each["messages"][:1]} for each in repeated(3)]
    bare = {"messages": [{"role": "user", "content": "hello"}]}
    file, out = write_jsonl(tmp_path / "asked.jsonl", [*asked, bare]), tmp_path / "out.jsonl"
    done = tunebook("predict", str(run.path), str(file), "-o", str(out))
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [line["tool_calls"] for line in found[1:3]] == [[call(id_="call_0")]] * 2
    assert [line["answer"] for line in found[1:3]] == [""] * 2
    assert found[3]["tool_calls"] == []
    table = tunebook("predict", str(run.path), str(file))
    assert json.loads(list(csv.DictReader(table.stdout.splitlines()))[1]["tool_calls"]) == [call(id_="call_0")]


def test_predict_takes_results_of_tools(tunebook: Tunebook, run: RunFolder, tmp_path: Path) -> None:
    asked = row()
    asked["messages"].pop()
    done = tunebook("predict", str(run.path), str(write_jsonl(tmp_path / "asked.jsonl", [asked])))
    assert done.returncode == 0 and "order 17 is late" in done.stdout, done.stderr


def test_a_person_answers_for_tools_in_chat(tunebook: Tunebook, run: RunFolder, tmp_path: Path) -> None:
    tools, saved = tmp_path / "tools.json", tmp_path / "saved.jsonl"
    tools.write_text(json.dumps(repeated(1)[0]["tools"]))
    asked = repeated(2)[1]["messages"][0]["content"]
    given = ("chat", str(run.path), "--tools", str(tools), "--save", str(saved))
    done = tunebook(*given, input=f"{asked}\nit is late\n")
    assert done.returncode == 0, done.stderr
    assert "the next line is the result of" in done.stderr
    (line,) = [json.loads(line) for line in saved.read_text(encoding="utf-8").splitlines()]
    assert [turn["role"] for turn in line["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert line["messages"][1]["tool_calls"] == [call(id_="call00000")]
    assert line["messages"][2] == {
        "role": "tool",
        "content": "it is late",
        "name": "track",
        "tool_call_id": "call00000",
    }
    checked = tunebook("predict", str(run.path), str(saved))
    assert "cannot be used" in checked.stderr  # it ends with an answer, and is a row to train on


def test_evaluate_scores_calls_of_new_rows(tunebook: Tunebook, run: RunFolder, tmp_path: Path) -> None:
    rows = write_tooled(tmp_path / "new.jsonl", 6, seed=5)
    done = tunebook("evaluate", f"bundle={run.path}", f"data.test={rows}", "evaluation.resamples=20")
    assert done.returncode == 0, done.stderr
    assert "tool_called" in done.stdout and "tool_needless" in done.stdout


def test_a_template_that_leaves_tools_out_is_one_error(tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write_tooled(tmp_path / "rows.jsonl", 30)
    done = tunebook("check", "recipe=customer_chat", f"data.train={rows}")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: Tool calls cannot be used with the template of starter_text: it leaves tools out"
    )
    assert done.stderr.count("error:") == 1 and "where: model.chat_template" in done.stderr


def test_check_shows_calls_as_learned_and_results_as_not(tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write_tooled(tmp_path / "rows.jsonl", 30)
    done = tunebook("check", "recipe=customer_chat", f"data.train={rows}", f"model.chat_template={TEMPLATE}")
    assert done.returncode == 0, done.stderr
    assert "tools: shown to the model; calls supervised, results not" in done.stdout
    shown = done.stdout.replace("\n", "")
    assert "<|assistant|>«<tool_call>" in shown and "</tool_call><|end|>»<|tool|>order" in shown


@pytest.mark.parametrize("content", ["[", "{}", "[]", '[{"name": "track"}]', "\ufeff"])
def test_tools_of_chat_that_are_none_are_one_error(
    tunebook: Tunebook, run: RunFolder, tmp_path: Path, content: str
) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text(content)
    done = tunebook("chat", str(run.path), "--tools", str(tools), input="Hello\n")
    assert done.returncode == 2 and done.stderr.startswith("error: These tools cannot be used: "), done.stderr
