"""`tunebook compare` of two language models with different tokenizers: stopped, resumed, and compared on equal rows."""

from __future__ import annotations

import csv
import json
import math
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.metrics.chrf import CHRF

from tests.chatted import byte_gpt2, conversation, write_jsonl
from tests.forked import Forked, run_forked, start_forked

LONG = "courier " * 90
"""More tokens than the model that reads bytes has room for."""
TRAIN, TEST = 24, 10
LEFT_OUT, HALF = 3, 5
"""Lines of the test rows of which the model that reads bytes has nothing, and the first answer alone."""
RUNGS = ["zero_shot · starter_text", "zero_shot · bytes", "lora · starter_text", "lora · bytes"]


@dataclass(frozen=True)
class Compared:
    """A comparison that was stopped and went on.

    Attributes:
        folder: Of the comparison.
        rows: The conversations of the test rows.
        arguments: Of the command.
        stopped: What it said when it was stopped, and its exit code.
        said: What it said in the end.
        kept: Run folders that were finished when it was stopped, with when.
    """

    folder: Path
    rows: list[list[dict[str, str]]]
    arguments: list[str]
    environment: dict[str, str]
    stopped: tuple[str, int]
    said: str
    kept: dict[str, int]

    def again(self, *more: str) -> tuple[str, int]:
        """The same command with more overrides."""
        ended = run_forked([*self.arguments, *more], self.environment, self.folder.parent, 280)
        return ended.stdout + ended.stderr, ended.returncode

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "compare.json").read_text(encoding="utf-8"))
        return found

    def lines(self, rung: dict[str, Any], name: str) -> list[dict[str, str]]:
        """A table of the rung's one run."""
        (run,) = rung["runs"]
        with (self.folder / run / name).open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))


def finished(folder: Path) -> dict[str, int]:
    return {str(p.parent.relative_to(folder)): p.stat().st_mtime_ns for p in folder.glob("*/*/metrics.json")}


def chats() -> tuple[list[list[dict[str, str]]], list[list[dict[str, str]]]]:
    """Conversations to train on and to test with, two of these too long for one model; letters of several bytes."""
    draw = random.Random(4)
    every = [conversation(draw, draw.randint(1, 2)) for _ in range(TRAIN + TEST)]
    train, test = every[:TRAIN], every[TRAIN:]
    for turns in test:
        turns[-1]["content"] += " für Zoë"
    test[LEFT_OUT - 1] = [{"role": "user", "content": LONG}, {"role": "assistant", "content": "it is there"}]
    test[HALF - 1] = [*conversation(draw, 1), {"role": "user", "content": LONG}, {"role": "assistant", "content": "no"}]
    return train, test


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    work = tmp_path_factory.mktemp("models")
    byte_gpt2(work / "bytes")
    train, test = chats()
    for name, rows in (("train", train), ("test", test)):
        write_jsonl(work / f"{name}.jsonl", [{"messages": turns} for turns in rows])
    arguments = [
        *("compare", "recipe=customer_chat", "data.train=train.jsonl", "data.test=test.jsonl", "compare=quick"),
        *("compare.models=[starter_text,./bytes]", "compare.rungs=[majority,zero_shot,lora]", "data.max_rejects=5"),
        *("model.chat_template=plain", "recipe.max_new_tokens=4", "evaluation.forgetting=false", "logger=csv"),
        *("trainer=cpu", "trainer.max_steps=2", "trainer.rehearse=false", "evaluation.resamples=50", "run_dir=out"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TUNEBOOK_CACHE": str(work / "cache")}
    process = start_forked(arguments, environment, work)
    wait_for(work / "out", process)
    os.kill(process.pid, signal.SIGTERM)
    stopped, _ = process.communicate(timeout=120)
    kept = finished(work / "out")
    ended = run_forked(arguments, environment, work, 280)
    assert ended.returncode == 0, ended.stderr
    stop = stopped, process.returncode or 0
    return Compared(work / "out", test, arguments, environment, stop, ended.stdout, kept)


def wait_for(folder: Path, process: Forked) -> None:
    """Until the first run with a model is begun."""
    deadline = time.monotonic() + 240
    while not any(folder.glob("zero_shot-*/*/cost.json")):
        assert process.poll() is None and time.monotonic() < deadline, process.output()[0]
        time.sleep(0.02)


def test_a_stopped_comparison_of_models_resumes(compared: Compared) -> None:
    said, code = compared.stopped
    assert code == 143 and "run the same command again to resume" in said, said
    assert 0 < len(compared.kept) < 5
    assert f"{len(compared.kept)} of 5 runs are finished already" in compared.said
    assert compared.kept.items() <= finished(compared.folder).items()


def test_each_rung_is_there_with_each_model_in_folders_of_safe_names(compared: Compared) -> None:
    found = compared.read()
    rungs = {rung["name"]: rung for rung in found["rungs"]}
    assert list(rungs) == ["majority", *RUNGS]
    assert [rungs[name].get("model") for name in rungs] == [None, *("starter_text", "bytes") * 2]
    folders = {run.partition("/")[0] for rung in rungs.values() for run in rung["runs"]}
    assert folders == {"majority", *(name.replace(" · ", "-") for name in RUNGS)}
    assert found["models"] == [
        {"label": "starter_text", "name": "starter_text", "test_rows": TEST},
        {"label": "bytes", "name": "./bytes", "test_rows": TEST - 1},
    ]
    for name in RUNGS[2:]:
        assert rungs[name]["added_point"]["before"] == name.replace("lora", "zero_shot"), (
            "each model has its own ladder"
        )
    assert {rungs[name]["added_point"]["before"] for name in RUNGS[:2]} == {"majority"}
    assert found["comparison"]["recommended"] in rungs and len(found["comparison"]["pairs"]) == 10


def test_answers_are_compared_where_every_model_gave_one(compared: Compared) -> None:
    found = compared.read()
    given = {rung["name"]: {place(line) for line in compared.lines(rung, "predictions.csv")} for rung in found["rungs"]}
    common = set.intersection(*given.values())
    turns = {(n, t + 1) for n, turns in enumerate(compared.rows, 1) for t in range(1, len(turns), 2)}
    assert given["majority"] == given["lora · starter_text"] == turns
    assert turns - common == {(LEFT_OUT, 2), (HALF, 4)}
    for rung in found["rungs"]:
        lines = [line for line in compared.lines(rung, "predictions.csv") if place(line) in common]
        chrf = CHRF().corpus_score([line["answer"] for line in lines], [[line["reference"] for line in lines]])
        assert rung["score"]["n"] == len(common)
        assert rung["score"]["value"] == pytest.approx(chrf.score) == pytest.approx(rung["by_seed"][0])
    assert (found["metric"], found["test_rows"]) == ("chrf", TEST - 1)
    left_out = f"1 of {TEST} test rows is left out: bytes cannot be scored on "
    (sentence,) = [each for each in found["verdict"] if each.startswith(left_out)]
    assert sentence.endswith(f"test.jsonl:{LEFT_OUT}.") and f"note: {sentence}" in compared.said
    (more,) = [each for each in found["verdict"] if each.startswith("Models are compared on")]
    assert more == (
        f"Models are compared on the {len(common)} answers that all of them were scored on (starter_text on 2 more by "
        "itself)."
    )
    page = (compared.folder / "report.html").read_text(encoding="utf-8")
    assert sentence.split(":")[0] in page and "lora · bytes" in page and "customer_chat, starter_text, bytes" in page


def place(line: dict[str, str]) -> tuple[int, int]:
    return int(line["line"]), int(line["turn"])


def test_models_are_compared_by_bits_per_byte_in_place_of_perplexity(compared: Compared) -> None:
    before = finished(compared.folder)
    said, code = compared.again("compare.metric=perplexity")
    assert code == 0 and "5 of 5 runs are finished already" in said, said
    assert finished(compared.folder) == before
    found = compared.read()
    rungs = {rung["name"]: rung for rung in found["rungs"]}
    assert (found["metric"], found["higher_is_better"], list(rungs)) == ("bits_per_byte", False, RUNGS)
    rows = {n: turns for n, turns in enumerate(compared.rows, 1) if n not in (LEFT_OUT, HALF)}
    size = sum(
        len(turn["content"].encode()) for turns in rows.values() for turn in turns if turn["role"] == "assistant"
    )
    expected, tokens = {}, {}
    for name, rung in rungs.items():
        lines = [line for line in compared.lines(rung, "losses.csv") if int(line["line"]) in rows]
        expected[name] = sum(float(line["loss"]) for line in lines) / math.log(2) / size
        tokens[rung["model"]] = sum(int(line["tokens"]) for line in lines)
        assert rung["score"]["n"] == len(lines) == len(rows) == found["test_rows"]
        assert rung["score"]["value"] == pytest.approx(expected[name], rel=1e-12)
        assert rung["by_seed"] == [rung["score"]["value"]]
    assert tokens["bytes"] > 2 * tokens["starter_text"], "perplexity would be of other things"
    assert [pair["first"] for pair in found["comparison"]["pairs"]] == [
        first for i, first in enumerate(sorted(RUNGS, key=expected.__getitem__)) for _ in RUNGS[i + 1 :]
    ]
    for pair in found["comparison"]["pairs"]:
        difference = expected[pair["first"]] - expected[pair["second"]]
        assert pair["difference"]["value"] == pytest.approx(difference, rel=1e-9)
    page = (compared.folder / "report.html").read_text(encoding="utf-8")
    for text in (said.replace("\n", " "), page, *found["verdict"][-4:-3]):
        assert "bits per byte instead of perplexity" in text
    assert "majority: it has no bits_per_byte" in said


def test_other_models_in_the_same_folder_are_refused(compared: Compared) -> None:
    before = finished(compared.folder)
    for models in ("[./bytes,starter_text]", "[starter_text]"):
        said, code = compared.again(f"compare.models={models}")
        assert code == 2 and "This folder holds a different comparison" in said, said
    assert finished(compared.folder) == before


def test_an_unknown_model_is_one_message_before_anything_is_read(compared: Compared) -> None:
    said, code = compared.again("compare.models=[starter_text,smollm2_153m]", "run_dir=other")
    assert code == 2 and said.count("error: ") == 1 and said.startswith("error: There is no model 'smollm2_153m'."), (
        said
    )
    assert "did you mean smollm2_135m?" in said and "Traceback" not in said
    assert not (compared.folder.parent / "other").exists()
