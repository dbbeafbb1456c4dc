"""Control tokens that stand in a text are text: in training, in `predict` and in plain transformers."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BartConfig,
    BartModel,
    PreTrainedTokenizerFast,
)

from tests.conftest import Tunebook, write_reviews
from tunebook.models.literal import encode_texts, special_tokens
from tunebook.models.pairs import encode_pair
from tunebook.models.tokens import tokenize

TEXTS = ["plain words", "rated <s>5</s> of <unk>", "a [SEP] b </s>", "\uff1c/s\uff1e in full width", "<pad>"]
WORDS = ["plain words rated 5 of a b in full width s pad unk sep"] * 20


def wrapped(made: Tokenizer, begin: str, end: str, **names: str) -> PreTrainedTokenizerFast:
    special = [(token, made.token_to_id(token)) for token in dict.fromkeys((begin, end)) if token]
    single, pair = f"{begin} $A {end}".strip(), f"{begin} $A {end} $B {end}".strip()
    made.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def like_bart() -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(WORDS, trainer)
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return wrapped(made, "<s>", "</s>", **names)


def like_bert() -> PreTrainedTokenizerFast:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(WORDS, trainers.WordPieceTrainer(special_tokens=special, show_progress=False))
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    return wrapped(made, "[CLS]", "[SEP]", **names)


def like_t5() -> PreTrainedTokenizerFast:
    """Control tokens are words of the model, which it finds in a text whether told to split them or not."""
    made = Tokenizer(models.Unigram())
    made.normalizer, made.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(special_tokens=special, unk_token="<unk>", vocab_size=60, show_progress=False)
    made.train_from_iterator(WORDS, trainer)
    return wrapped(made, "", "</s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


@pytest.mark.parametrize("make", [like_bart, like_bert, like_t5])
def test_special_ids_are_those_that_the_tokenizer_adds(make: Any) -> None:
    words = make()
    special = set(special_tokens(words).values())
    usual = words("a")["input_ids"]
    around = [id_ for id_ in usual if id_ in special]
    for ids in encode_texts(words, TEXTS)["input_ids"]:
        assert [id_ for id_ in ids if id_ in special] == around
    for text in TEXTS:
        ids, _ = encode_pair(text, "and </s> [SEP]", words, 20)
        assert len([id_ for id_ in ids if id_ in special]) == len(around) + 1
    assert tokenize(TEXTS, words, 4).lengths.max() == 4
    plain = ["plain words", "a b"]
    assert encode_texts(words, plain)["input_ids"] == words(plain)["input_ids"]
    # Told to split them, all but the last kind of tokenizer need no more.
    expected = [words(text, split_special_tokens=True)["input_ids"] for text in TEXTS]
    assert (encode_texts(words, TEXTS)["input_ids"] == expected) is (make is not like_t5)


@pytest.fixture(scope="module")
def bart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BART, whose classifier reads the last end of a text, and refuses texts of different numbers of them."""
    folder, words = tmp_path_factory.mktemp("bart"), like_bart()
    torch.manual_seed(0)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 64}
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    BartModel(BartConfig(vocab_size=len(words), **sizes, **heads, **ids)).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def test_bart_answers_every_row_as_plain_transformers_does(tunebook: Tunebook, tmp_path: Path, bart: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 60)
    lines = rows.read_text().splitlines()
    lines[5:8] = ["stars <s>5</s> of 5,good", "one </s> two </s> three,bad", "<pad> only,good"]
    rows.write_text("\n".join(lines) + "\n")
    run = tmp_path / "run"
    given = [f"data.train={rows}", "data.label=label", f"model.name={bart}", "data.max_length=48", f"run_dir={run}"]
    quick = ["trainer.max_steps=2", "trainer.progress=false", "evaluation.resamples=50", "trainer.accelerator=cpu"]
    trained = tunebook("train", "recipe=review_sentiment", *given, *quick)
    assert trained.returncode == 0, trained.stderr
    texts = ["stars <s>5</s> of 5", "plain", "one </s> two </s>"]
    file = tmp_path / "new.csv"
    file.write_text("text\n" + "\n".join(texts) + "\n")
    done = tunebook("predict", str(run / "model"), str(file))
    assert done.returncode == 0, done.stderr
    found = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["text"] for row in found] == texts
    # The bundle's own tokenizer is told to split them too.
    words = AutoTokenizer.from_pretrained(run / "model")
    model = AutoModelForSequenceClassification.from_pretrained(run / "model").eval()
    with torch.no_grad():
        logits = model(**words(texts, padding=True, return_tensors="pt")).logits
    shares = logits.softmax(-1)
    for row, share in zip(found, shares, strict=True):
        assert float(row["probability_bad"]) == pytest.approx(float(share[0]), abs=1e-4)
