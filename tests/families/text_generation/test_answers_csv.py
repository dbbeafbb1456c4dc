from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

from tunebook.families.text_generation.answers_csv import write_answers
from tunebook.families.text_generation.metrics.answers import GeneratedAnswers


def test_written_answers_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    references = [['one, "two"'], ["a", "b\n星"], ["[1]"]]
    outputs = ["=1+1", "", "It is £42.00 on\nTuesday"]
    facts = [["nine"], [], ["£42", "Tuesday", "noon"]]
    answers = GeneratedAnswers(["p", "q", "r"], references, outputs, ["x.jsonl"] * 3, [1, 1, 2], facts=facts)
    write_answers(path, answers, {"before tuning": replace(answers, outputs=["x", "y", "z"])}, [2, 4, 1])
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    names = "file line turn prompt reference answer answer_before_tuning facts_stated facts_required"
    assert header == names.split()
    assert [line[:4] for line in lines] == [
        ["x.jsonl", "1", "2", "p"],
        ["x.jsonl", "1", "4", "q"],
        ["x.jsonl", "2", "1", "r"],
    ]
    read = [json.loads(line[4]) if line[4].startswith("[") else [line[4]] for line in lines]
    assert read == references
    assert [line[5] for line in lines] == outputs and [line[6] for line in lines] == ["x", "y", "z"]
    assert [line[7:] for line in lines] == [["0", "1"], ["0", "0"], ["2", "3"]]
    write_answers(path, replace(answers, facts=None))
    with path.open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == ["file", "line", "prompt", "reference", "answer"]
