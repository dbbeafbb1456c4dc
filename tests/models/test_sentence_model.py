"""Sentence encoders are read as their folders say; sentence-transformers opens what becomes of them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from tests.conftest import Tunebook, write_reviews
from tests.encoded import opened, write_encoder
from tests.user_error import user_error
from tunebook.models.sentence_model import SentenceModel, find_pooling

TEXTS = ["A short one.", "A text of more words than the other, so that the other is padded beside it.", "Broken!"]


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("mode", ["mean", "cls", "max", "lasttoken"])
def test_features_are_those_of_sentence_transformers(tmp_path: Path, mode: str, normalize: bool) -> None:
    folder = write_encoder(tmp_path / "encoder", mode, normalize)
    pooling, why = find_pooling(folder)
    assert pooling is not None and (pooling.mode, pooling.normalize, why) == (mode, normalize, "")
    model = SentenceModel(AutoModel.from_pretrained(folder), pooling).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.padding_side = "right"
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        features = model.features(inputs["attention_mask"], input_ids=inputs["input_ids"])
    np.testing.assert_allclose(features.numpy(), opened(folder).encode(TEXTS), atol=1e-5)


def test_an_older_folder_names_the_modes_one_by_one(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "encoder")
    older = {"word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(older))
    pooling, _ = find_pooling(folder)
    assert pooling is not None and pooling.mode == "cls"


def test_a_folder_without_modules_is_no_sentence_encoder(tmp_path: Path) -> None:
    assert find_pooling(write_encoder(tmp_path / "encoder").with_name("encoder-plain")) == (None, "")


def few(tmp_path: Path, model: Path) -> list[str]:
    rows = write_reviews(tmp_path / "rows.csv", 60)
    given = [f"data.train={rows}", "data.label=label", f"model.name={model}", "evaluation.zero_shot=false"]
    return ["recipe=review_sentiment", *given, "evaluation.resamples=20", "trainer.progress=false", "trainer=cpu"]


@pytest.mark.parametrize(
    "given", [["adapt=head", "data.max_length=6"], ["adapt=full", "trainer.max_steps=3"], ["adapt=contrastive"]]
)
def test_the_bundle_opens_in_sentence_transformers_to_the_same_answers(
    tmp_path: Path, tunebook: Tunebook, given: list[str]
) -> None:
    model = write_encoder(tmp_path / "encoder")
    trained = tunebook("train", *few(tmp_path, model), *given, f"run_dir={tmp_path / 'run'}")
    assert trained.returncode == 0, trained.stderr
    bundle = tmp_path / "run" / "model"
    theirs = opened(bundle)  # the five lines of the card
    logits = theirs.encode(TEXTS)
    labels = theirs[0].auto_model.config.id2label
    (tmp_path / "new.csv").write_text("text\n" + "".join(f'"{text}"\n' for text in TEXTS))
    done = tunebook("predict", str(bundle), str(tmp_path / "new.csv"), "-o", str(tmp_path / "answers.csv"))
    assert done.returncode == 0, done.stderr
    with (tmp_path / "answers.csv").open() as stream:
        answers = list(csv.DictReader(stream))
    assert [labels[int(i)] for i in logits.argmax(1)] == [row["prediction"] for row in answers]
    expected = torch.tensor(logits).softmax(1).max(1).values.numpy()
    said = [max(float(row["probability_bad"]), float(row["probability_good"])) for row in answers]
    np.testing.assert_allclose(said, expected, atol=1e-4)
    assert "SentenceTransformer(" in (bundle / "README.md").read_text()


def test_a_bundle_is_tuned_further_with_its_final_layer(tmp_path: Path, tunebook: Tunebook) -> None:
    first = few(tmp_path, write_encoder(tmp_path / "encoder"))
    tunebook("train", *first, "adapt=head", f"run_dir={tmp_path / 'run'}")
    again = tunebook("check", *few(tmp_path, tmp_path / "run" / "model"), "data.labels=[good,bad]")
    assert again.returncode == 0, again.stderr
    assert "taken over with its labels, whose order was bad, good" in again.stdout


def test_modules_that_are_not_known_are_told(tmp_path: Path, tunebook: Tunebook) -> None:
    model = write_encoder(tmp_path / "encoder", dense=True)
    checked = tunebook("check", *few(tmp_path, model))
    assert checked.returncode == 0, checked.stderr
    assert "modules.json lists Transformer, Pooling, Dense, Normalize" in checked.stdout
    refused = tunebook("check", *few(tmp_path, model), "adapt=contrastive")
    assert refused.returncode == 2 and "modules.json lists Transformer, Pooling, Dense, Normalize" in refused.stderr


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}', "[]", '[{"type": "x.Transformer"}]', "null"])
def test_damaged_modules_are_one_message(tmp_path: Path, text: str) -> None:
    folder = write_encoder(tmp_path / "encoder")
    (folder / "modules.json").write_text(text)
    if text == "[]":
        assert find_pooling(folder) == (None, "modules.json lists ")
        return
    with user_error("model.damaged-config"):
        find_pooling(folder)


def test_a_missing_pooling_is_one_message(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "encoder")
    shutil.rmtree(folder / "1_Pooling")
    with user_error("model.damaged-config"):
        find_pooling(folder)


@pytest.mark.parametrize("given", ["optim.name=sgd", "optim.weight_decay=0.1", "trainer.max_steps=2"])
def test_what_is_set_for_steps_is_heeded(tmp_path: Path, tunebook: Tunebook, given: str) -> None:
    typed = [*few(tmp_path, write_encoder(tmp_path / "encoder")), "adapt=head", "trainer.rehearse=false"]
    solved = tunebook("train", *typed, f"run_dir={tmp_path / 'solved'}")
    assert "no steps: the final layer is solved" in solved.stdout, solved.stderr
    trained = tunebook("train", *typed, given, f"run_dir={tmp_path / 'trained'}")
    assert trained.returncode == 0 and "no steps" not in trained.stdout, trained.stderr
