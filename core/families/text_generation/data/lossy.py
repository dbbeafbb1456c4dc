"""What a tokenizer loses of texts that are to be written: what it does not read, a model cannot learn to write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tunebook.data.personal import masked
from tunebook.models.literal import encode_texts

SEVERAL_SPACES = "  "
_NAMED = {"\n": "line breaks", "\r": "line breaks", "\t": "tabs", SEVERAL_SPACES: "several spaces"}
_QUOTES = "\u2018\u2019\u201c\u201d\u201e\u201a"
# One of each kind that some tokenizers lose; one that keeps all of them works on bytes, and loses nothing.
_PROBES = ("\n", "\t", SEVERAL_SPACES, "A", *"\u00e9\u201c\u2026\u00bd\ufb01\u4e2d\U0001f642\U00013000")
_AROUND = 15
"""Characters of the example on both sides."""


def lost_text(tokenizer: Any, rows: Iterable[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """What encoding and decoding changes in the texts of rows; nothing where it changes none.

    Args:
        tokenizer: A transformers tokenizer with a fast backend.
        rows: The place of each row, and its texts; not looked at where the tokenizer loses nothing.

    Returns:
        A fact for `check`: kinds of characters with the number of rows that have one, and an example.
    """
    known = {probe: _keeps(tokenizer, probe) for probe in _PROBES}
    if all(known.values()):
        return {}
    counts: Counter[str] = Counter()
    example = ""
    for where, texts in rows:
        kinds: dict[str, None] = {}
        for text in texts:
            found = set(text) | ({SEVERAL_SPACES} if SEVERAL_SPACES in text else set())
            for character in sorted(found - known.keys()):
                known[character] = character == " " or _keeps(tokenizer, character)
            lost = [character for character in found if not known[character]]
            kinds |= dict.fromkeys(map(_kind, sorted(lost)))
            if lost and not example:
                text = masked(text)
                at = min(max(text.find(character), 0) for character in lost)
                said = text[max(at - _AROUND, 0) : at + _AROUND]
                example = f"{where}: {said!r} is read as {_read(tokenizer, said)!r}"
        counts.update(list(kinds))
    if not counts:
        return {}
    listed = ", ".join(f"{kind} ({count:,} rows)" for kind, count in counts.most_common())
    return {"the tokenizer loses": f"{listed}; such as {example}"}


def _keeps(tokenizer: Any, character: str) -> bool:
    if character.isspace():
        return _read(tokenizer, f"a{character}b") == f"a{character}b"
    return character in _read(tokenizer, f"a {character} b")


def _read(tokenizer: Any, text: str) -> str:
    ids = encode_texts(tokenizer, [text], add_special_tokens=False)["input_ids"][0]
    back: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return back.strip()


def _kind(character: str) -> str:
    """The name of a kind of characters."""
    if character in _NAMED:
        return _NAMED[character]
    if character in _QUOTES:
        return "curly quotes"
    if "A" <= character <= "Z":
        return "capital letters"
    code = ord(character)
    return "emoji" if code >= 0x1F000 or 0x2600 <= code < 0x27C0 else "other characters"
