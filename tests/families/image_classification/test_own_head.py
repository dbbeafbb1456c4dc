"""An image recipe's own head is what trains and answers: its loss, its probabilities, its decision, everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from numpy.typing import NDArray

from tests.diagnosed import SMALL, read_table, write_patients, write_table
from tunebook.bundle.read import open_bundle
from tunebook.cli.predict import predict_command
from tunebook.cli.train import train_command
from tunebook.composing.command import register_schemas
from tunebook.composing.search_path import register_search_path
from tunebook.plugins.failures import recipe_failure
from tunebook.run_folder import RunFolder
from tunebook.testing import Status, Workshop, check_recipe

RECIPE = '''
from dataclasses import dataclass

from tunebook import ImageClassification, ImageClassificationConfig


@dataclass
class TriageConfig(ImageClassificationConfig):
    """Options."""

    miss_cost: float = 5.0
    """What a missed finding costs against a false alarm."""


class Triage(ImageClassification[TriageConfig]):
    """Whom to look at again: a miss costs more than a false alarm."""

    Config = TriageConfig

    def head(self, labels):
        from .head import TriageHead

        return TriageHead(len(labels), list(labels).index("ill"), self.options.miss_cost)

    def metrics(self, labels):
        from .head import Cost

        metrics = super().metrics(labels)
        metrics.add_metrics({"cost": Cost(list(labels).index("ill"))})
        return metrics
'''
HEAD = '''
import torch
import torchmetrics

from tunebook import SoftmaxHead


class TriageHead(SoftmaxHead):
    kind = "triage"

    def __init__(self, labels, ill, cost):
        super().__init__(labels)
        self.ill, self.cost = ill, cost

    def loss(self, logits, target):
        if self.cost <= 0:
            raise ValueError("a miss must cost something")
        return super().loss(logits, target) * torch.where(target == self.ill, self.cost, 1.0)

    def decide(self, probabilities):
        ill = probabilities[:, self.ill]
        return torch.where(ill * self.cost >= 1 - ill, self.ill, 1 - self.ill)


class Cost(torchmetrics.Metric):
    """The mean of how surely a row with a finding is told to have none."""

    higher_is_better = False

    def __init__(self, ill):
        super().__init__()
        self.ill = ill
        self.add_state("missed", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("rows", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds, target):
        self.missed += (1 - preds[target == self.ill, self.ill].double()).sum()
        self.rows += (target == self.ill).sum()

    def compute(self):
        return self.missed / self.rows
'''
PAGE = """# @package _global_
# Whom to look at again.
defaults:
  - /family/image_classification@recipe
  - override /model: starter_image
  - _self_
data:
  image: path
recipe:
  name: triage
  miss_cost: 5.0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("triage")
    home = made / "recipes" / "triage"
    (home / "conf" / "recipe").mkdir(parents=True)
    (home / "recipe.py").write_text(RECIPE)
    (home / "head.py").write_text(HEAD)
    (home / "conf" / "recipe" / "triage.yaml").write_text(PAGE)
    for split, patients, seed in (("train", 40, 0), ("validation", 16, 500), ("test", 24, 900)):
        write_table(made / f"{split}.csv", write_patients(made / split, patients, seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEBOOK_RECIPES", str(made / "recipes"))
        yield made


def rows(folder: Path) -> list[str]:
    return [f"data.{split}={folder / split}.csv" for split in ("train", "validation", "test")]


def trained(folder: Path, name: str, *overrides: str) -> RunFolder:
    given = ["recipe=triage", *SMALL[1:], *rows(folder), f"data.cache_dir={folder / 'cache'}", "recipe.augment=false"]
    given += ["trainer.max_epochs=6"]
    given += [*overrides, f"run_dir={folder / name}"]
    GlobalHydra.instance().clear()
    register_schemas()
    register_search_path(given)
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        config = compose("train", overrides=given)
    train_command(config, str(folder / name))
    return RunFolder(folder / name)


@pytest.fixture(scope="module")
def run(folder: Path) -> RunFolder:
    return trained(folder, "run")


def ill_of(run: RunFolder) -> tuple[NDArray[np.float64], list[dict[str, str]]]:
    table = read_table(run.predictions)
    return np.array([float(row["probability_ill"]) for row in table]), table


def weights(run: RunFolder) -> bytes:
    return (run.bundle / "model.safetensors").read_bytes()


def test_another_cost_makes_other_weights(folder: Path, run: RunFolder) -> None:
    dear = trained(folder, "dear", "recipe.miss_cost=1000")
    assert weights(dear) != weights(run)
    assert weights(trained(folder, "again")) == weights(run), "and the same cost the same"


def test_the_heads_decision_is_the_answer_and_is_what_is_scored(run: RunFolder) -> None:
    ill, table = ill_of(run)
    decided = np.where(ill * 5 >= 1 - ill, "ill", "normal")
    assert [row["prediction"] for row in table] == decided.tolist()
    assert (decided != np.where(ill >= 0.5, "ill", "normal")).any(), "the likelier label would be another answer"
    truth = np.array([row["truth"] for row in table])
    found = json.loads(run.metrics.read_text())
    assert found["test"]["accuracy"]["value"] == pytest.approx((decided == truth).mean())
    cost = found["test"]["cost"]
    assert cost["value"] == pytest.approx((1 - ill[truth == "ill"]).mean(), abs=1e-6) and not cost["higher_is_better"]
    assert cost["low"] < cost["value"] < cost["high"]
    assert {"accuracy", "balanced_accuracy", "cost", "auroc"} <= set(found["differences"]["shares"])


def test_predict_answers_as_the_head_decides(folder: Path, run: RunFolder) -> None:
    output = folder / "answers.csv"
    predict_command([str(run.path), str(folder / "test.csv"), "-o", str(output), "--accelerator", "cpu", "--overwrite"])
    assert [row["prediction"] for row in read_table(output)] == [row["prediction"] for row in ill_of(run)[1]]
    manifest, _, classifier = open_bundle(run.bundle)
    assert manifest.head == "triage" and type(classifier.head).__name__ == "TriageHead"
    assert "recipe's own rule" in (run.bundle / "README.md").read_text(encoding="utf-8")


def test_a_head_that_raises_ends_the_run_with_its_line(folder: Path) -> None:
    with pytest.raises(ValueError, match="must cost something") as caught:
        trained(folder, "free", "recipe.miss_cost=0")
    failure = recipe_failure(caught.value)
    line = HEAD.splitlines().index('            raise ValueError("a miss must cost something")') + 1
    assert failure is not None and str(failure.where).endswith(f"triage/head.py:{line}")
    assert "failed in its `loss`: ValueError" in failure.what


def test_a_focal_loss_reaches_an_own_loss_that_builds_on_the_familys(folder: Path, run: RunFolder) -> None:
    assert weights(trained(folder, "focal", "recipe.imbalance=focal")) != weights(run)


def test_it_passes_every_check(folder: Path, workshop: Workshop) -> None:
    outcomes = check_recipe("triage", ["recipe.size=32", *rows(folder)], workshop=workshop)
    assert {outcome.status for outcome in outcomes} == {Status.passed}
