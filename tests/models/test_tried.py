"""Text models that are tried with two texts before they are trained: padding, and tokens without an embedding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    XLNetConfig,
    XLNetModel,
)

from tests.conftest import Tunebook, write_reviews
from tunebook.models.source import STARTERS

STARTER = STARTERS / "starter_text"


def save(model: torch.nn.Module, folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> Path:
    model.save_pretrained(folder)  # type: ignore[operator]
    (tokenizer or AutoTokenizer.from_pretrained(STARTER)).save_pretrained(folder)
    return folder


@pytest.fixture
def checked(tmp_path: Path, tunebook: Tunebook):
    rows = write_reviews(tmp_path / "rows.csv", 40)

    def check(folder: Path, *more: str):
        given = [f"data.train={rows}", "data.label=label", "data.max_length=32", f"model.name={folder}"]
        return tunebook("check", "recipe=review_sentiment", *given, *more)

    return check


def test_a_model_that_reads_padding_is_refused(tmp_path: Path, checked) -> None:
    torch.manual_seed(0)
    size = len(AutoTokenizer.from_pretrained(STARTER))
    small = XLNetConfig(vocab_size=size, d_model=32, n_layer=2, n_head=2, d_inner=64)  # classifies by its last position
    done = checked(save(XLNetModel(small), tmp_path / "xlnet"))
    assert done.returncode == 2, done.stdout
    assert "answers otherwise where a text is padded beside a longer one" in done.stderr
    bert = BertConfig(vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    assert checked(save(BertModel(bert), tmp_path / "bert")).returncode == 0
    from_scratch = checked(tmp_path / "bert", "adapt=scratch")
    assert "backbone:" not in from_scratch.stdout
    assert from_scratch.returncode == 0


def gpt2(size: int) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    ids = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=64, **ids))


def test_tokens_without_an_embedding_and_no_padding_token_are_refused(tmp_path: Path, checked) -> None:
    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    size = len(tokenizer)
    assert checked(save(gpt2(size), tmp_path / "whole")).returncode == 0
    tokenizer.add_special_tokens({"additional_special_tokens": ["[MORE]", "[AND MORE]"]})
    beyond = checked(save(gpt2(size), tmp_path / "beyond", tokenizer))
    assert beyond.returncode == 2
    assert f"The model has {size} embeddings, and the tokenizer 2 tokens beyond them, such as '[MORE]'" in beyond.stderr
    bare = PreTrainedTokenizerFast(tokenizer_object=AutoTokenizer.from_pretrained(STARTER).backend_tokenizer)
    unpadded = checked(save(gpt2(size), tmp_path / "bare", bare))
    assert unpadded.returncode == 2
    assert "has no padding token" in unpadded.stderr
