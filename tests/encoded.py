"""A tiny sentence encoder with random weights, written by sentence-transformers itself."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from tunebook.models.source import STARTERS

WIDTH = 32


def write_encoder(folder: Path, mode: str = "mean", normalize: bool = True, dense: bool = False) -> Path:
    """A BERT of two layers that is pooled by ``mode``, at unit length where wanted, with a layer behind it or none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import Dense, Normalize, Pooling, Transformer

        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(STARTERS / "starter_text")
        tokenizer.chat_template = None  # else sentence-transformers makes messages of texts
        sizes = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        plain = folder.with_name(f"{folder.name}-plain")
        BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **sizes)).save_pretrained(plain)
        tokenizer.save_pretrained(plain)
        modules = [Transformer(str(plain)), Pooling(WIDTH, mode)]
        modules += [Dense(WIDTH, WIDTH)] if dense else []
        modules += [Normalize()] if normalize else []
        SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


def opened(folder: Path):  # type: ignore[no-untyped-def]
    """A folder as sentence-transformers opens it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(folder), device="cpu")
