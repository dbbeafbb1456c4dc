from __future__ import annotations

from transformers import AutoTokenizer

from tests.chatted import STARTER
from tests.models.test_literal import like_t5
from tunebook.families.text_generation.data.lossy import lost_text

ROWS = [
    ("a.csv:2", ["plain words", "a b"]),
    ("a.csv:3", ["plain\nwords", "a b"]),
    ("a.csv:4", ["a \U0001f642 b", "a\nb\n"]),
    ("a.csv:5", ["\u201ca\u201d", "a \U0001f642"]),
    ("a.csv:6", ["a  b"]),
]


def test_what_a_tokenizer_loses_is_counted_by_rows_with_an_example() -> None:
    """Its words are small letters and digits: of these rows it knows neither line breaks nor quotes nor emoji."""
    found = lost_text(like_t5(), ROWS)["the tokenizer loses"]
    counts, _, example = found.partition("; such as ")
    assert set(counts.split(", ")) == {"line breaks (2 rows)", "emoji (2 rows)", "curly quotes (1 rows)"}
    assert example.startswith("a.csv:3: 'plain\\nwords' is read as 'plain")


def test_a_tokenizer_of_bytes_loses_nothing_and_rows_are_not_looked_at() -> None:
    assert lost_text(AutoTokenizer.from_pretrained(STARTER), (1 / 0 for _ in range(1))) == {}  # type: ignore[misc]
