"""A run from rows to a bundle: plain transformers, `predict` and `evaluate` give one number, in the user's units."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertForSequenceClassification

from tests.encoded import opened, write_encoder
from tests.numbered import finished_numbers, new_recipe
from tests.user_error import user_error
from tunebook.bundle.read import open_bundle
from tunebook.cli.predict import predict_command
from tunebook.models.source import STARTERS
from tunebook.run_folder import RunFolder

THREE = ["Please paint 4 rooms, job 12.", "Could you clean 9 windows, job 7.", "?"]


@pytest.fixture(scope="module", autouse=True)
def job_hours() -> Iterator[Path]:
    folder = new_recipe()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEBOOK_RECIPES", str(folder))
        yield folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny BERT with the starter's tokenizer: its final layer has a bias, which the starter's has not."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = AutoTokenizer.from_pretrained(STARTERS / "starter_text")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory, job_hours: Path) -> RunFolder:
    return finished_numbers(tmp_path_factory.mktemp("decoded"))


def plain_answers(bundle: Path, texts: Sequence[str]) -> np.ndarray:
    """What transformers alone says."""
    model: Any = AutoModelForSequenceClassification.from_pretrained(bundle).eval()
    tokenizer = AutoTokenizer.from_pretrained(bundle)
    assert (model.config.problem_type, model.config.num_labels) == ("regression", 1)
    with torch.no_grad():
        answers = [model(**tokenizer(text, return_tensors="pt")).logits.item() for text in texts]
    return np.array(answers)


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_sentence_encoder_is_solved_in_the_users_units(tmp_path: Path, job_hours: Path) -> None:
    run = finished_numbers(
        tmp_path, f"model.name={write_encoder(tmp_path / 'encoder')}", "adapt=head", "trainer.max_steps=null"
    )
    rows = rows_of(run.predictions)
    said = [float(row["prediction"]) for row in rows]
    theirs = opened(run.bundle).encode([row["text"] for row in rows])[:, 0]
    assert theirs == pytest.approx(np.array(said), abs=1e-3)
    truth = [float(row["truth"]) for row in rows]
    assert np.mean(said) == pytest.approx(np.mean(truth), abs=6), "hours, and not deviations"


def test_plain_transformers_answers_in_the_users_units(decoded: RunFolder) -> None:
    rows = rows_of(decoded.predictions)
    texts, said = [row["text"] for row in rows], [float(row["prediction"]) for row in rows]
    assert plain_answers(decoded.bundle, texts) == pytest.approx(np.array(said), abs=1e-3)
    assert 1 < np.mean(said) < 30  # hours, and not deviations: their mean is 12.8


@pytest.mark.parametrize("method", ["full", "lora", "head", "scratch"])
def test_each_adaptation_folds_the_scale_into_the_final_layer(encoder: str, tmp_path: Path, method: str) -> None:
    run = finished_numbers(tmp_path, f"model.name={encoder}", f"adapt={method}", "trainer.max_steps=2")
    _, _, predictor = open_bundle(run.bundle)
    assert plain_answers(run.bundle, THREE) == pytest.approx(predictor.predict(THREE), abs=1e-3)
    assert predictor.predict(THREE).mean() == pytest.approx(12.8, abs=8)


def test_the_scores_are_those_of_scikit_learn(decoded: RunFolder) -> None:
    rows, scores = rows_of(decoded.predictions), json.loads(decoded.metrics.read_text())
    truth, answers = (np.array([float(row[column]) for row in rows]) for column in ("truth", "prediction"))
    for name, reference in (("mae", mean_absolute_error), ("rmse", root_mean_squared_error), ("r2", r2_score)):
        assert scores["test"][name]["value"] == pytest.approx(reference(truth, answers))
        assert set(scores["differences"]) == {"mean", "ridge"}


def test_predict_writes_the_number_that_was_tested(decoded: RunFolder, tmp_path: Path, job_hours: Path) -> None:
    output = tmp_path / "answers.csv"
    predict_command([str(decoded.path), str(job_hours / "samples/test.csv"), "-o", str(output), "--accelerator", "cpu"])
    assert [row["prediction"] for row in rows_of(output)] == [
        f"{float(row['prediction']):.9g}" for row in rows_of(decoded.predictions)
    ]


def test_columns_beside_the_text_are_read_as_the_card_says(tmp_path: Path) -> None:
    rows = [[f"paint the wall of house {i * 7919}", ["old", "new"][i % 2], str(i), str(i + 1.5)] for i in range(40)]
    table = tmp_path / "jobs.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["text", "house age", "rooms", "hours"], *rows])
    template = "data.text_template='{rooms} rooms, {house age}: {text}'"
    run = finished_numbers(
        tmp_path, f"data.train={table}", "data.text_with=[house age,rooms]", template, "trainer.max_steps=2"
    )
    line = next(each for each in (run.bundle / "README.md").read_text().splitlines() if each.startswith("text = "))
    tested = rows_of(run.predictions)
    given = [rows_of(table)[int(row["line"]) - 2] for row in tested]
    texts = [eval(line.removeprefix("text = "), {"row": row}) for row in given]
    assert texts == [f"{row['rooms']} rooms, {row['house age']}: {row['text']}" for row in given]
    assert plain_answers(run.bundle, texts) == pytest.approx([float(row["prediction"]) for row in tested], abs=1e-3)
    predict_command([str(run.path), str(table), "-o", str(tmp_path / "answers.csv"), "--accelerator", "cpu"])
    answers = rows_of(tmp_path / "answers.csv")
    for row in tested:
        assert answers[int(row["line"]) - 2]["text"] == row["text"]
        assert float(answers[int(row["line"]) - 2]["prediction"]) == pytest.approx(float(row["prediction"]), abs=1e-4)


def test_a_bundle_whose_weights_were_changed_is_refused(decoded: RunFolder, tmp_path: Path) -> None:
    copied = tmp_path / "model"
    shutil.copytree(decoded.bundle, copied)
    weights = load_file(copied / "model.safetensors")
    weights["score.weight"] *= 1.1
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with user_error("bundle.changed-answers"):
        open_bundle(copied)


def test_what_cannot_be_learned_or_answered_is_refused(tmp_path: Path) -> None:
    same = tmp_path / "same.csv"
    same.write_text("text,hours\n" + "".join(f"job number {i} of {i * 7919},3.0\n" for i in range(30)))
    with user_error("data.constant-label", where="data.label"):
        finished_numbers(tmp_path / "same", f"data.train={same}")
    with user_error("config.no-effect", where="adapt=none"):
        finished_numbers(tmp_path / "none", "adapt=none")
