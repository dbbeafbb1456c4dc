"""Texts as ids: the tokenizer's own, cut where they must be, counted, and cached under all that shapes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.user_error import user_error
from tunebook.config.texts import Overlength
from tunebook.data.columns import Column
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.models.source import STARTERS, ModelSource
from tunebook.models.text import load_tokenizer
from tunebook.models.tokens import apply_overlength, tokenize, tokenize_cached

TEXTS = ["Snug, strong and warm.", "No.", "It ran out early, and the colours are faded; " * 4, "Naïve café ☕ 5/5"]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(ModelSource("starter", STARTERS / "starter_text"))


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    file = tmp_path / "reviews.csv"
    file.write_text("text\n" + "".join(f'"{t}"\n' for t in TEXTS), encoding="utf-8")
    log = RejectLog(tmp_path / "rejects.jsonl", 0)
    return read_rows(str(file), "data.train", [Column("text", "text", "data.text", "text")], log)


def test_ids_are_the_tokenizers_own_and_keep_the_special_tokens_when_cut(tokenizer):
    made = tokenize(TEXTS, tokenizer, 12)
    for i, text in enumerate(TEXTS):
        assert made[i].tolist() == tokenizer(text, truncation=True, max_length=12)["input_ids"]
        assert made.full_lengths[i] == len(tokenizer(text)["input_ids"])
        assert made[i][-1] == tokenizer.eos_token_id
    assert made.truncated == sum(len(tokenizer(t)["input_ids"]) > 12 for t in TEXTS) >= 1


def test_the_cache_gives_back_what_was_encoded_and_is_used(tokenizer, rows, tmp_path, monkeypatch):
    first = tokenize_cached(rows, tokenizer, 64, tmp_path / "cache")
    assert [first[i].tolist() for i in range(4)] == [tokenizer(t)["input_ids"] for t in TEXTS]
    monkeypatch.setattr("tunebook.models.tokens._encode", None)
    second = tokenize_cached(rows, tokenizer, 64, tmp_path / "cache")
    assert np.array_equal(first.ids, second.ids)
    assert np.array_equal(first.offsets, second.offsets)


def test_the_cache_key_covers_rows_length_and_tokenizer(tokenizer, rows, tmp_path):
    cache = tmp_path / "cache"
    tokenize_cached(rows, tokenizer, 64, cache)
    tokenize_cached(rows, tokenizer, 32, cache)
    tokenize_cached(rows.take([0, 1]), tokenizer, 64, cache)
    other = load_tokenizer(ModelSource("starter", STARTERS / "starter_text"))
    other.add_tokens(["colours"])
    tokenize_cached(rows, other, 64, cache)
    assert len(list((cache / "tokens").iterdir())) == 4


@pytest.mark.parametrize("name", ["ids.bin", "offsets.npy", "full_lengths.npy"])
@pytest.mark.parametrize("damage", [lambda data: data[:-4], lambda data: bytes(len(data)), lambda data: b""])
def test_a_damaged_cache_is_encoded_anew(tokenizer, rows, tmp_path, name, damage):
    """Cut, or as a power cut leaves it: zeros of the right size, or nothing."""
    first = tokenize_cached(rows, tokenizer, 64, tmp_path)
    expected = first.ids.tolist()
    file = next(tmp_path.glob(f"tokens/*/{name}"))
    file.write_bytes(damage(file.read_bytes()))
    assert tokenize_cached(rows, tokenizer, 64, tmp_path).ids.tolist() == expected


def test_texts_over_the_length_are_cut_rejected_or_refused(tokenizer, rows, tmp_path):
    tokens = tokenize(TEXTS, tokenizer, 20)
    log = RejectLog(tmp_path / "rejects.jsonl", 5)
    assert apply_overlength(rows, tokens, Overlength.truncate, 20, log).tolist() == [0, 1, 2, 3]
    assert log.count == 0
    assert apply_overlength(rows, tokens, Overlength.reject, 20, log).tolist() == [0, 1, 3]
    log.write()
    assert '"line": 4' in (tmp_path / "rejects.jsonl").read_text()
    with user_error("data.too-long", where="reviews.csv:4", match="1 of 4 rows texts are over 20 tokens") as caught:
        apply_overlength(rows, tokens, Overlength.error, 20, log)
    assert caught.value.where == "reviews.csv:4"
