"""`tunebook pick`: which rows to label next, without those that have a label or were trained on."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import Tunebook, write_reviews
from tests.finished import finished
from tests.labelled import task, write_export
from tunebook.bundle.read import open_bundle
from tunebook.data.columns import Column
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.models.final_layer import final_layer
from tunebook.run_folder import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finished(tmp_path_factory.mktemp("picked"))


def unlabelled(path: Path, rows: int, more: Sequence[str] = ()) -> Path:
    """Rows with a text alone."""
    write_reviews(path, rows, seed=7)
    with path.open(newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)]
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["text"], *([text] for text in [*texts, *more])])
    return path


def picked(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(done.stdout.splitlines()))


def test_rows_seen_in_training_and_repeats_are_passed_over(tmp_path: Path, run: RunFolder, tunebook: Tunebook) -> None:
    with (run.path.parent / "train.csv").open(newline="") as stream:
        seen = [row["text"] for row in csv.DictReader(stream)]
    pool = unlabelled(tmp_path / "pool.csv", 30, [*seen[:5], "The lamp is new.", "the  lamp is NEW."])
    done = tunebook("pick", str(run.path), str(pool), "--n", "31")
    found = picked(done)
    assert len({row["line"] for row in found}) == 31
    assert {row["text"] for row in found}.isdisjoint(seen)
    assert "5 were used in training, 1 repeat another" in done.stderr
    assert picked(tunebook("pick", str(run.bundle), str(pool), "--n", "31")) == found
    assert picked(tunebook("pick", str(run.path), str(pool), "--n", "9", "--seed", "1")) != found[:9]


def test_probabilities_are_those_of_predict_and_tasks_go_into_label_studio(
    tmp_path: Path, run: RunFolder, tunebook: Tunebook
) -> None:
    pool, tasks = unlabelled(tmp_path / "pool.csv", 20), tmp_path / "tasks.json"
    found = picked(tunebook("pick", str(run.path), str(pool), "--n", "6", "--label-studio", str(tasks)))
    answers = picked(tunebook("predict", str(run.path), str(pool)))
    said = {row["line"]: (row["prediction"], float(row[f"probability_{row['prediction']}"])) for row in answers}
    for row in found:
        assert said[row["line"]] == (row["prediction"], pytest.approx(float(row["probability"]), abs=1e-5))
    made = json.loads(tasks.read_text())
    assert [each["data"]["text"] for each in made] == [row["text"] for row in found]
    (prediction,) = made[0]["predictions"]
    assert prediction["score"] == pytest.approx(float(found[0]["probability"]))
    assert prediction["model_version"] == "review_sentiment run"
    assert prediction["result"] == [
        {
            "from_name": "label",
            "to_name": "text",
            "type": "choices",
            "value": {"choices": [found[0]["prediction"]]},
        }
    ]
    columns = [Column("text", "text", "data.text", "text")]
    rows = read_rows([str(tasks)], "data.train", columns, RejectLog(tmp_path / "rejects.jsonl", 0))
    assert rows.texts("text") == [row["text"] for row in found]  # they are read back


def test_tasks_of_label_studio_without_annotations_are_a_pool(
    tmp_path: Path, run: RunFolder, tunebook: Tunebook
) -> None:
    tasks = [task(i, f"row {i} is great", [["good"]] if i < 4 else []) for i in range(1, 9)]
    tasks[1] = task(2, "row 2 is great", [["good"], ["bad"]])  # they disagree
    tasks[2] = task(3, "row 3 is great", [[], ["bad"]])
    for each in tasks[:3]:
        for annotation in each["annotations"]:
            annotation["result"][0]["from_name"] = "label"
    tasks[4] = task(5, "row 5 is great", [["x"]])
    relation = {"from_id": "a", "to_id": "b", "type": "relation", "direction": "right"}
    tasks[4]["annotations"][0]["result"] = [relation]
    pool = write_export(tmp_path / "pool.json", tasks, "json")
    done = tunebook("pick", str(run.path), str(pool), "--n", "5")
    assert {row["line"] for row in picked(done)} == {"4", "5", "6", "7", "8"}
    assert "3 have a label" in done.stderr
    assert "note: annotations that are no choices label no row: relation (1 not read)" in done.stderr


def test_columns_beside_the_text_come_back_apart_and_are_read_again(tmp_path: Path, tunebook: Tunebook) -> None:
    rows = [
        [f"row {i} is {('great', 'bad')[i % 2]}", "kettle" if i % 3 else "", ("good", "bad")[i % 2]] for i in range(40)
    ]
    for name, part, width in (("train.csv", rows, 3), ("pool.csv", [[f"new {a}", b] for a, b, _ in rows[:12]], 2)):
        with (tmp_path / name).open("w", newline="") as stream:
            csv.writer(stream).writerows([["text", "product", "label"][:width], *part])
    given = [
        "recipe=review_sentiment",
        "data.label=label",
        f"data.train={tmp_path / 'train.csv'}",
        "trainer.max_steps=1",
    ]
    given += ["data.text_with=[product]", "data.leaks=allow", "trainer.rehearse=false", "evaluation.zero_shot=false"]
    trained = tunebook("train", *given, f"run_dir={tmp_path / 'run'}")
    assert trained.returncode == 0, trained.stderr
    tasks = tmp_path / "tasks.json"
    arguments = ["--n", "6", "--label-studio", str(tasks)]
    found = picked(tunebook("pick", str(tmp_path / "run"), str(tmp_path / "pool.csv"), *arguments))
    pool = {line: row for line, row in enumerate(rows[:12], 2)}
    assert [(row["text"], row["product"]) for row in found] == [
        (f"new {pool[int(row['line'])][0]}", pool[int(row["line"])][1]) for row in found
    ]
    made = json.loads(tasks.read_text())
    assert [(each["data"]["text"], each["data"]["product"]) for each in made] == [
        (row["text"], row["product"]) for row in found
    ]
    for each in made:
        each["annotations"] = [{"id": 1, "result": each.pop("predictions")[0]["result"]}]
    tasks.write_text(json.dumps(made))
    both = f"data.train=[{tmp_path / 'train.csv'},{tasks}]"
    checked = tunebook("check", *given[:2], both, "data.text_with=[product]", "data.leaks=allow")
    assert checked.returncode == 0, checked.stderr
    assert "kept: 46" in checked.stdout


def test_features_are_what_the_final_layer_takes(run: RunFolder) -> None:
    _, _, predictor = open_bundle(run.bundle)
    texts = ["I love it", "It broke after two days and nobody answered", "?"]
    probabilities, features = predictor.with_features(texts)
    np.testing.assert_allclose(probabilities, predictor.predict(texts)[0], atol=1e-6)
    layer = final_layer(predictor.model, 2)
    assert layer is not None
    with torch.no_grad():
        logits = layer(torch.from_numpy(features).float())
    np.testing.assert_allclose(logits.softmax(-1).numpy(), probabilities, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "arguments", "said"),
    [
        ("trained", [], "There is no row to label of 48 rows (48 have a label)"),
        ("labelled", [], "There is no row to label of 10 rows (10 have a label)"),
        ("pool", ["--n", "11"], "There are 10 rows to label of 10 rows, not 11"),
        ("empty", [], "has a header and no rows"),
        ("pool", ["--n", "0"], "--n must be 1 or more"),
        ("pool", ["--seed", "-1"], "--seed must be 0 or more"),
        ("pool", ["-o", "picks.jsonl"], "must end in .csv"),
        ("pool", ["--label-studio", "tasks.csv"], "must end in .json"),
        ("pool", ["--text", "body"], "has no column 'body'"),
    ],
)
def test_wrong_pools_and_options_end_in_one_message(
    tmp_path: Path, run: RunFolder, tunebook: Tunebook, rows: str, arguments: list[str], said: str
) -> None:
    files = {"trained": run.path.parent / "train.csv"}
    files["pool"] = unlabelled(tmp_path / "pool.csv", 10)
    files["labelled"] = write_reviews(tmp_path / "labelled.csv", 10, seed=8)
    files["empty"] = tmp_path / "empty.csv"
    files["empty"].write_text("text\n")
    done = tunebook("pick", str(run.path), str(files[rows]), *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error: ") == 1
    assert said in " ".join(done.stderr.split())
    assert not done.stdout
