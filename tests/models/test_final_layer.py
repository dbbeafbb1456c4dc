"""A final layer that comes with the weights goes by the names of its labels, not by their places."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertForSequenceClassification

from tests.conftest import BAD, GOOD, THINGS, Tunebook
from tunebook.models.source import STARTERS

STARTER = STARTERS / "starter_text"
LABELS = ("bad", "good", "neutral")


def theirs(folder: Path, labels: Sequence[str]) -> tuple[BertForSequenceClassification, Path]:
    """A model of other people's: each label's row of the final layer is told apart by its numbers."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    names = {"id2label": dict(enumerate(labels)), "label2id": {n: i for i, n in enumerate(labels)}}
    model = BertForSequenceClassification(
        BertConfig(vocab_size=len(tokenizer), num_labels=len(labels), **small, **names)
    )
    with torch.no_grad():
        model.classifier.bias.copy_(torch.arange(1.0, len(labels) + 1))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, folder


def rows(path: Path, labels: Sequence[str], count: int = 60) -> Path:
    draw = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for i in range(count):
            word = draw.choice([*GOOD, *BAD])
            writer.writerow([f"{word} {draw.choice(THINGS)} {draw.randrange(10_000)} {i}", labels[i % len(labels)]])
    return path


def trained(tmp_path: Path, tunebook: Tunebook, model: Path, labels: Sequence[str]) -> tuple[str, Path]:
    """A run that learns next to nothing: what its model answers is what it began with."""
    run = tmp_path / "run"
    given = [f"data.train={rows(tmp_path / 'rows.csv', labels)}", "data.label=label", "data.max_length=32"]
    still = ["trainer.max_steps=1", "optim.lr=1e-12", "optim.weight_decay=0", "evaluation.zero_shot=false"]
    done = tunebook("train", "recipe=review_sentiment", *given, *still, f"model.name={model}", f"run_dir={run}")
    assert done.returncode == 0, done.stderr
    return done.stdout, run / "model"


@pytest.mark.parametrize("order", [("neutral", "good", "bad"), ("GOOD", "Bad", "Neutral"), LABELS])
def test_rows_go_to_the_labels_that_they_are_of(tmp_path: Path, tunebook: Tunebook, order: Sequence[str]) -> None:
    model, folder = theirs(tmp_path / "theirs", order)
    said, bundle = trained(tmp_path, tunebook, folder, LABELS)
    assert "final layer: taken over with its labels" in said
    assert ("whose order was" in said) == (tuple(order) != LABELS)
    made = AutoModelForSequenceClassification.from_pretrained(bundle)
    assert [made.config.id2label[i] for i in range(3)] == list(LABELS)
    tokenizer = AutoTokenizer.from_pretrained(bundle)
    inputs = tokenizer(["great lamp, awful rug"], return_tensors="pt")
    with torch.no_grad():
        before, after = (
            m.eval()(**{k: inputs[k] for k in ("input_ids", "attention_mask")}).logits[0] for m in (model, made)
        )
    by_name = {model.config.id2label[i].lower(): float(before[i]) for i in range(3)}
    for i, name in enumerate(LABELS):
        assert float(after[i]) == pytest.approx(by_name[name], abs=1e-5), name


@pytest.mark.parametrize("labels", [("LABEL_0", "LABEL_1", "LABEL_2"), ("joy", "anger", "fear")])
def test_a_final_layer_of_other_labels_is_made_anew(tmp_path: Path, tunebook: Tunebook, labels: Sequence[str]) -> None:
    model, folder = theirs(tmp_path / "theirs", labels)
    said, bundle = trained(tmp_path, tunebook, folder, LABELS)
    assert f"final layer: new, as that of the model has other labels: {', '.join(labels)}" in said
    made = AutoModelForSequenceClassification.from_pretrained(bundle)
    assert not torch.allclose(made.classifier.weight, model.classifier.weight, atol=1e-3)
    assert float(made.classifier.weight.detach().std()) == pytest.approx(0.02, rel=0.4)  # as BERT begins
