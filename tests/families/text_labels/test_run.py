"""A run from rows to a bundle: a plain pipeline, `predict`, `evaluate` and an export give the same labels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, pipeline

from tests.conftest import Tunebook
from tests.encoded import opened, write_encoder
from tests.topical import SAMPLES, TOPICS, finished_topics, listed_samples, rows_of
from tests.user_error import user_error
from tunebook.bundle.read import open_bundle
from tunebook.cli.predict import predict_command
from tunebook.models.source import STARTERS
from tunebook.run_folder import RunFolder

SORTED = tuple(sorted(TOPICS))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """On columns of 1 and 0, the recipe's own."""
    return finished_topics(tmp_path_factory.mktemp("flags"), "trainer.max_steps=30")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny BERT with the starter's tokenizer."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = AutoTokenizer.from_pretrained(STARTERS / "starter_text")
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    return str(folder)


def manifest(bundle: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((bundle / "tunebook.json").read_text(encoding="utf-8"))
    return read


def probabilities(row: Mapping[str, str], labels: tuple[str, ...] = TOPICS) -> list[float]:
    return [float(row[f"probability_{label}"]) for label in labels]


def plain(bundle: Path, texts: list[str], labels: tuple[str, ...]) -> np.ndarray:
    """What transformers alone says, ``[texts, labels]``."""
    classify: Any = pipeline("text-classification", model=str(bundle), top_k=None, truncation=True, max_length=24)
    found = [{each["label"]: each["score"] for each in answer} for answer in classify(texts)]
    return np.array([[answer[label] for label in labels] for answer in found])


def test_a_plain_pipeline_gives_the_same_scores(run: RunFolder) -> None:
    config = json.loads((run.bundle / "config.json").read_text(encoding="utf-8"))
    assert config["problem_type"] == "multi_label_classification"
    assert config["id2label"] == {str(i): topic for i, topic in enumerate(TOPICS)}
    assert config["label2id"] == {topic: i for i, topic in enumerate(TOPICS)}
    rows = rows_of(run.predictions)
    theirs = plain(run.bundle, [row["text"] for row in rows], TOPICS)
    assert theirs == pytest.approx(np.array([probabilities(row) for row in rows]), abs=1e-4)


@pytest.mark.parametrize("method", ["full", "lora", "head", "scratch"])
def test_each_adaptation_opens_in_a_plain_pipeline(encoder: str, tmp_path: Path, method: str) -> None:
    made = finished_topics(tmp_path, f"model.name={encoder}", f"adapt={method}", "trainer.max_steps=2")
    rows = rows_of(made.predictions)[:5]
    theirs = plain(made.bundle, [row["text"] for row in rows], TOPICS)
    assert theirs == pytest.approx(np.array([probabilities(row) for row in rows]), abs=1e-4)


def test_a_sentence_encoder_is_solved_and_opens_in_sentence_transformers(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "encoder")
    made = finished_topics(
        tmp_path, f"model.name={folder}", "adapt=head", "trainer.max_steps=null", "data.max_length=64"
    )
    rows = rows_of(made.predictions)
    logits = opened(made.bundle).encode([row["text"] for row in rows])
    assert 1 / (1 + np.exp(-logits)) == pytest.approx(np.array([probabilities(row) for row in rows]), abs=1e-3)


def test_thresholds_decide_in_testing_and_in_predict(run: RunFolder, tmp_path: Path) -> None:
    chosen = manifest(run.bundle)["several"]["chosen"]
    assert list(chosen["thresholds"]) == list(TOPICS) and chosen["rows"] == 57
    assert len(set(chosen["thresholds"].values())) == len(TOPICS), "each is chosen for itself"
    output = tmp_path / "answers.csv"
    predict_command([str(run.path), str(SAMPLES / "test.csv"), "-o", str(output), "--accelerator", "cpu"])
    for tested, answered in zip(rows_of(run.predictions), rows_of(output), strict=True):
        given = [topic for topic in TOPICS if float(answered[f"probability_{topic}"]) >= chosen["thresholds"][topic]]
        assert answered["prediction"] == tested["prediction"] == ("; ".join(given) or "none")
        for topic in TOPICS:
            assert tested[f"prediction_{topic}"] == str(int(topic in given))
            assert tested[f"probability_{topic}"] == answered[f"probability_{topic}"]


def test_thresholds_are_the_best_of_the_validation_rows(run: RunFolder) -> None:
    _, _, labeller = open_bundle(run.bundle)
    rows = rows_of(SAMPLES / "validation.csv")
    found, _ = labeller.predict([row["text"] for row in rows])
    for i, topic in enumerate(TOPICS):
        truth = np.array([int(row[topic]) for row in rows])
        every = [f1_score(truth, found[:, i] >= edge, zero_division=0) for edge in np.linspace(0, 1, 501)]
        assert f1_score(truth, found[:, i] >= labeller.chosen.thresholds[topic]) >= max(every) - 1e-9


def test_the_scores_are_those_of_scikit_learn(run: RunFolder) -> None:
    rows, metrics = rows_of(run.predictions), json.loads(run.metrics.read_text(encoding="utf-8"))
    truth, answers = (
        np.array([[int(row[f"{what}_{topic}"]) for topic in TOPICS] for row in rows])
        for what in ("truth", "prediction")
    )
    scores = np.array([probabilities(row) for row in rows])
    test = {name: each["value"] for name, each in metrics["test"].items()}
    assert test["macro_f1"] == pytest.approx(f1_score(truth, answers, average="macro", zero_division=np.nan))
    assert test["micro_f1"] == pytest.approx(f1_score(truth, answers, average="micro"))
    assert test["average_precision"] == pytest.approx(average_precision_score(truth, scores), abs=1e-6)
    assert test["exact_match"] == pytest.approx((truth == answers).all(axis=1).mean())
    for i, topic in enumerate(TOPICS):
        assert metrics["per_class"][topic]["f1"]["value"] == pytest.approx(f1_score(truth[:, i], answers[:, i]))
        theirs = average_precision_score(truth[:, i], scores[:, i])
        assert metrics["labels"][topic]["average_precision"]["value"] == pytest.approx(theirs)
    none, given = (~part.any(axis=1) for part in (truth, answers))
    assert metrics["no_label"]["none_recall"]["value"] == pytest.approx((none & given).sum() / none.sum())
    assert metrics["no_label"]["none_recall"]["n"] == none.sum()
    assert metrics["no_label"]["none_rate"]["value"] == pytest.approx(given.mean())
    for each in (*metrics["test"].values(), metrics["no_label"]["none_rate"]):
        assert each["low"] <= each["value"] <= each["high"]
    assert set(metrics["differences"]["usual labels"]) == set(test)


def test_listed_labels_are_learned_and_their_separator_is_kept(tmp_path: Path) -> None:
    rows = {split: listed_samples(split, tmp_path / f"{split}.csv", "|") for split in ("train", "validation", "test")}
    given = [f"data.{split}={path}" for split, path in rows.items()]
    made = finished_topics(tmp_path, *given, "data.label=topics", "data.separator='|'", "trainer.max_steps=2")
    kept = manifest(made.bundle)
    assert kept["labels"] == list(SORTED) and kept["several"]["separator"] == "|"
    assert kept["columns"] == {"text": "text", "label": "topics"}
    truth = [row["truth"] for row in rows_of(made.predictions)]
    assert truth == [row["topics"].replace("|", "; ") or "none" for row in _in_order(rows["test"])]


def _in_order(path: Path) -> list[dict[str, str]]:
    """Rows with their topics sorted, as the model has them."""
    return [{**row, "topics": "|".join(sorted(filter(None, row["topics"].split("|"))))} for row in rows_of(path)]


def test_evaluate_reads_either_form_of_rows(run: RunFolder, tmp_path: Path, tunebook: Tunebook) -> None:
    listed = listed_samples("test", tmp_path / "listed.csv", ",")
    forms = {
        "flags": [f"data.test={SAMPLES / 'test.csv'}"],
        "lists": [f"data.test={listed}", "data.label=topics", "data.separator=','"],
    }
    tested = json.loads(run.metrics.read_text(encoding="utf-8"))["test"]
    for name, given in forms.items():
        folder = tmp_path / name
        done = tunebook("evaluate", f"bundle={run.path}", *given, f"run_dir={folder}", "evaluation.resamples=50")
        assert done.returncode == 0, done.stderr
        again = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["test"]
        assert {metric: each["value"] for metric, each in again.items()} == pytest.approx(
            {metric: each["value"] for metric, each in tested.items()}
        )
    odd = tunebook("evaluate", f"bundle={run.path}", *forms["flags"], "data.separator=,", f"run_dir={tmp_path / 'x'}")
    assert odd.returncode == 2 and "data.separator is about the labels that data.label lists" in odd.stderr
    with (tmp_path / "strange.csv").open("w", encoding="utf-8") as stream:
        stream.write("text,topics\nIt came late and blue.,delivery;colour\n")
    strange = [f"data.test={tmp_path / 'strange.csv'}", "data.label=topics"]
    odd = tunebook("evaluate", f"bundle={run.path}", *strange, f"run_dir={tmp_path / 'y'}")
    assert odd.returncode == 2 and "has 'colour', which is none of the labels wanted" in odd.stderr


def test_a_text_without_any_label_is_said_to_have_none(run: RunFolder, tmp_path: Path) -> None:
    copied = tmp_path / "model"
    shutil.copytree(run.bundle, copied)
    edited = manifest(copied)
    edited["several"]["chosen"]["thresholds"] = dict.fromkeys(TOPICS, 1.0)
    (copied / "tunebook.json").write_text(json.dumps(edited), encoding="utf-8")
    (tmp_path / "rows.csv").write_text("text\nA present.\n", encoding="utf-8")
    predict_command([str(copied), str(tmp_path / "rows.csv"), "-o", str(tmp_path / "answers.csv")])
    assert [row["prediction"] for row in rows_of(tmp_path / "answers.csv")] == ["none"]


Edit = Callable[[dict[str, Any]], Any]
DAMAGED: dict[str, Edit] = {
    "no such label": lambda of: of["chosen"]["thresholds"].update(colour=0.5),
    "above 1": lambda of: of["chosen"]["thresholds"].update(fit=1.5),
    "no number": lambda of: of["chosen"]["thresholds"].update(fit="0.5"),
    "other order": lambda of: of["chosen"].update(thresholds=dict(reversed(of["chosen"]["thresholds"].items()))),
    "no positives": lambda of: of["chosen"].pop("positives"),
    "separator": lambda of: of.update(separator=3),
    "a list": lambda of: of.update(chosen=["fit"]),
}


@pytest.mark.parametrize("edit", DAMAGED.values(), ids=DAMAGED)
def test_a_manifest_that_was_edited_is_refused(run: RunFolder, tmp_path: Path, edit: Edit) -> None:
    copied = tmp_path / "model"
    shutil.copytree(run.bundle, copied)
    edited = manifest(copied)
    edit(edited["several"])
    (copied / "tunebook.json").write_text(json.dumps(edited), encoding="utf-8")
    with user_error("bundle.damaged"):
        open_bundle(copied)


def test_a_bundle_without_what_the_family_needs_is_refused(run: RunFolder, tmp_path: Path) -> None:
    copied = tmp_path / "model"
    shutil.copytree(run.bundle, copied)
    edited = manifest(copied)
    del edited["several"]
    (copied / "tunebook.json").write_text(json.dumps(edited), encoding="utf-8")
    with user_error("bundle.damaged"):
        open_bundle(copied)


def test_few_validation_rows_with_a_label_choose_no_threshold(tmp_path: Path) -> None:
    kept = [row for row in rows_of(SAMPLES / "validation.csv") if row["fit"] == "0"]
    few = tmp_path / "few.csv"
    few.write_text("text,topics\n" + "".join(f'"{row["text"]}",{_first(row)}\n' for row in kept), encoding="utf-8")
    train = listed_samples("train", tmp_path / "train.csv")
    test = listed_samples("test", tmp_path / "test.csv")
    given = [f"data.train={train}", f"data.validation={few}", f"data.test={test}", "data.label=topics"]
    made = finished_topics(tmp_path, *given, "trainer.max_steps=2")
    assert manifest(made.bundle)["several"]["chosen"]["thresholds"]["fit"] == 0.5
    said = "the threshold is 0.5 for labels that fewer than 5 validation rows have: fit (0)"
    assert said in made.report.read_text(encoding="utf-8")
    assert said in (made.bundle / "README.md").read_text(encoding="utf-8")


def _first(row: Mapping[str, str]) -> str:
    return ";".join(topic for topic in TOPICS if row[topic] == "1")


def test_an_untrained_model_is_refused(tmp_path: Path) -> None:
    with user_error("config.no-effect", where="adapt=none"):
        finished_topics(tmp_path, "adapt=none")


def test_an_export_gives_the_same_labels(run: RunFolder, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    from tunebook.cli.export import export_command

    export_command([str(run.path), "-o", str(tmp_path / "onnx"), "--precision", "float32"])
    output = tmp_path / "answers.csv"
    predict_command([str(tmp_path / "onnx"), str(SAMPLES / "test.csv"), "-o", str(output), "--engine", "onnx"])
    answers = [row["prediction"] for row in rows_of(output)]
    assert answers == [row["prediction"] for row in rows_of(run.predictions)]
    about = json.loads((tmp_path / "onnx" / "onnx.json").read_text(encoding="utf-8"))
    found = about["precisions"]["float32"]
    assert found["labels_equal"] == found["rows"], "rows all of whose labels are equal, not labels"
