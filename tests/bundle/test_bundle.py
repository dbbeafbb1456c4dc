"""A bundle opens with other people's tools, says what it is, and runs nothing that it names."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.finished import finished
from tests.user_error import user_error
from tunebook.bundle.manifest import find_bundle, read_manifest
from tunebook.bundle.read import open_bundle
from tunebook.errors import UserError
from tunebook.run_folder import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finished(tmp_path_factory.mktemp("softmax"))


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with an ordinal head on labels that are words in an order."""
    return finished(tmp_path_factory.mktemp("ordinal"), "recipe.head=ordinal", "data.labels=[bad,good]")


@pytest.fixture
def bundle(run: RunFolder, tmp_path: Path) -> Path:
    """A copy to do harm to."""
    return Path(shutil.copytree(run.bundle, tmp_path / "bundle"))


def predictions(run: RunFolder) -> list[dict[str, str]]:
    with run.predictions.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def refusal(bundle: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        open_bundle(bundle)
    return caught.value


def test_a_plain_pipeline_gives_the_same_labels_and_probabilities(run: RunFolder):
    from transformers import pipeline

    classify = pipeline("text-classification", str(run.bundle), device="cpu")
    rows = predictions(run)
    answers = classify([row["text"] for row in rows], top_k=None, truncation=True, max_length=24)
    for row, answer in zip(rows, answers, strict=True):
        assert answer[0]["label"] == row["prediction"]
        for each in answer:
            assert each["score"] == pytest.approx(float(row[f"probability_{each['label']}"]), abs=1e-5)


def code_blocks(run: RunFolder) -> list[str]:
    card = (run.bundle / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    return [block.replace("path/to/this/folder", str(run.bundle)) for block in blocks]


def test_the_cards_code_works_as_written(run: RunFolder):
    (code,) = code_blocks(run)
    scope: dict[str, Any] = {}
    exec(code, scope)
    assert scope["classify"]("Arrived broken, and nobody answers.")[0]["label"] in ("bad", "good")


def test_the_ordinal_cards_code_gives_the_bundles_own_answer(stars: RunFolder):
    (code,) = code_blocks(stars)
    _, _, classifier = open_bundle(stars.bundle)
    shown = "Arrived broken, and nobody answers."
    for text in (shown, predictions(stars)[0]["text"], predictions(stars)[1]["text"]):
        scope: dict[str, Any] = {}
        exec(code.replace(shown, text), scope)
        probabilities, answers = classifier.predict([text])
        assert scope["answer"].tolist() == answers.tolist()
        assert scope["exceeds"][0, 0].item() == pytest.approx(probabilities[0, 1], abs=1e-5)


def test_a_run_folder_holds_no_pickle_but_checkpoints_that_load_without_code(run: RunFolder, stars: RunFolder):
    plain = {
        ".safetensors",
        ".json",
        ".md",
        ".csv",
        ".yaml",
        ".html",
        ".jsonl",
        ".jinja",
    }  # a chat template runs in a sandbox
    for folder in (run, stars):
        files = [p for p in folder.path.rglob("*") if p.is_file() and p.name != ".running"]
        checkpoints = [p for p in files if p.suffix == ".ckpt"]
        assert checkpoints
        for file in checkpoints:
            torch.load(file, weights_only=True)
        for file in (p for p in files if p.suffix == ".npy"):
            np.load(file, allow_pickle=False)
        assert {p.suffix for p in files} - {".ckpt", ".npy"} <= plain
        for file in set(files) - set(checkpoints):
            start = file.read_bytes()[:2]
            assert not start.startswith(b"\x80") and start != b"PK", file
        assert not [p for p in folder.path.rglob(".*") if p.name != ".running"], "no temporary file is left"


def test_the_card_says_what_the_model_is(run: RunFolder):
    card = (run.bundle / "README.md").read_text(encoding="utf-8")
    for phrase in (
        "# review_sentiment: starter_text, full",
        "labels bad, good (in this order)",
        "over 24 tokens",
        "Scores on the",
    ):
        assert phrase in card


def test_the_manifest_and_the_plain_config_agree_on_labels(run: RunFolder):
    manifest = read_manifest(run.bundle)
    config = json.loads((run.bundle / "config.json").read_text())
    assert manifest.labels == ["bad", "good"] == [config["id2label"][str(i)] for i in range(2)]
    assert manifest.columns == {"text": "text", "label": "label"}
    assert len(manifest.golden) >= 3


# What was changed after it was written is noticed.


def test_swapped_labels_are_noticed(bundle: Path):
    change(bundle / "tunebook.json", labels=["good", "bad"])
    assert refusal(bundle).code == "bundle.mismatch"


def test_swapped_labels_of_an_ordinal_head_are_noticed(stars: RunFolder, tmp_path: Path):
    bundle = Path(shutil.copytree(stars.bundle, tmp_path / "bundle"))
    change(bundle / "tunebook.json", labels=["good", "bad"])
    error = refusal(bundle)
    assert error.code == "bundle.changed-answers"
    assert "does not answer as it did when the bundle was written" in error.what


def test_labels_swapped_in_the_plain_config_are_noticed(bundle: Path):
    change(bundle / "config.json", id2label={"0": "good", "1": "bad"}, label2id={"good": 0, "bad": 1})
    error = refusal(bundle)
    assert (error.code, error.where) == ("bundle.mismatch", str(bundle))
    assert "config.json names the labels good, bad, and tunebook.json bad, good" in error.what


def test_swapped_outputs_are_noticed(bundle: Path):
    weights = load_file(bundle / "model.safetensors")
    for name in [n for n in weights if n.startswith("score.")]:
        weights[name] = weights[name][::-1].copy()
    save_file(weights, bundle / "model.safetensors", metadata={"format": "pt"})
    assert refusal(bundle).code == "bundle.changed-answers"


def test_changed_and_missing_weights_are_noticed(bundle: Path):
    weights = load_file(bundle / "model.safetensors")
    head = next(n for n in weights if n.startswith("score.") and weights[n].ndim == 2)
    save_file(
        {**weights, head: weights[head] + np.float32(0.5) * np.sign(weights[head])},
        bundle / "model.safetensors",
        metadata={"format": "pt"},
    )
    assert refusal(bundle).code == "bundle.changed-answers"
    save_file(
        {n: w for n, w in weights.items() if n != head},
        bundle / "model.safetensors",
        metadata={"format": "pt"},
    )
    assert "weights are missing" in refusal(bundle).what
    (bundle / "model.safetensors").write_bytes((bundle / "model.safetensors").read_bytes()[:1000])
    assert refusal(bundle).code == "model.damaged-weights"


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        ({"format": 99}, "format 99"),
        ({"labels": ["only"]}, "damaged"),
        ({"labels": "ab"}, "damaged"),
        ({"max_length": "long"}, "damaged"),
        ({"golden": [{"text": "x", "probabilities": {"bad": 0.5}}]}, "damaged"),
        ({"golden": [{"text": "x", "probabilities": [0.5, 0.5]}]}, "damaged"),
        ({"golden": 3}, "damaged"),
        ({"columns": {"label": "label"}}, "damaged"),
        ({"surprise": 1}, "damaged"),
        ({"recipe": "nobodys"}, "There is no recipe named 'nobodys'"),
        ({"head": "made_up"}, "made_up"),
        ({"options": {"name": "review_sentiment", "head": "made_up"}}, "made_up"),
    ],
)
def test_a_damaged_manifest_is_one_message(content: Any, phrase: str, bundle: Path):
    file = bundle / "tunebook.json"
    change(file, **content) if isinstance(content, dict) else file.write_text(content)
    assert phrase in refusal(bundle).message()


def test_a_folder_without_a_bundle_says_what_it_is(tmp_path: Path, run: RunFolder):
    assert find_bundle(str(run.path)) == run.bundle and find_bundle(str(run.bundle)) == run.bundle
    (tmp_path / "unfinished" / "checkpoints").mkdir(parents=True)
    for folder, code, phrase in (
        ("unfinished", "run.not-finished", "tunebook train resume="),
        ("", "bundle.not-found", "holds no bundle"),
        ("none", "bundle.not-found", "no such folder"),
    ):
        with user_error(code) as caught:
            find_bundle(str(tmp_path / folder))
        assert phrase in str(caught.value)


# A bundle never runs what it names.

CODE = "import pathlib; pathlib.Path({!r}).touch()\nclass Planted: pass\nPlantedConfig = Planted\n"


def plant(bundle: Path) -> Path:
    mark = bundle / "pwned"
    (bundle / "planted.py").write_text(CODE.format(str(mark)))
    return mark


CONFIG_MAP = {
    "AutoConfig": "planted.PlantedConfig",
    "AutoModelForSequenceClassification": "planted.Planted",
    "AutoModel": "planted.Planted",
}


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {"auto_map": CONFIG_MAP}),
        ("config.json", {"auto_map": CONFIG_MAP, "model_type": "planted"}),
        ("config.json", {"auto_map": CONFIG_MAP, "architectures": ["Planted"]}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["planted.Planted", "planted.Planted"]}}),
        (
            "tokenizer_config.json",
            {"auto_map": {"AutoTokenizer": ["planted.Planted", None]}, "tokenizer_class": "Planted"},
        ),
        ("tunebook.json", {"recipe": "os:system"}),
        ("tunebook.json", {"head": "planted:Planted"}),
        ("tunebook.json", {"options": {"_target_": "os.system", "command": "touch pwned"}}),
        (
            "tunebook.json",
            {"options": {"name": "review_sentiment", "descriptions": {"_target_": "os.system"}}},
        ),
        ("tunebook.json", {"_target_": "os.system"}),
    ],
)
@pytest.mark.parametrize("zero_shot", [False, True])
def test_code_that_a_bundle_names_is_not_run(
    file: str, values: dict[str, Any], zero_shot: bool, bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(bundle)
    mark = plant(bundle)
    if zero_shot:
        change(bundle / "tunebook.json", head="zero_shot")
    change(bundle / file, **values)
    with contextlib.suppress(UserError):
        open_bundle(bundle)
    assert not mark.exists() and not (bundle / "pwned").exists()


def test_a_zero_shot_bundle_predicts(minilm: str, tmp_path: Path):
    run = finished(tmp_path, f"model.name={minilm}", "adapt=none", labels=("negative", "positive"))
    manifest, _, classifier = open_bundle(run.bundle)
    assert manifest.head == "zero_shot" and set(manifest.options["descriptions"]) == {"negative", "positive"}
    rows = predictions(run)
    probabilities, answers = classifier.predict([row["text"] for row in rows])
    assert [classifier.labels[a] for a in answers] == [row["prediction"] for row in rows]
    assert [f"{p:.9g}" for p in probabilities[:, 1]] == [row["probability_positive"] for row in rows]
    assert not run.checkpoints.exists()
    assert "tunebook predict" in (run.bundle / "README.md").read_text()


def test_a_zero_shot_bundle_of_a_language_model_keeps_the_words_it_was_asked_with(tmp_path: Path):
    run = finished(tmp_path, "adapt=none", labels=("1", "5"))
    page = run.report.read_text(encoding="utf-8")
    assert ">untuned</th>" in page and ">tuned<" not in page
    manifest, _, classifier = open_bundle(run.bundle)
    assert manifest.head == "zero_shot" and manifest.options["descriptions"] == {"1": "1", "5": "5"}
    rows = predictions(run)
    probabilities, _ = classifier.predict([row["text"] for row in rows])
    assert probabilities[:, 1].tolist() == pytest.approx([float(row["probability_5"]) for row in rows], abs=1e-5)
    config = json.loads((run.bundle / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
