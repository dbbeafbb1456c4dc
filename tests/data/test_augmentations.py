"""Augmentation of one's own: what it is given, what it must return, and where it may be named."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import write_reviews
from tests.training.composing import composed
from tests.training.offered import offer
from tunebook import TextClassification, TextClassificationConfig
from tunebook.config.schema import TrainConfig
from tunebook.data.augmentations import make_augmentations
from tunebook.errors import UserError
from tunebook.families.text_classification.build import own_augmentations
from tunebook.pipeline.prepare import prepare

DROPOUT = """
def word_dropout(inputs, draws, share=0.1):
    kept = draws.uniform(inputs["input_ids"].shape[1]) >= share
    kept[:, 0] = True
    return {**inputs, "attention_mask": inputs["attention_mask"] * kept}


def speckle(images, draws, size=0.1):
    noise = draws.normal(images[0].numel()).view_as(images)
    return (images + size * noise).clamp(0, 1)


def halved(images, draws):
    return images[:, :1]
"""
NAMES = {name: name for name in ("word_dropout", "speckle", "halved")}


@pytest.fixture(autouse=True)
def offered(tmp_path, monkeypatch):
    offer(tmp_path, monkeypatch, "change_parts", DROPOUT, augmentations=NAMES)


def batch(rows: list[int], epoch: int = 0) -> dict:
    return {"row": torch.tensor(rows), "epoch": epoch}


def test_each_row_is_changed_in_its_own_way_whatever_its_batch():
    images = torch.rand(4, 3, 8, 8, generator=torch.manual_seed(0))
    speckle = make_augmentations([{"speckle": {"size": 0.05}}], None, seed=3)
    whole = speckle(images, batch([5, 9, 2, 7]))
    assert torch.equal(speckle(images[[3, 0]], batch([7, 5])), whole[[3, 0]])
    inside = (whole > 0) & (whole < 1)
    assert (whole - images)[inside].std().item() == pytest.approx(0.05, rel=0.2)
    assert not torch.equal(
        make_augmentations([{"speckle": {"size": 0.05}}], None, seed=4)(images, batch([5, 9, 2, 7])), whole
    )
    assert not torch.equal(speckle(images, batch([5, 9, 2, 7], epoch=1)), whole)


def test_the_recipes_own_comes_first_and_two_draw_other_numbers():
    seen = []

    def own(images, draws):
        seen.append(draws.uniform(2))
        return images * 0

    changes = make_augmentations(["speckle"], own, seed=0)
    made = changes(torch.ones(2, 1, 4, 4), batch([0, 1]))
    assert changes.names == "recipe, speckle"
    assert made.max() < 1  # blackened first
    alone = make_augmentations([], own, seed=0)
    alone(torch.ones(2, 1, 4, 4), batch([0, 1]))
    assert torch.equal(seen[0], seen[1])
    assert make_augmentations([], None, seed=0) is None


def test_what_has_another_form_is_refused():
    with pytest.raises(UserError, match=r"'halved' returned torch.float32 .*, but was given .*\[2, 3, 4, 4\]"):
        make_augmentations(["halved"], None, seed=0)(torch.ones(2, 3, 4, 4), batch([0, 1]))


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (["speckl"], "There is no augmentation named 'speckl'"),
        ([{"speckle": {"sise": 1}}], "There is no option 'sise'"),
        ("speckle", "must be a list of names"),
        (["speckle", "speckle"], "names 'speckle' twice"),
    ],
)
def test_a_mistake_is_one_message(named, said):
    with pytest.raises(UserError) as caught:
        make_augmentations(named, None, seed=0)
    assert said in caught.value.what
    assert (caught.value.where or "").startswith("data.augmentations")


def config(tmp_path, *overrides: str) -> TrainConfig:
    rows = write_reviews(tmp_path / "reviews.csv", 40)
    small = [f"data.train={rows}", f"data.cache_dir={tmp_path / 'cache'}", f"run_dir={tmp_path / 'run'}"]
    return composed(["recipe=review_sentiment", "data.label=label", "trainer=cpu", *small, *overrides])


def test_texts_are_changed_in_training_alone(tmp_path):
    prepared = prepare(config(tmp_path, "data.augmentations=[{word_dropout:{share:0.5}}]"), tmp_path / "rejects.jsonl")
    assert prepared.encoded.facts["augmentations of its own"] == "word_dropout"
    _, data = prepared.recipe.family.stages.training_data(None, prepared.encoded, prepared.source, prepared.config)
    given = next(iter(data.loader("train", shuffle=True)))
    trained, validated = data.finish(given, True), data.finish(given, False)
    assert validated is given
    before, after = given["inputs"]["attention_mask"], trained["inputs"]["attention_mask"]
    assert 0.3 < after[:, 1:].sum().item() / before[:, 1:].sum().item() < 0.7
    assert torch.equal(after[:, 0], before[:, 0])


def test_they_are_refused_where_they_would_have_no_effect(tmp_path):
    for overrides, said in (
        (["adapt=head"], "has no effect with adapt=head"),
        (["adapt=none"], "has no effect with adapt=none"),
    ):
        with pytest.raises(UserError, match=said):
            prepare(config(tmp_path, "data.augmentations=[word_dropout]", *overrides), tmp_path / "rejects.jsonl")


def test_a_recipe_of_texts_says_its_own(tmp_path):
    class Shuffled(TextClassification[TextClassificationConfig]):
        """Texts whose tokens are all seen, or none."""

        def augment(self, inputs, draws):
            return {**inputs, "attention_mask": inputs["attention_mask"] * 0}

    made = config(tmp_path)
    plain, own = (each(TextClassificationConfig(name="x")) for each in (TextClassification, Shuffled))
    assert own_augmentations(plain, made) is None
    changes = own_augmentations(own, made)
    inputs = {"input_ids": torch.ones(2, 3, dtype=torch.long), "attention_mask": torch.ones(2, 3, dtype=torch.long)}
    assert changes(inputs, batch([0, 1]))["attention_mask"].sum() == 0
