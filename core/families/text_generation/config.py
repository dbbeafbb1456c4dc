"""The options of every recipe whose model writes."""

from __future__ import annotations

from dataclasses import dataclass

from tunebook.recipe import FamilyConfig


@dataclass
class TextGenerationConfig(FamilyConfig):
    """Options of every recipe whose model writes."""

    max_new_tokens: int = 128
    """Longest answer, in tokens."""
    lowercase: bool = False
    """Compare answers with their references in lower case; BLEU and chrF say so in their signature."""
    tokenize: str = "13a"
    """sacreBLEU's tokenizer for BLEU: 13a, intl, zh, ja-mecab, char ..."""
