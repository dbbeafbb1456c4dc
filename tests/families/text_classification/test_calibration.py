"""Calibrated probabilities of text classifiers, and answers that are held back."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from transformers import pipeline

from tests.conftest import Tunebook, write_reviews
from tests.finished import finished
from tests.light import said_lightly
from tests.numbered import finished_numbers, new_recipe
from tests.user_error import user_error
from tunebook.bundle.manifest import read_manifest
from tunebook.bundle.read import open_bundle
from tunebook.cli.evaluate import evaluate_command
from tunebook.cli.export import export_command
from tunebook.cli.predict import predict_command
from tunebook.composing.command import register_schemas
from tunebook.families.text_classification.temperature import folded
from tunebook.run_folder import RunFolder
from tunebook.statistics.threshold import Threshold
from tunebook.training.softmax_head import SoftmaxHead

TRAINED = ("trainer.max_epochs=3", "optim.lr=2e-3", "evaluation.abstain_error=0.1", "evaluation.zero_shot=false")


def noisy(path: Path, rows: int, seed: int, share: float = 0.15) -> Path:
    """Reviews of which a share has the other label."""
    draw = random.Random(seed)
    lines = list(csv.reader(io.StringIO(write_reviews(path, rows, seed=seed).read_text())))
    other = {"good": "bad", "bad": "good"}
    turned = [[text, other[label] if draw.random() < share else label] for text, label in lines[1:]]
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([lines[0], *turned])
    return path


def made(folder: Path, *overrides: str) -> RunFolder:
    """A run that is too sure of itself: it has learned the noise of a few rows."""
    folder.mkdir(exist_ok=True)
    train, held, test = (noisy(folder / f"{n}.csv", rows, i) for i, (n, rows) in enumerate(SIZES.items(), 3))
    files = [f"data.train={train}", f"data.validation={held}", f"data.test={test}"]
    return finished(folder, *files, *TRAINED, *overrides)


SIZES = {"noisy": 64, "held": 120, "judged": 80}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return made(tmp_path_factory.mktemp("calibrated") / "run")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The same run without a temperature."""
    return made(tmp_path_factory.mktemp("plain") / "run", "recipe.calibrate=false")


def chosen(run: RunFolder) -> dict[str, Any]:
    found = read_manifest(run.bundle).calibration
    assert found is not None
    return found


def metrics(run: RunFolder) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(run.metrics.read_text())
    return content


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def answered(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[list[dict[str, str]], str]:
    capsys.readouterr()
    predict_command([str(each) for each in arguments])
    captured = capsys.readouterr()
    return table(captured.out), captured.err


def logits_of(run: RunFolder, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the rows of a file, and their label numbers."""
    _, _, classifier = open_bundle(run.bundle)
    rows = table(file.read_text())
    return classifier.logits([r["text"] for r in rows]), np.array([classifier.labels.index(r["label"]) for r in rows])


def test_the_temperature_is_the_one_that_scipy_finds_and_is_in_the_weights(run: RunFolder, plain: RunFolder) -> None:
    held = plain.path.parent / "held.csv"
    logits, target = logits_of(plain, held)
    found = minimize_scalar(
        lambda t: -log_softmax(logits / np.exp(t), axis=1)[np.arange(len(target)), target].mean(),
        bounds=(-3, 3),
        method="bounded",
        options={"xatol": 1e-9},
    )
    temperature = chosen(run)["temperature"]
    assert temperature == pytest.approx(np.exp(found.x), abs=1e-4)
    assert temperature > 1.2
    assert chosen(run)["rows"] == 120
    assert chosen(plain)["temperature"] is None and chosen(plain)["note"] == ""
    np.testing.assert_allclose(logits_of(run, held)[0], logits / temperature, atol=1e-5)
    assert f"temperature {temperature:.3f}, fitted on 120 validation rows" in (run.bundle / "README.md").read_text()


def test_answers_stay_and_probabilities_become_better(run: RunFolder, plain: RunFolder) -> None:
    ours, theirs = (table(each.predictions.read_text()) for each in (run, plain))
    assert [row["prediction"] for row in ours] == [row["prediction"] for row in theirs]
    found, usual = metrics(run), metrics(plain)
    assert found["test"]["accuracy"] == usual["test"]["accuracy"]
    assert "before" not in usual["calibration"]
    before, after = found["calibration"]["before"], found["calibration"]["after"]
    for name, score in usual["calibration"]["after"].items():
        assert before[name]["value"] == pytest.approx(score["value"], abs=1e-5)
        assert after[name]["value"] < before[name]["value"]
        assert before[name]["low"] <= before[name]["value"] <= before[name]["high"]
    page = run.report.read_text()
    assert "before the temperature" in page and "Risk and coverage" in page


def test_a_plain_pipeline_gives_the_calibrated_probabilities(run: RunFolder) -> None:
    rows = table(run.predictions.read_text())[:40]
    classify = pipeline("text-classification", str(run.bundle), device="cpu", truncation=True, max_length=24)
    for row, found in zip(rows, classify([r["text"] for r in rows], top_k=None), strict=True):
        for each in found:
            assert each["score"] == pytest.approx(float(row[f"probability_{each['label']}"]), abs=1e-4)


def test_what_is_not_sure_is_said_in_a_column_as_the_run_counted_it(
    run: RunFolder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    test = run.path.parent / "judged.csv"
    threshold = Threshold.from_json(chosen(run)["threshold"])
    rows, said = answered(capsys, run.path, test, "--not-sure", "auto")
    assert list(rows[0]) == ["file", "line", "text", "prediction", "sure", "probability_bad", "probability_good"]
    top = [max(float(row["probability_bad"]), float(row["probability_good"])) for row in rows]
    assert [row["sure"] for row in rows] == ["no" if each < threshold.value else "yes" for each in top]
    unsure = sum(row["sure"] == "no" for row in rows)
    assert 0 < unsure < 80
    assert f"{unsure} of 80 answers are not sure (probability below {threshold.value:.4f})" in said
    truth = [row["label"] for row in table(test.read_text())]
    wrong = sum(row["sure"] == "yes" and row["prediction"] != label for row, label in zip(rows, truth, strict=True))
    found = metrics(run)["abstention"]
    assert found["not_sure_below"] == threshold.value
    assert found["coverage"]["value"] == pytest.approx(1 - unsure / 80)
    assert (found["selective_error"]["value"], found["selective_error"]["n"]) == (
        pytest.approx(wrong / (80 - unsure)),
        80 - unsure,
    )
    output = tmp_path / "answers.jsonl"
    predict_command([str(run.path), str(test), "--not-sure", "0.99999", "-o", str(output)])
    assert {json.loads(line)["sure"] for line in output.read_text().splitlines()} <= {"yes", "no"}
    without, said = answered(capsys, run.path, test)
    assert "sure" not in without[0] and "sure" not in said
    assert [row["prediction"] for row in without] == [row["prediction"] for row in rows]


def test_the_threshold_is_that_of_the_validation_rows(run: RunFolder) -> None:
    threshold = Threshold.from_json(chosen(run)["threshold"])
    logits, target = logits_of(run, run.path.parent / "held.csv")
    top = np.exp(log_softmax(logits, axis=1)).max(1)
    given = top >= threshold.value
    assert (threshold.rows, threshold.answered) == (120, given.sum())
    assert threshold.errors == (logits.argmax(1) != target)[given].sum()
    assert threshold.promised == (threshold.bound <= 0.1)
    words = "for an error of 0.1" if threshold.promised else "too few, or too often wrong, to promise an error of 0.1"
    assert words in run.report.read_text() and words in (run.bundle / "README.md").read_text()


def test_an_export_answers_alike(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    test = run.path.parent / "judged.csv"
    export_command([str(run.path), "-o", str(tmp_path / "onnx"), "--precision", "float32"])
    ours, _ = answered(capsys, run.path, test, "--not-sure", "auto")
    theirs, _ = answered(capsys, tmp_path / "onnx", test, "--not-sure", "auto", "--engine", "onnx")
    assert [row["sure"] for row in ours] == [row["sure"] for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert float(one["probability_good"]) == pytest.approx(float(other["probability_good"]), abs=1e-4)


def evaluated(folder: Path, run: RunFolder, rows: Path, *overrides: str) -> dict[str, Any]:
    GlobalHydra.instance().clear()
    register_schemas()
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        settings = [f"bundle={run.path}", f"data.test={rows}", f"run_dir={folder}", "evaluation.resamples=50"]
        config = compose("evaluate", overrides=[*settings, *overrides])
    evaluate_command(config, str(folder))
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return content


def test_new_rows_are_judged_by_the_same_threshold_or_another(run: RunFolder, tmp_path: Path) -> None:
    test = run.path.parent / "judged.csv"
    ours = evaluated(tmp_path / "auto", run, test, "evaluation.not_sure=auto")
    for key in ("coverage", "selective_error", "not_sure_below"):
        assert ours["abstention"][key] == metrics(run)["abstention"][key]
    assert evaluated(tmp_path / "usual", run, test)["abstention"] == ours["abstention"]
    assert ours["calibration"]["before"]["brier_score"]["value"] == pytest.approx(
        metrics(run)["calibration"]["before"]["brier_score"]["value"]
    )
    other = evaluated(tmp_path / "other", run, test, "evaluation.not_sure=0.6")["abstention"]
    assert other["not_sure_below"] == 0.6
    top = [max(float(r["probability_bad"]), float(r["probability_good"])) for r in table(run.predictions.read_text())]
    assert other["coverage"]["value"] == pytest.approx(np.mean(np.array(top) >= 0.6))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with a few validation rows, and no threshold."""
    return finished(tmp_path_factory.mktemp("small"))


def test_few_validation_rows_give_no_temperature_and_that_is_said(small: RunFolder) -> None:
    assert chosen(small)["temperature"] is None and chosen(small)["threshold"] is None
    said = f"no temperature: {chosen(small)['rows']} validation rows are too few, it takes 50"
    assert said in small.report.read_text() and said in (small.bundle / "README.md").read_text()


def test_few_validation_rows_promise_nothing_and_that_is_said(tmp_path: Path) -> None:
    run = finished(tmp_path, "evaluation.abstain_error=0.02", "evaluation.zero_shot=false", "optim.lr=2e-3")
    found = chosen(run)["threshold"]
    if found is None:
        assert "no answer is held back for an error of 0.02" in run.report.read_text()
    else:
        assert not found["promised"] and found["bound"] > 0.02
        assert "too few, or too often wrong, to promise an error of 0.02" in run.report.read_text()


def test_without_a_threshold_there_is_one_message_before_anything_loads(small: RunFolder, tmp_path: Path) -> None:
    test = small.path.parent / "test.csv"
    said = said_lightly(tmp_path, "predict", str(small.path), str(test), "--not-sure", "auto")
    assert "no probability below which it is not sure" in said and "evaluation.abstain_error" in said
    with user_error("bundle.no-threshold"):
        evaluated(tmp_path / "run", small, test, "evaluation.not_sure=auto")
    assert not (tmp_path / "run").exists()
    for value in ("1.5", "nan", "some", ""):
        with user_error("config.out-of-range"):
            predict_command([str(small.path), str(test), "--not-sure", value])
        with user_error("config.out-of-range"):
            evaluated(tmp_path / "run", small, test, f"evaluation.not_sure='{value}'")


def test_other_families_are_always_sure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(new_recipe()))
    run = finished_numbers(tmp_path)
    with user_error("config.no-effect"):
        predict_command([str(run.path), str(tmp_path / "test.csv"), "--not-sure", "auto"])


def test_a_head_of_another_kind_has_no_temperature_and_may_have_a_threshold(tmp_path: Path) -> None:
    run = made(tmp_path / "run", "recipe.head=ordinal", 'data.labels=["bad","good"]', "trainer.max_epochs=1")
    assert "before" not in metrics(run)["calibration"]
    found = chosen(run)
    assert found["temperature"] is None and found["note"] == "" and found["wanted"] == 0.1


class Squashed(SoftmaxHead):
    """A head that bends the logits once more."""

    def forward(self, model: Any, batch: Any) -> torch.Tensor:
        return super().forward(model, batch).tanh()


def test_a_model_whose_final_layer_is_not_the_end_stays_as_it_is(run: RunFolder) -> None:
    _, _, classifier = open_bundle(run.bundle)
    texts = [row["text"] for row in table(run.predictions.read_text())[:4]]
    weights = {name: each.clone() for name, each in classifier.model.state_dict().items()}
    bent = replace(classifier, head=Squashed(2))
    assert not folded(bent, 2.0, bent.logits(texts), texts, None, torch.device("cpu"))
    assert all(torch.equal(each, weights[name]) for name, each in classifier.model.state_dict().items())
    before = classifier.logits(texts)
    assert folded(classifier, 2.0, before, texts, None, torch.device("cpu"))
    np.testing.assert_allclose(classifier.logits(texts), before / 2, atol=1e-5)


def test_a_solved_final_layer_is_calibrated_too(minilm: str, tmp_path: Path) -> None:
    head = (f"model.name={minilm}", "adapt=head", "trainer.max_epochs=null", "optim.lr=null")
    ours, usual = made(tmp_path / "ours", *head), made(tmp_path / "usual", *head, "recipe.calibrate=false")
    assert "solved" in (ours.bundle / "README.md").read_text()
    temperature = chosen(ours)["temperature"]
    test = ours.path.parent / "judged.csv"
    np.testing.assert_allclose(logits_of(ours, test)[0], logits_of(usual, test)[0] / temperature, atol=1e-4)


@pytest.mark.parametrize(
    "damage",
    [{"temperature": -1}, {"temperature": "2"}, {"rows": None}, {"threshold": {}}, {"threshold": 3}, {"more": 1}],
)
def test_a_damaged_calibration_is_refused(run: RunFolder, tmp_path: Path, damage: dict[str, Any]) -> None:
    copied = tmp_path / "model"
    shutil.copytree(run.bundle, copied)
    content = json.loads((copied / "tunebook.json").read_text())
    content["calibration"] |= damage
    (copied / "tunebook.json").write_text(json.dumps(content))
    for more in ([], ["--not-sure", "auto"]):
        with user_error("bundle.damaged"):
            predict_command([str(copied), str(run.path.parent / "judged.csv"), *more])


def test_the_command_line_says_what_came_of_it(tunebook: Tunebook, tmp_path: Path) -> None:
    files = [f"data.{n}={noisy(tmp_path / f'{n}.csv', 120, i)}" for i, n in enumerate(("train", "validation", "test"))]
    small = ["data.label=label", "data.max_length=24", "trainer=cpu", "trainer.rehearse=false", "logger=csv"]
    done = tunebook(
        *("train", "recipe=review_sentiment", *files, *small, "evaluation.zero_shot=false", "evaluation.resamples=50"),
        *("trainer.max_epochs=2", "evaluation.abstain_error=0.2", "run_dir=run"),
    )
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "not sure below" in said or "no answer is held back" in (tmp_path / "work/run/report.html").read_text()
    done = tunebook("predict", "run", str(tmp_path / "test.csv"), "--not-sure", "0.7")
    assert done.returncode == 0, done.stderr
    assert {row["sure"] for row in table(done.stdout)} <= {"yes", "no"}
    for value in ("0", "0.9", "x"):
        done = tunebook("train", "recipe=review_sentiment", *files, *small, f"evaluation.abstain_error={value}")
        assert done.returncode == 2 and "abstain_error" in done.stderr
