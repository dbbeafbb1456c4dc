"""A run from rows to a bundle: plain transformers, `predict` and `evaluate` give each aspect one value."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import f1_score

from tests.aspected import ASPECTS, VALUES, finished_aspects, write_aspects
from tests.encoded import write_encoder
from tests.user_error import user_error
from tunebook.bundle.read import open_bundle
from tunebook.cli.predict import predict_command
from tunebook.families.text_aspects.options import TextAspectsConfig
from tunebook.plugins import load_recipe_class
from tunebook.run_folder import RunFolder

Lines = list[dict[str, str]]


def lines_of(file: Path) -> Lines:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """With a fifth of the values unknown."""
    return finished_aspects(tmp_path_factory.mktemp("aspects"), "trainer.max_epochs=4", unknown=5)


def card_lines(bundle: Path, texts: list[str]) -> list[dict[str, str]]:
    """What the Python of the card prints, for these texts and this folder."""
    (code,) = re.findall(r"```python\n(.*?)```", (bundle / "README.md").read_text(encoding="utf-8"), re.S)
    assert len([line for line in code.splitlines() if line and not re.match("from|import", line)]) <= 5
    code = code.replace("path/to/this/folder", str(bundle))
    code = code.replace('["Arrived broken, and nobody answers."]', repr(texts))
    said = io.StringIO()
    with contextlib.redirect_stdout(said), torch.no_grad():
        exec(code, {})
    found: list[dict[str, str]] = eval(said.getvalue())
    return found


def answers_of(lines: Lines) -> list[dict[str, str]]:
    return [{aspect: line[f"prediction_{aspect}"] for aspect in ASPECTS} for line in lines]


def test_the_lines_of_the_card_give_the_answers_that_were_tested(run: RunFolder) -> None:
    lines = lines_of(run.predictions)
    assert len(lines) == 48
    assert card_lines(run.bundle, [line["text"] for line in lines]) == answers_of(lines)
    assert len({tuple(each.values()) for each in answers_of(lines)}) > 2, "not one answer for all"


def test_the_bundle_is_a_plain_folder_that_names_its_outputs(run: RunFolder) -> None:
    config = json.loads((run.bundle / "config.json").read_text())
    assert list(config["id2label"].values()) == [f"{aspect}: {value}" for aspect in ASPECTS for value in VALUES]
    manifest = json.loads((run.bundle / "tunebook.json").read_text())
    assert manifest["columns"] == {"text": "text", "aspect 0": "delivery", "aspect 1": "price"}
    for golden in manifest["golden"]:
        shares = np.array(list(golden["probabilities"].values())).reshape(2, 4)
        assert shares.sum(axis=1) == pytest.approx(np.ones(2), abs=1e-5)


def test_predictions_have_truth_answer_and_probability_of_each_aspect(run: RunFolder) -> None:
    lines = lines_of(run.predictions)
    _, _, predictor = open_bundle(run.bundle)
    shares = predictor.predict([line["text"] for line in lines]).reshape(-1, 2, 4)
    given = lines_of(run.path.parent / "test.csv")
    for i, aspect in enumerate(ASPECTS):
        assert [line[f"truth_{aspect}"] for line in lines] == [row[aspect] for row in given]
        assert [line[f"prediction_{aspect}"] for line in lines] == [VALUES[k] for k in shares[:, i].argmax(-1)]
        said = [float(line[f"probability_{aspect}"]) for line in lines]
        assert said == pytest.approx(shares[:, i].max(-1), abs=1e-6)


def test_the_scores_are_those_of_scikit_learn_on_the_known_values(run: RunFolder) -> None:
    lines, metrics = lines_of(run.predictions), json.loads(run.metrics.read_text())
    each = []
    for aspect in ASPECTS:
        known = [line for line in lines if line[f"truth_{aspect}"]]
        assert 0 < len(known) < len(lines)
        truth, said = ([line[f"{what}_{aspect}"] for line in known] for what in ("truth", "prediction"))
        each.append(f1_score(truth, said, average="macro", zero_division=0))
        score = metrics["aspects"][aspect]["macro_f1"]
        assert score["value"] == pytest.approx(each[-1]) and score["n"] == len(known)
        assert score["low"] <= score["value"] <= score["high"]
        assert metrics["aspects"][aspect]["accuracy"]["method"] == "wilson"
    assert metrics["test"]["macro_f1"]["value"] == pytest.approx(np.mean(each))
    assert set(metrics["differences"]["majority"]) == {"macro_f1", "exact_match"}


def test_unknown_values_are_counted_where_people_look(run: RunFolder) -> None:
    page, card = run.report.read_text(encoding="utf-8"), (run.bundle / "README.md").read_text(encoding="utf-8")
    rows = [row for split in ("train", "test") for row in lines_of(run.path.parent / f"{split}.csv")]
    unknown = sum(not row["price"] for row in rows)
    (said,) = re.findall(r"rows without a value of price: (\d+) train, (\d+) validation, (\d+) test", card)
    assert sum(map(int, said)) == unknown and "rows without a value of price" in page
    assert "Confusion matrix: delivery" in page and "Most confident mistakes" in page
    assert len(re.findall(r'id="(confusion-matrix-\d+[^"]*)"', page)) == len(
        set(re.findall(r'id="(confusion-matrix-\d+[^"]*)"', page))
    )


def test_predict_gives_what_was_tested(run: RunFolder, tmp_path: Path) -> None:
    test = run.path.parent / "test.csv"
    predict_command([str(run.path), str(test), "-o", str(tmp_path / "answers.csv"), "--accelerator", "cpu"])
    answered = lines_of(tmp_path / "answers.csv")
    assert answers_of(answered) == answers_of(lines_of(run.predictions))
    columns = [f"{what}_{aspect}" for aspect in ASPECTS for what in ("prediction", "probability")]
    assert list(answered[0]) == ["file", "line", "text", *columns]


@pytest.mark.parametrize("method", ["lora", "head", "scratch"])
def test_each_adaptation_ends_in_a_plain_folder(tmp_path: Path, method: str) -> None:
    run = finished_aspects(tmp_path, f"adapt={method}", "trainer.max_epochs=1", unknown=7)
    lines = lines_of(run.predictions)
    assert card_lines(run.bundle, [line["text"] for line in lines]) == answers_of(lines)


def test_a_sentence_encoder_is_solved_and_opens_elsewhere(tmp_path: Path) -> None:
    encoder = write_encoder(tmp_path / "encoder")
    run = finished_aspects(tmp_path, f"model.name={encoder}", "adapt=head", "trainer.max_epochs=null", unknown=6)
    lines = lines_of(run.predictions)
    texts = [line["text"] for line in lines]
    assert "solved by L-BFGS" in (run.bundle / "README.md").read_text(encoding="utf-8")
    assert card_lines(run.bundle, texts) == answers_of(lines)


def test_a_bundle_whose_files_contradict_each_other_is_refused(run: RunFolder, tmp_path: Path) -> None:
    def changed(name: str, change: Any) -> Path:
        copied = tmp_path / name
        shutil.copytree(run.bundle, copied)
        change(copied)
        return copied

    def fewer_values(folder: Path) -> None:
        file = folder / "tunebook.json"
        content = json.loads(file.read_text())
        content["options"]["values"] = ["none", "negative", "positive", "neutral"]
        file.write_text(json.dumps(content))

    def other_weights(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        weights["score.weight"] = weights["score.weight"].flip(0)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    with user_error("bundle.mismatch"):
        open_bundle(changed("values", fewer_values))
    with user_error("bundle.changed-answers"):
        open_bundle(changed("weights", other_weights))


def test_an_untrained_model_is_refused(tmp_path: Path) -> None:
    with user_error("config.no-effect", where="adapt=none"):
        finished_aspects(tmp_path, "adapt=none")


def test_a_recipe_watches_what_is_measured_on_test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe_class = load_recipe_class("review_aspects")
    monkeypatch.setattr(recipe_class, "watch", "exact_match")
    run = finished_aspects(tmp_path, "trainer.max_steps=1")
    assert "exact match" in run.report.read_text(encoding="utf-8")
    comparison = recipe_class.family.stages.comparison(recipe_class(TextAspectsConfig("mine", ["price"])))
    assert list(comparison.metrics(())) == ["exact_match", "macro_f1"]
    again = tmp_path / "again"
    again.mkdir()
    monkeypatch.setattr(recipe_class, "watch", "loss")
    monkeypatch.setattr(recipe_class, "watch_mode", "min")
    with user_error("recipe.broken-contract", match="measured on no test rows"):
        finished_aspects(again, "trainer.max_steps=1")


def test_a_second_text_and_columns_beside_it_are_read(tmp_path: Path) -> None:
    table = write_aspects(tmp_path / "rows.csv", 60, aspects=("delivery", "price", "service"))
    rows = lines_of(table)
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [*rows[0], "shop", "title"])
        writer.writeheader()
        for i, row in enumerate(rows):
            writer.writerow({**row, "shop": "north" if i % 2 else "", "title": f"t{i}"})
    run = finished_aspects(
        tmp_path,
        *(f"data.train={table}", "data.test=null", "data.text_pair=title", "data.text_with=[shop]"),
        *("recipe.aspects=[delivery,price,service]", "trainer.max_epochs=1", "evaluation.subgroups=[shop]"),
    )
    _, _, predictor = open_bundle(run.bundle)
    assert predictor.paired and predictor.aspects == ("delivery", "price", "service")
    predict_command([str(run.path), str(table), "-o", str(tmp_path / "answers.csv"), "--accelerator", "cpu"])
    answers = {line["line"]: line for line in lines_of(tmp_path / "answers.csv")}
    for line in lines_of(run.predictions):
        assert answers[line["line"]]["prediction_service"] == line["prediction_service"]
    groups = json.loads(run.metrics.read_text())["subgroups"]
    assert {group["value"] for group in groups} == {"north", "not given"}
