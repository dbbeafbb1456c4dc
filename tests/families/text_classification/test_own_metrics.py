"""A recipe's own metrics of probabilities: what is published of them is what scikit-learn makes of the same answers."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score

from tunebook.cli.train import train_command
from tunebook.composing.command import register_schemas
from tunebook.composing.search_path import register_search_path
from tunebook.plugins import load_recipe_class
from tunebook.report.files import read_predictions
from tunebook.run_folder import RunFolder
from tunebook.statistics.metric_outcome import metric_outcomes
from tunebook.statistics.predictions import Predictions

RECIPE = '''
from tunebook import TextClassification, TextClassificationConfig


class Intents(TextClassification[TextClassificationConfig]):
    """Which of many intents a message has."""

    Config = TextClassificationConfig
    watch = "top_three"

    def metrics(self, labels):
        from torchmetrics.classification import MulticlassAccuracy

        from .own import LogLoss, TopThree

        metrics = super().metrics(labels)
        size = len(labels)
        metrics.add_metrics({"top_three": TopThree(), "theirs": MulticlassAccuracy(size, top_k=3, average="micro")})
        metrics.add_metrics({"log_loss": LogLoss()})
        return metrics
'''
OWN = """
import torch
from torchmetrics import Metric


class TopThree(Metric):
    higher_is_better = True

    def __init__(self):
        super().__init__()
        self.add_state("right", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("rows", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds, target):
        self.right += (preds.topk(3, dim=-1).indices == target[:, None]).any(dim=-1).sum()
        self.rows += len(target)

    def compute(self):
        return self.right / self.rows


class LogLoss(Metric):
    higher_is_better = False

    def __init__(self):
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("rows", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds, target):
        self.total += -preds.gather(1, target[:, None]).log().double().sum()
        self.rows += len(target)

    def compute(self):
        return self.total / self.rows
"""
PAGE = """# @package _global_
# Which of many intents a message has.
data:
  max_length: 24
recipe:
  name: intents
  descriptions: null
"""
INTENTS = {
    "card_arrival": "card arrive post waiting delivery",
    "lost_card": "lost stolen missing card block",
    "exchange_rate": "rate currency exchange euros dollars",
    "top_up": "top up add money balance",
    "pin_blocked": "pin blocked wrong code tries",
    "refund": "refund return money back shop",
    "cash_withdrawal": "cash machine withdraw notes atm",
    "transfer_fee": "fee charged transfer extra cost",
}


def write_messages(path: Path, each: int, seed: int) -> Path:
    """Messages of two words of their intent and three of any."""
    draw, anything = random.Random(seed), [word for words in INTENTS.values() for word in words.split()]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for number in range(each):
            for intent, words in INTENTS.items():
                said = [*draw.sample(words.split(), 2), *draw.sample(anything, 3), f"n{seed}{number}{intent}"]
                writer.writerow([" ".join(said), intent])
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    folder = tmp_path_factory.mktemp("intents")
    home = folder / "recipes" / "intents"
    (home / "conf" / "recipe").mkdir(parents=True)
    (home / "recipe.py").write_text(RECIPE)
    (home / "own.py").write_text(OWN)
    (home / "conf" / "recipe" / "intents.yaml").write_text(PAGE)
    overrides = [
        "recipe=intents",
        f"data.train={write_messages(folder / 'train.csv', 12, 1)}",
        f"data.test={write_messages(folder / 'test.csv', 6, 2)}",
        f"data.cache_dir={folder / 'cache'}",
        *("data.batch_size=16", "trainer=cpu", "trainer.max_epochs=4", "trainer.progress=false", "adapt=head"),
        *("evaluation.resamples=50", "evaluation.zero_shot=false", "logger=csv", f"run_dir={folder / 'run'}"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEBOOK_RECIPES", str(folder / "recipes"))
        GlobalHydra.instance().clear()
        register_schemas()
        register_search_path(overrides)
        with initialize_config_module("tunebook.conf", version_base="1.3"):
            config = compose("train", overrides=overrides)
        train_command(config, str(folder / "run"))
        yield RunFolder(folder / "run")


def answers(run: RunFolder) -> tuple[list[str], NDArray[np.float64], list[dict[str, str]]]:
    """Truth, probabilities and the whole rows of predictions.csv."""
    with run.predictions.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    found = np.array([[float(row[f"probability_{intent}"]) for intent in sorted(INTENTS)] for row in rows])
    return [row["truth"] for row in rows], found / found.sum(axis=1, keepdims=True), rows


def test_own_metrics_are_what_scikit_learn_makes_of_the_predictions(run: RunFolder) -> None:
    scores = json.loads(run.metrics.read_text())["test"]
    truth, found, rows = answers(run)
    intents = sorted(INTENTS)
    expected = {
        "top_three": top_k_accuracy_score(truth, found, k=3, labels=intents),
        "theirs": top_k_accuracy_score(truth, found, k=3, labels=intents),
        "log_loss": log_loss(truth, found, labels=intents),
        "accuracy": accuracy_score(truth, [row["prediction"] for row in rows]),
    }
    for name, value in expected.items():
        assert scores[name]["value"] == pytest.approx(value, abs=1e-5), name
        assert scores[name]["low"] < value < scores[name]["high"] and scores[name]["n"] == len(rows) == 48
    assert expected["accuracy"] < expected["top_three"] < 1, "the rows tell one from the other"
    assert scores["log_loss"]["higher_is_better"] is False


def test_own_metrics_are_compared_with_the_baseline_and_have_a_verdict(run: RunFolder) -> None:
    found = json.loads(run.metrics.read_text())
    difference = found["differences"]["majority"]
    assert {"top_three", "theirs", "log_loss", "accuracy", "macro_f1"} == set(difference)
    gap = found["test"]["top_three"]["value"] - found["baselines"]["majority"]["top_three"]["value"]
    assert difference["top_three"]["value"] == pytest.approx(gap)
    assert difference["top_three"]["low"] < gap < difference["top_three"]["high"]
    page = run.report.read_text(encoding="utf-8")
    assert "Top three" in page and "not compared row by row" not in page


def test_validation_measures_what_testing_does(run: RunFolder) -> None:
    """The best validation score that the run was chosen by is a share of the validation rows."""
    with (run.path / "logs" / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        seen = [float(row["validation/top_three"]) for row in csv.DictReader(stream) if row.get("validation/top_three")]
    assert max(seen) > 0.5 and min(seen) >= 0, "of answers in place of probabilities it would be near 3 of 8"


def test_compare_reads_own_metrics_back_from_the_file(run: RunFolder) -> None:
    recipe_class = load_recipe_class("intents")
    metrics = dict(recipe_class(recipe_class.Config(name="intents")).metrics(sorted(INTENTS)).items(keep_base=True))
    truth, found, rows = answers(run)
    intents = sorted(INTENTS)
    asked = Predictions(
        tuple(intents),
        np.array([intents.index(each) for each in truth]),
        np.full(found.shape, 1 / len(intents)),
        np.zeros(len(truth), dtype=np.int64),
        [row["file"] for row in rows],
        [int(row["line"]) for row in rows],
        [row["text"] for row in rows],
    )
    scores = json.loads(run.metrics.read_text())["test"]
    for name in ("top_three", "log_loss", "accuracy"):
        (outcome,) = metric_outcomes(metrics[name], [read_predictions(run.predictions, asked)])
        value = outcome.scores(np.ones((1, outcome.units), dtype=np.int64))[0]
        assert value == pytest.approx(scores[name]["value"], abs=1e-5), name
