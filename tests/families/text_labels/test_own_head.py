"""A recipe of one's own: its columns, and a head with another loss, or with a rule in place of thresholds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.topical import SAMPLES, finished_topics, rows_of
from tests.user_error import user_error
from tunebook.cli.predict import predict_command

RECIPE = '''
from dataclasses import dataclass

import torch

from tunebook import FindingsHead, LabelsHead, SoftmaxHead, TextLabels, TextLabelsConfig


@dataclass
class TwoTopicsConfig(TextLabelsConfig):
    """Options of two_topics."""

    kind: str = "costly"
    """Which head."""


class Costly(LabelsHead):
    """A label that is missed costs more."""

    kind = "costly"

    def loss(self, logits, target):
        weight = torch.full((self.outputs,), 3.0, device=logits.device)
        return torch.nn.functional.binary_cross_entropy_with_logits(
            logits, target.float(), pos_weight=weight, reduction="none"
        ).mean(1)


class TheLikeliest(FindingsHead):
    """Always one label."""

    kind = "likeliest"

    def decide(self, probabilities):
        return torch.nn.functional.one_hot(probabilities.argmax(1), self.outputs)


class TwoTopics(TextLabels[TwoTopicsConfig]):
    """Two topics of reviews."""

    Config = TwoTopicsConfig

    @property
    def own_topics(self):
        return ("fit", "price")

    def head(self, labels):
        heads = {"costly": Costly, "likeliest": TheLikeliest, "softmax": SoftmaxHead}
        return heads[self.options.kind](len(labels))
'''
PAGE = """# @package _global_
# Two topics.

defaults:
  - /family/text_labels@recipe
  - _self_

recipe:
  name: two_topics
  kind: costly
"""


@pytest.fixture(scope="module", autouse=True)
def two_topics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("recipes") / "two_topics"
    (folder / "conf/recipe").mkdir(parents=True)
    (folder / "recipe.py").write_text(RECIPE, encoding="utf-8")
    (folder / "conf/recipe/two_topics.yaml").write_text(PAGE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEBOOK_RECIPES", str(folder))
        yield folder


def given() -> list[str]:
    rows = [f"data.{split}={SAMPLES / f'{split}.csv'}" for split in ("train", "validation", "test")]
    return [*rows, "trainer.max_steps=2"]


def test_a_head_with_a_loss_of_its_own_has_thresholds(tmp_path: Path) -> None:
    run = finished_topics(tmp_path, *given(), recipe="two_topics")
    kept = json.loads((run.bundle / "tunebook.json").read_text(encoding="utf-8"))
    assert (kept["head"], kept["labels"]) == ("costly", ["fit", "price"])
    assert set(kept["several"]["chosen"]["thresholds"]) == {"fit", "price"}


def test_a_head_with_a_rule_of_its_own_has_none(tmp_path: Path) -> None:
    run = finished_topics(tmp_path, *given(), "recipe.kind=likeliest", recipe="two_topics")
    kept = json.loads((run.bundle / "tunebook.json").read_text(encoding="utf-8"))
    assert kept["several"]["chosen"] is None
    assert {row["prediction"] for row in rows_of(run.predictions)} <= {"fit", "price"}
    assert "decides by a rule of its own" in run.report.read_text(encoding="utf-8")
    predict_command([str(run.path), str(SAMPLES / "test.csv"), "-o", str(tmp_path / "answers.csv")])
    answers = [row["prediction"] for row in rows_of(tmp_path / "answers.csv")]
    assert answers == [row["prediction"] for row in rows_of(run.predictions)]


def test_a_head_of_one_label_is_refused(tmp_path: Path) -> None:
    with user_error("recipe.broken-contract", match="multilabel is False, and rows may have several labels"):
        finished_topics(tmp_path, *given(), "recipe.kind=softmax", recipe="two_topics")
