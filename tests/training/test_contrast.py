"""Learning from pairs: the loss by hand, and batches that hold pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.conftest import Tunebook, write_reviews
from tests.encoded import write_encoder
from tunebook.training.contrast import ContrastiveHead, paired_order


def test_the_loss_of_four_texts_by_hand() -> None:
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [1.0, 0.0]])
    truth = torch.tensor([0, 1, 1, 2])
    found = ContrastiveHead(0.5).loss(features, truth)
    similar = {(0, 1): 0.0, (0, 2): 0.6, (0, 3): 1.0, (1, 2): 0.8, (1, 3): 0.0, (2, 3): 0.6}

    def expected(row: int, same: int) -> float:
        other = {b if a == row else a: s / 0.5 for (a, b), s in similar.items() if row in (a, b)}
        return -other[same] + math.log(sum(map(math.exp, other.values())))

    assert found.tolist() == pytest.approx([0.0, expected(1, 2), expected(2, 1), 0.0], abs=1e-6)


def test_each_row_comes_once_beside_one_of_its_label() -> None:
    truth = np.repeat(np.arange(30), 5)
    lengths = np.random.default_rng(0).integers(3, 60, 150)
    order = paired_order(truth, lengths, batch_size=16)
    first, again, other = (order(np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert sorted(first) == list(range(150)) and np.array_equal(first, again) and not np.array_equal(first, other)
    pairs = truth[first[:120]].reshape(-1, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all(), "two of five rows are left over in no label"
    assert sorted(truth[first[120:]]) == list(range(30))
    padded = sum(lengths[part].max() * len(part) for part in np.split(first[:112], 7))
    shuffled = sum(lengths[part].max() * len(part) for part in np.split(np.random.default_rng(2).permutation(112), 7))
    assert padded < shuffled


def test_one_row_of_each_label_makes_no_pair() -> None:
    assert sorted(paired_order(np.arange(4), np.ones(4, dtype=np.int64), 2)(np.random.default_rng(0))) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["recipe=customer_chat", "adapt=contrastive"], "text_generation has not"),
        (["recipe=review_sentiment", "adapt=full", "adapt.temperature=0.2"], "adapt.temperature has no effect"),
        (["recipe=review_sentiment", "adapt=full", "adapt.lora_rank=16"], "adapt.lora_rank has no effect"),
        (["recipe=review_sentiment", "adapt=head", "adapt.lora_targets=[query]"], "adapt.lora_targets has no effect"),
        (["recipe=review_sentiment", "adapt=contrastive", "adapt.temperature=0"], "adapt.temperature"),
    ],
)
def test_what_has_no_pairs_is_refused(tmp_path, tunebook: Tunebook, given: list[str], said: str) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 20)
    for verb in ("check", "train"):
        refused = tunebook(verb, *given, f"data.train={rows}", *([f"run_dir={tmp_path / 'run'}"] * (verb == "train")))
        assert refused.returncode == 2 and said in refused.stderr, refused.stderr
    assert not (tmp_path / "run").exists()


def test_pairs_are_not_taken_apart_by_processes(tmp_path, tunebook: Tunebook) -> None:
    model = write_encoder(tmp_path / "encoder")
    rows = write_reviews(tmp_path / "rows.csv", 40)
    given = [f"data.train={rows}", "data.label=label", f"model.name={model}", "trainer=ddp", "trainer.devices=2"]
    refused = tunebook("check", "recipe=review_sentiment", "adapt=contrastive", *given)
    assert refused.returncode == 2 and "trainer.devices=1" in refused.stderr, refused.stderr
