from __future__ import annotations

from tunebook.models.source import STARTERS, ModelSource
from tunebook.models.text import load_tokenizer, tokenizer_key


def test_the_key_of_a_tokenizer_does_not_depend_on_what_it_was_asked_before():
    tokenizer = load_tokenizer(ModelSource("starter", STARTERS / "starter_text"))
    before = tokenizer_key(tokenizer)
    tokenizer("a text that is cut", truncation=True, max_length=4, padding="max_length")
    assert tokenizer_key(tokenizer) == before
