"""Prompts and copies as pairs of token ids: ended once, shifted, never cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from tunebook.data.batch import IGNORE_INDEX
from tunebook.data.batches import BatchPlan
from tunebook.families.text_generation.data.pairs import PairItems, encode_pairs, stack_pairs

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "en", "a", "b", "c", "d"]
PAD, START, END, UNKNOWN, LANGUAGE, A, B, C, D = range(9)
PROMPTS, COPIES = ["a b c", "d", "c c c c c"], ["b", "a b c d", "d d"]


def tokenizer(template: str) -> Any:
    """Words as tokens, with what a kind of model has around them."""
    made = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = WhitespaceSplit()
    special = [("<s>", START), ("</s>", END), ("en", LANGUAGE)]
    made.post_processor = TemplateProcessing(single=template, special_tokens=special)
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


T5, BART, MBART, OLD_MBART, PLAIN = "$A </s>", "<s> $A </s>", "en $A </s>", "$A </s> en", "$A"


@pytest.mark.parametrize(
    "template,source,target",
    [
        (T5, [A, B, C, END], [B, END]),
        (BART, [START, A, B, C, END], [START, B, END]),
        (MBART, [LANGUAGE, A, B, C, END], [LANGUAGE, B, END]),
        (OLD_MBART, [A, B, C, END, LANGUAGE], [B, END]),
        (PLAIN, [A, B, C], [B, END]),
    ],
)
def test_texts_have_what_the_tokenizer_adds_and_end_once(template: str, source: list[int], target: list[int]) -> None:
    items, rejected = encode_pairs(PROMPTS, COPIES, tokenizer(template), 9, 9)
    assert rejected == {} and len(items) == 3
    assert items[0].source.tolist() == source and items[0].target.tolist() == target
    more = len(source) - 3
    assert items.units.tolist() == [len(target) - 1 + n for n in (1, 4, 2)]
    assert items.lengths.tolist() == [len(target) - 1 + n + m + more for n, m in ((1, 3), (4, 1), (2, 5))]
    assert [pair.row for pair in (items[i] for i in range(3))] == [0, 1, 2]


def test_nothing_is_cut() -> None:
    items, rejected = encode_pairs(PROMPTS, COPIES, tokenizer(T5), 5, 4)
    assert rejected == {
        1: "the copy has 5 tokens with the one that ends it, over 4",
        2: "the prompt has 6 tokens, over 5",
    }
    assert len(items) == 1 and items.sources.tolist() == [0]
    assert encode_pairs(PROMPTS, COPIES, tokenizer(T5), 6, 5)[1] == {}
    nothing = encode_pairs([], [], tokenizer(T5), 9, 9)[0]
    assert len(nothing) == 0 and nothing.lengths.shape == nothing.units.shape == (0,)


def test_an_end_that_is_said_ends_nothing() -> None:
    items, rejected = encode_pairs(["a <s> a", "a"], ["b </s> c", "</s>"], tokenizer(BART), 9, 9)
    assert rejected == {}
    # A word of the tokenizer as it is, so that it is read as "< /s>": two words that it does not know.
    assert items[0].source.tolist() == [START, A, UNKNOWN, UNKNOWN, A, END]
    assert [items[i].target.tolist() for i in (0, 1)] == [
        [START, B, UNKNOWN, UNKNOWN, C, END],
        [START, UNKNOWN, UNKNOWN, END],
    ]


def test_rows_keep_their_numbers_when_others_are_left_out() -> None:
    items, _ = encode_pairs(PROMPTS, COPIES, tokenizer(T5), 9, 3)
    assert items.sources.tolist() == [0, 2] and items[1].row == 2
    assert items[1].source.tolist() == [C] * 5 + [END] and items[1].target.tolist() == [D, D, END]
    assert all(part.dtype == np.int32 for part in (items.source_ids, items.target_ids))


def test_a_batch_by_hand() -> None:
    items, _ = encode_pairs(PROMPTS, COPIES, tokenizer(T5), 9, 9)
    batch = stack_pairs([items[0], items[1]], pad_id=PAD, decoder_start_id=START)
    inputs = batch["inputs"]
    assert inputs["input_ids"].tolist() == [[A, B, C, END], [D, END, PAD, PAD]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert inputs["decoder_input_ids"].tolist() == [[START, B, PAD, PAD, PAD], [START, A, B, C, D]]
    assert batch["target"].tolist() == [[B, END, *[IGNORE_INDEX] * 3], [A, B, C, D, END]]
    assert batch["row"].tolist() == [0, 1] and inputs["use_cache"] is False
    assert all(v.dtype == torch.int64 for v in (*list(inputs.values())[:3], batch["target"]))


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_the_shift_is_the_models_own(kind: str) -> None:
    sizes = {"vocab_size": 9, "d_model": 8, "pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": END}
    model: Any = (
        T5ForConditionalGeneration(T5Config(d_kv=4, d_ff=8, num_layers=1, num_heads=2, **sizes))
        if kind == "t5"
        else BartForConditionalGeneration(BartConfig(encoder_attention_heads=2, decoder_attention_heads=2, **sizes))
    )
    items, _ = encode_pairs(PROMPTS, COPIES, tokenizer(BART), 9, 9)
    batch = stack_pairs([items[i] for i in range(3)], PAD, END)
    own = model.prepare_decoder_input_ids_from_labels(batch["target"].clone())
    supervised = batch["target"] != IGNORE_INDEX  # what is read behind the end of a text is nobody's concern
    assert batch["inputs"]["decoder_input_ids"][supervised].tolist() == own[supervised].tolist()


def test_rows_of_like_cost_share_a_batch() -> None:
    sizes = [3, 30, 4, 29, 31, 5]
    items, _ = encode_pairs([" ".join("a" * n) for n in sizes], ["b"] * 6, tokenizer(T5), 99, 9)
    assert isinstance(items, PairItems)
    batches = BatchPlan(items.lengths, 3, seed=1, units=items.units).batches(0)
    assert sorted(sorted(batch.tolist()) for batch, _ in batches) == [[0, 2, 5], [1, 3, 4]]
    assert [divisor for _, divisor in batches] == [6.0, 6.0]  # two supervised tokens a row
