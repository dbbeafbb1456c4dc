"""Whole runs of customer_chat on rows with a context."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.chatted import chatted, sentence, tiny_llama, write_jsonl
from tests.conftest import Tunebook
from tunebook.run_folder import RunFolder


def rows(count: int, name: str = "context") -> list[dict[str, Any]]:
    draw = random.Random(0)
    return [
        {
            "prompt": sentence(draw, 4),
            "completion": sentence(draw, 4),
            name: [f"{sentence(draw, 3)} in document {i}", "A lamp is £42."],
        }
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("context")
    file = write_jsonl(folder / "rows.jsonl", rows(40, "docs"))
    more = ["trainer.max_steps=2", "recipe.max_new_tokens=4", "evaluation.max_generations=8", "data.max_length=200"]
    given = [f"data.train={file}", "data.context=docs", "data.context_place=user", "data.distractors=1"]
    return chatted(folder, *given, f"model.name={tiny_llama(folder / 'llama')}", "data.near_duplicate=1.0", *more)


def test_the_scores_of_claims_are_in_the_metrics_and_the_report(run: RunFolder) -> None:
    metrics = json.loads(run.metrics.read_text(encoding="utf-8"))["test"]
    assert metrics["grounded_share"]["n"] == metrics["exact_match"]["n"] > 0
    assert 0 <= metrics["grounded_share"]["low"] <= metrics["grounded_share"]["high"] <= 1
    page = run.report.read_text(encoding="utf-8")
    assert "answers have a context" in page and "A lamp is £42." in page and "in document" in page


def test_predict_reads_the_context_that_the_bundle_knows(tunebook: Tunebook, run: RunFolder, tmp_path: Path) -> None:
    asked = [{name: value for name, value in row.items() if name != "completion"} for row in rows(2, "docs")]
    done = tunebook("predict", str(run.path), str(write_jsonl(tmp_path / "asked.jsonl", asked)))
    assert done.returncode == 0, done.stderr
    assert [line["prompt"] for line in csv.DictReader(done.stdout.splitlines())] == [row["prompt"] for row in asked]
    long = [{**asked[0], "docs": "word " * 500}]
    refused = tunebook("predict", str(run.path), str(write_jsonl(tmp_path / "long.jsonl", long)))
    assert refused.returncode == 2 and "long.jsonl:1" in refused.stderr
    assert "the last question with its context has" in refused.stderr
    bad = tunebook("predict", str(run.path), str(write_jsonl(tmp_path / "bad.jsonl", [{**asked[0], "docs": [1]}])))
    assert bad.returncode == 2 and "neither a text nor a list of texts" in bad.stderr


def test_check_shows_the_context_unlearned_and_refuses_what_is_too_long(tunebook: Tunebook, tmp_path: Path) -> None:
    made = rows(30)
    given = ("check", "recipe=customer_chat", "trainer.rehearse=false", "data.near_duplicate=1.0")
    done = tunebook(*given, f"data.train={write_jsonl(tmp_path / 'rows.jsonl', made)}", "data.distractors=2")
    assert done.returncode == 0, done.stderr
    assert "context: in the prompt of 30 of 30 rows (system turn), each with up to 2 documents" in done.stdout
    assert "<|system|><document>" in done.stdout and "«<document>" not in done.stdout
    made[3]["context"] = made[7]["context"] = "word " * 2000
    refused = tunebook(*given, f"data.train={write_jsonl(tmp_path / 'long.jsonl', made)}", "data.test_fraction=0.1")
    assert refused.returncode == 2
    assert "The contexts of" in refused.stderr and "data.max_length" in refused.stderr
    assert "long.jsonl:4" in refused.stderr or "long.jsonl:8" in refused.stderr


def test_distractors_without_a_context_are_refused(tunebook: Tunebook) -> None:
    done = tunebook("check", "recipe=customer_chat", "data.distractors=2")
    assert done.returncode == 2 and "data.distractors has no effect: no row has a context" in done.stderr
