"""A recipe that is broken in one way fails the check that is meant for it, and no other."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunebook.testing import CHECKS, RecipeFailed, Status, Workshop, check_recipe, open_workshop

RECIPE = '''
from dataclasses import dataclass

from tunebook import SoftmaxHead, TextClassification, TextClassificationConfig


@dataclass
class DoorConfig(TextClassificationConfig):
    """Options."""

    shortest: int = 2
    """Texts of fewer words are rejected."""


class Door(TextClassification[DoorConfig]):
    """Whether a door is open."""

    Config = DoorConfig

    def invalid(self, row):
        return None if len(row["text"].split()) >= self.options.shortest else "is too short"
'''
PAGE = """# @package _global_
# Whether a door is open.
data:
  max_length: 16
recipe:
  name: doors
  descriptions: null
  shortest: 2
"""

# Each is a piece of code after the class, a text put in the place of another, or a text in the page.
BREAKS: dict[str, tuple[str, str]] = {
    "lazy": ("import torch\n", ""),
    "composes": ("", PAGE.replace("max_length: 16", "max_length: short")),
    "options": (RECIPE.replace('    """Texts of fewer words are rejected."""\n', ""), ""),
    "typo": ("", PAGE.replace("  shortest: 2\n", "").replace("data:", "defaults: [/doors@recipe, _self_]\ndata:")),
    "bad_rows": (
        """
    def columns(self, data):
        from tunebook.data.columns import Column
        return [Column("text", data.text, "data.text", "any", gaps=True), *super().columns(data)[1:]]

    def invalid(self, row):
        return None
""",
        "",
    ),
    "loss": (
        '''
    def head(self, labels):
        return NaiveHead(len(labels))


class NaiveHead(SoftmaxHead):
    """The logarithm of a probability that was rounded to 0."""

    def loss(self, logits, target):
        return -self.probabilities(logits).log().gather(1, target[:, None])[:, 0]
''',
        "",
    ),
    "overfits": (
        '''
    def head(self, labels):
        return Stubborn(len(labels))


class Stubborn(SoftmaxHead):
    """Learns, and always answers the first label."""

    def decide(self, probabilities):
        return probabilities.argmax(dim=-1) * 0
''',
        "",
    ),
    "trains": ('\n    watch = "f1"\n', ""),
    "save_load": (
        """
    def build_model(self, source, labels, config, encoded):
        model = super().build_model(source, labels, config, encoded)

        def sharper(module, inputs, outputs):
            outputs.logits = outputs.logits * 3 + 1
            return outputs

        model.register_forward_hook(sharper)
        return model
""",
        "",
    ),
    "metrics": (
        """
    def metrics(self, labels):
        from torchmetrics.classification import MulticlassAccuracy

        metrics = super().metrics(labels)
        metrics["accuracy"] = MulticlassAccuracy(len(labels), average="macro")
        return metrics
""",
        "",
    ),
    "labels": (
        """
    def open_bundle(self, folder, manifest):
        opened = super().open_bundle(folder, manifest)
        opened.labels = opened.labels[::-1]
        return opened
""",
        "",
    ),
    "plain": (
        '''
    def head(self, labels):
        patch()
        return super().head(labels)


def patch():
    """Change what a class of transformers computes, for this process alone."""
    from transformers import LlamaForSequenceClassification as model

    if not hasattr(model, "first"):
        model.first = model.forward

        def forward(self, *args, **kwargs):
            made = model.first(self, *args, **kwargs)
            made.logits = made.logits * 2 + 1
            return made

        model.forward = forward
''',
        "",
    ),
    "resume": (
        '''
    def head(self, labels):
        return Warming(len(labels))


class Warming(SoftmaxHead):
    """Counts its own batches; the count is in no checkpoint."""

    batches = 0

    def loss(self, logits, target):
        import torch

        if torch.is_grad_enabled():
            Warming.batches += 1
        smoothing = 0.3 / max(1, Warming.batches)
        return torch.nn.functional.cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)
''',
        "",
    ),
    "offline": (
        """
    def describe(self, labels):
        return list(labels)

    def check_labels(self, labels, data):
        import socket

        try:
            socket.create_connection(("statistics.invalid", 80), timeout=1)
        except OSError:
            pass
""",
        "",
    ),
}


def write_recipe(folder: Path, code: str = "", page: str = "") -> Path:
    """A private recipe in a folder; returns the folder that it lies in."""
    home = folder / "recipes" / "doors"
    (home / "conf" / "recipe").mkdir(parents=True)
    (home / "samples").mkdir()
    whole = code.startswith("\nfrom")
    top = code if code.startswith("import") else ""
    (home / "recipe.py").write_text(code if whole else top + RECIPE + ("" if top else code))
    (home / "conf" / "recipe" / "doors.yaml").write_text(page or PAGE)
    # The page of the mutation `typo` is in two parts.
    (home / "conf" / "doors.yaml").write_text("shortest: 2\n")
    for split, rows in (("train", 24), ("validation", 9), ("test", 13)):
        with (home / "samples" / f"{split}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "label"])
            for i in range(rows):  # an odd number of rows, so that labels differ in how many they have
                state = "open" if i % 3 else "shut"
                writer.writerow([f"the {split} door number {i} is {state} now", state])
    return folder / "recipes"


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    with open_workshop() as opened:
        yield opened


def test_the_unbroken_recipe_passes(tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(write_recipe(tmp_path)))
    outcomes = check_recipe("doors", workshop=workshop)
    assert {outcome.status for outcome in outcomes} == {Status.passed}


@pytest.mark.parametrize("check", CHECKS)
def test_a_broken_recipe_fails_the_check_meant_for_it(
    check: str, tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(write_recipe(tmp_path, *BREAKS[check])))
    with pytest.raises(RecipeFailed) as caught:
        check_recipe("doors", workshop=workshop)
    failed = {outcome.check: outcome.reason for outcome in caught.value.outcomes if outcome.status is Status.failed}
    assert list(failed) == [check], failed
    assert f"{check}: failed: " in str(caught.value)
