"""Make core/models/starters/starter_untrained: a tokenizer learnt from text files, and an architecture.

python benchmarks/make_starter_untrained.py TEXT [TEXT ...]

The tokenizer that ships was learnt from the sample reviews of review_sentiment (CC0) and twenty novels in the
public domain.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import ModernBertConfig, PreTrainedTokenizerFast

from tunebook.models.source import STARTERS

SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
VOCABULARY = 4096


def learn_tokenizer(files: list[str]) -> PreTrainedTokenizerFast:
    """A lower-casing byte-level BPE."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=alphabet)
    tokenizer.train(files, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=512,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    )


def architecture() -> ModernBertConfig:
    """Two layers that average what they see: small enough to learn a little from a few hundred rows."""
    return ModernBertConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=512,
        classifier_pooling="mean",
        pad_token_id=0,
        bos_token_id=1,
        cls_token_id=1,
        eos_token_id=2,
        sep_token_id=2,
    )


def main() -> None:
    folder = STARTERS / "starter_untrained"
    learn_tokenizer(sys.argv[1:]).save_pretrained(folder)
    architecture().save_pretrained(folder)
    print("wrote", folder, sorted(p.name for p in Path(folder).iterdir()))


if __name__ == "__main__":
    main()
