"""Two texts as one sequence: the tokenizer's own format and its token types, or two lines; cut, counted and cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers.processors import TemplateProcessing

from tunebook.data.columns import Column
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.models.pairs import encode_pair, has_pair_format
from tunebook.models.source import STARTERS, ModelSource
from tunebook.models.text import load_tokenizer
from tunebook.models.text_batches import TextItems, pad_batch
from tunebook.models.tokens import tokenize, tokenize_cached

TEXTS = [
    "The soup was cold, but the waiter made up for it.",
    "Good.",
    "Tiny room, and a view that I never forget. " * 6,
]
PAIRS = ["service", "food", "the view"]


@pytest.fixture(scope="module")
def starter() -> Any:
    return load_tokenizer(ModelSource("starter", STARTERS / "starter_text"))


@pytest.fixture(scope="module")
def unpaired() -> Any:
    """A tokenizer that only begins each text with a token, as those of many language models do."""
    tokenizer = load_tokenizer(ModelSource("starter", STARTERS / "starter_text"))
    begin = ("<|endoftext|>", tokenizer.bos_token_id)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{begin[0]} $A", pair=f"{begin[0]} $A {begin[0]} $B", special_tokens=[begin]
    )
    return tokenizer


@pytest.fixture(scope="module")
def bert(minilm: str) -> Any:
    return load_tokenizer(ModelSource("minilm", Path(minilm)))


def test_a_pair_has_the_tokenizers_own_format_and_token_types(bert: Any, starter: Any) -> None:
    for tokenizer in (bert, starter):
        assert has_pair_format(tokenizer)
        made = tokenize(TEXTS, tokenizer, 512, PAIRS)
        for i, (text, pair) in enumerate(zip(TEXTS, PAIRS, strict=True)):
            theirs = tokenizer(text, pair)
            assert made[i].tolist() == theirs["input_ids"]
            types = made.types_of(i)
            assert (None if types is None else types.tolist()) == theirs.get("token_type_ids")


def test_a_batch_of_pairs_tells_the_model_which_text_is_which(bert: Any) -> None:
    items = TextItems(tokenize(TEXTS, bert, 512, PAIRS), np.zeros(3, dtype=np.int64))
    batch = pad_batch([items[i] for i in range(3)], bert.pad_token_id)
    theirs = bert(TEXTS, PAIRS, padding=True, return_tensors="pt")
    assert set(batch["inputs"]) == set(theirs)
    for name, values in theirs.items():
        assert batch["inputs"][name].tolist() == values.tolist()


def test_the_longer_text_of_a_pair_is_cut_and_counted(bert: Any) -> None:
    made = tokenize(TEXTS, bert, 20, PAIRS)
    theirs = bert(TEXTS[2], PAIRS[2], truncation="longest_first", max_length=20)
    assert made[2].tolist() == theirs["input_ids"] and made.types_of(2).tolist() == theirs["token_type_ids"]
    assert (made.truncated, made.full_lengths[2]) == (1, len(bert(TEXTS[2], PAIRS[2])["input_ids"]))


def test_without_a_pair_format_the_second_text_is_the_next_line(unpaired: Any) -> None:
    assert not has_pair_format(unpaired)
    made = tokenize(TEXTS, unpaired, 512, PAIRS)
    assert made.types is None
    assert [made[i].tolist() for i in range(3)] == unpaired([f"{t}\n{p}" for t, p in zip(TEXTS, PAIRS, strict=True)])[
        "input_ids"
    ]


@pytest.mark.parametrize("longest", [12, 20, 33])
def test_what_is_cut_of_two_lines_is_not_the_second(unpaired: Any, longest: int) -> None:
    ids, _ = encode_pair(TEXTS[2], PAIRS[2], unpaired, longest)
    said = unpaired.decode(ids, skip_special_tokens=True)
    assert longest - 2 <= len(ids) <= longest and said.endswith("\nthe view") and said.startswith("Tiny room")
    ids, _ = encode_pair(PAIRS[2], TEXTS[2], unpaired, longest)
    assert len(ids) <= longest and unpaired.decode(ids, skip_special_tokens=True).startswith("the view\nTiny room")


def test_cached_pairs_are_those_in_memory_and_other_pairs_are_other_rows(bert: Any, tmp_path: Path) -> None:
    columns = [Column("text", "text", "data.text", "text"), Column("text_pair", "aspect", "data.text_pair", "text")]

    def rows(pairs: list[str]) -> Any:
        file = tmp_path / "rows.csv"
        lines = "".join(f'"{t}","{p}"\n' for t, p in zip(TEXTS, pairs, strict=True))
        file.write_text(f"text,aspect\n{lines}", encoding="utf-8")
        return read_rows(str(file), "data.train", columns, RejectLog(tmp_path / "rejects.jsonl", 0))

    texts = [text.strip() for text in TEXTS]
    for pairs in (PAIRS, PAIRS[::-1]):
        for _ in range(2):  # written, and read back
            found, made = tokenize_cached(rows(pairs), bert, 24, tmp_path / "cache"), tokenize(texts, bert, 24, pairs)
            assert found.ids.tolist() == made.ids.tolist() and found.types.tolist() == made.types.tolist()
    assert len(list((tmp_path / "cache/tokens").iterdir())) == 2
