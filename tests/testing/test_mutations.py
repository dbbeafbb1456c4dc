"""A recipe that is broken in one way fails the check that is meant for it, and no other."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tunebook.testing import CHECKS, RecipeFailed, Status, Workshop, check_recipe, verify_recipe

RECIPE = '''
from dataclasses import dataclass

from tunebook import TextClassification, TextClassificationConfig


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
  calibrate: true
  shortest: 2
"""


@dataclass(frozen=True)
class Break:
    """One way to break the recipe: code in its class or above it, another class, another page, a head of its own."""

    inside: str = ""
    above: str = ""
    recipe: str = RECIPE
    page: str = PAGE
    head: str = ""


OWN_HEAD = """
    def head(self, labels):
        from .head import OwnHead

        return OwnHead(len(labels))
"""

BREAKS: dict[str, Break] = {
    "lazy": Break(above="import torch\n"),
    "composes": Break(page=PAGE.replace("max_length: 16", "max_length: short")),
    "options": Break(recipe=RECIPE.replace('    """Texts of fewer words are rejected."""\n', "")),
    # Half of the options are on another page, where a misspelt key is not looked for.
    "typo": Break(
        page=PAGE.replace("  shortest: 2\n", "").replace("data:", "defaults: [/doors@recipe, _self_]\ndata:")
    ),
    # Of a text of one word there is no second.
    "bad_rows": Break("""
    def invalid(self, row):
        return None if row["text"].split()[1] else "has an empty second word"
"""),
    # Validation goes another way than the head's.
    "head": Break(
        OWN_HEAD,
        head="""
    def measure(self, metrics, logits, losses, batch):
        from tunebook.statistics.metrics import update_metrics

        update_metrics(metrics, logits.softmax(-1), logits.argmax(-1), batch["target"])
""",
    ),
    # A probability that was rounded to 0 has no logarithm.
    "loss": Break(
        OWN_HEAD,
        head="""
    def loss(self, logits, target):
        return -self.probabilities(logits).log().gather(1, target[:, None])[:, 0]
""",
    ),
    # It learns, and always answers the first label.
    "overfits": Break(
        OWN_HEAD,
        head="""
    def decide(self, probabilities):
        return probabilities.argmax(dim=-1) * 0
""",
    ),
    # The mean of the batches' means: another number for batches of another size.
    "invariance": Break(
        """
    def metrics(self, labels):
        from .head import MeanOfMeans

        metrics = super().metrics(labels)
        metrics.add_metrics({"mean_of_means": MeanOfMeans()})
        return metrics
""",
        head="""
    pass


class MeanOfMeans(torchmetrics.Metric):
    higher_is_better = True

    def __init__(self):
        super().__init__()
        self.add_state("means", [], dist_reduce_fx="cat")

    def update(self, preds, target):
        self.means.append((preds.argmax(1) == target).float().mean()[None])

    def compute(self):
        return torchmetrics.utilities.dim_zero_cat(self.means).mean()
""",
    ),
    "trains": Break('    watch = "f1"\n'),
    # What is hung on the model is not saved with it.
    "save_load": Break(
        OWN_HEAD,
        head="""
    def forward(self, model, batch):
        last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
        if torch.is_grad_enabled() and not hasattr(last, "hung"):
            last.hung = last.register_forward_hook(lambda module, inputs, outputs: outputs * 3 + 1)
        return super().forward(model, batch)
""",
    ),
    # One name for another number.
    "metrics": Break("""
    def metrics(self, labels):
        from torchmetrics.classification import MulticlassAccuracy

        metrics = super().metrics(labels)
        metrics["accuracy"] = MulticlassAccuracy(len(labels), average="macro")
        return metrics
"""),
    # It answers otherwise where `predict` asks.
    "labels": Break(
        OWN_HEAD,
        head="""
    def decide(self, probabilities):
        import traceback

        asked = any(frame.name == "predict_command" for frame in traceback.extract_stack())
        likeliest = probabilities.argmax(dim=-1)
        return 1 - likeliest if asked else likeliest
""",
    ),
    # What a class of transformers computes is changed, where this recipe is imported and nowhere else.
    "plain": Break("""
    def head(self, labels):
        from transformers import LlamaForSequenceClassification as Model

        if not hasattr(Model, "first"):
            Model.first = Model.forward
            Model.forward = scaled
        return super().head(labels)


def scaled(self, *args, **kwargs):
    made = self.first(*args, **kwargs)
    made.logits = made.logits * 2 + 1
    return made
"""),
    # A count that shapes the loss, and is in no checkpoint.
    "resume": Break(
        OWN_HEAD,
        head="""
    batches = 0

    def loss(self, logits, target):
        OwnHead.batches += torch.is_grad_enabled()
        smoothing = 0.3 / max(1, OwnHead.batches)
        return torch.nn.functional.cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)
""",
    ),
    # Statistics of use, sent in silence.
    "offline": Break("""
    def check_labels(self, labels, data):
        import socket

        try:
            socket.create_connection(("statistics.invalid", 80), timeout=1)
        except OSError:
            pass
"""),
}


FIRST = {"lazy", "composes", "options", "typo"}
BENCH = {*FIRST, "bad_rows", "loss", "overfits", "invariance"}
RUN = {*BENCH, "head", "trains", "save_load", "metrics", "labels"}
REACHED: dict[str, set[str]] = {
    **dict.fromkeys(FIRST, FIRST),
    **dict.fromkeys(("bad_rows", "loss", "overfits"), BENCH),
    **dict.fromkeys(("metrics", "labels"), RUN),
    "plain": RUN | {"plain"},
}
"""The checks up to those that look at the same thing, where all others would pass after them; else every check."""


def write_recipe(folder: Path, broken: Break) -> Path:
    """A private recipe in a folder; returns the folder that it lies in."""
    home = folder / "recipes" / "doors"
    (home / "conf" / "recipe").mkdir(parents=True)
    (home / "samples").mkdir()
    (home / "recipe.py").write_text(broken.above + broken.recipe + broken.inside)
    head = "import torch\nimport torchmetrics\n\nfrom tunebook import SoftmaxHead\n\n\nclass OwnHead(SoftmaxHead):"
    (home / "head.py").write_text(f"{head}{broken.head or 'pass'}")
    (home / "conf" / "recipe" / "doors.yaml").write_text(broken.page)
    (home / "conf" / "doors.yaml").write_text("shortest: 2\n")
    for split, rows in (("train", 24), ("validation", 9), ("test", 13)):
        with (home / "samples" / f"{split}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "label"])
            for i in range(rows):  # an odd number of rows, so that labels differ in how many they have
                state = "open" if i % 3 else "shut"
                writer.writerow([f"the {split} door number {i} is {state} now", state])
    return folder / "recipes"


def test_the_unbroken_recipe_passes(tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(write_recipe(tmp_path, Break())))
    outcomes = check_recipe("doors", workshop=workshop)
    assert {outcome.status for outcome in outcomes} == {Status.passed}


@pytest.mark.parametrize("check", CHECKS)
def test_a_broken_recipe_fails_the_check_meant_for_it(
    check: str, tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(write_recipe(tmp_path, BREAKS[check])))
    with pytest.raises(RecipeFailed) as caught:
        check_recipe("doors", only=REACHED.get(check, ()), workshop=workshop)
    failed = {outcome.check: outcome.reason for outcome in caught.value.outcomes if outcome.status is Status.failed}
    assert list(failed) == [check], failed
    assert f"{check}: failed: " in str(caught.value)


@pytest.mark.parametrize(
    ("head", "phrase"),
    [
        (
            "    def loss(self, logits, target):\n        return torch.nn.functional.cross_entropy(logits, target)\n",
            "its `loss` of 5 rows gives a single number; ",
        ),
        (
            "    def probabilities(self, logits):\n        return logits.sigmoid()\n",
            "its `probabilities` of a row add up to ",
        ),
        (
            "    def decide(self, probabilities):\n        return probabilities.argmax(-1).float()\n",
            "of the type float32",
        ),
    ],
)
def test_a_head_of_another_form_fails_the_check_of_the_head_alone(
    head: str, phrase: str, tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(write_recipe(tmp_path, Break(OWN_HEAD, head=f"\n{head}"))))
    told = {o.check: o for o in verify_recipe("doors", workshop=workshop)}
    assert [check for check, o in told.items() if o.status is Status.failed] == ["head"]
    assert told["trains"].reason == told["loss"].reason == "it needs head"
    for each in (phrase, "of its head OwnHead", "doors/head.py:8"):
        assert each in told["head"].reason


@pytest.mark.parametrize(
    ("inside", "only", "check", "phrases"),
    [
        ("    def describe(self, labels):\n        return ['ajar']\n", "loss", "loss", ["1 texts for 2 labels"]),
        ("    def invalid(self, row):\n        return 5\n", "bad_rows", "bad_rows", ["`invalid` returned 5"]),
        ("    def columns(self, data):\n        return 'text'\n", "loss", "composes", ["`columns` returned 'text'"]),
        (
            "    def samples(self, cache_dir):\n        return nowhere\n",
            "loss",
            "composes",
            ["NameError: name 'nowhere'"],
        ),
    ],
)
def test_what_breaks_the_contract_is_told_with_the_recipes_own_line(
    inside: str,
    only: str,
    check: str,
    phrases: list[str],
    tmp_path: Path,
    workshop: Workshop,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(write_recipe(tmp_path, Break(inside))))
    told = {o.check: o for o in verify_recipe("doors", only={only, "composes"}, workshop=workshop)}
    assert told[check].status is Status.failed and not told[only].good
    line = len(RECIPE.splitlines()) + (2 if "nowhere" in inside else 1)
    for phrase in [*phrases, f"doors/recipe.py:{line}"]:
        assert phrase in told[check].reason
