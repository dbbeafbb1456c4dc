"""The settings beside a model's weights: small files of a few values, none of which names code or writes novels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebook.errors import UserError
from tunebook.untrusted import LARGEST, read_json, values_within

_LARGE = ("tokenizer.json", "vocab.json")
_LARGEST_VOCABULARY = 1 << 28  # bytes; of a quarter of a million tokens with their merges it is an eighth
MOST_VALUES = 50_000
"""Values of one list or mapping in a settings file, such as added tokens or labels."""
GROWTH = 100
"""How many times longer a tokenizer may make a text before it is cut into tokens."""
_ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")


def check_settings_files(folder: Path) -> None:
    """Look at the JSON files of a model folder before transformers does.

    Raises:
        UserError: One is too large, has lists without end, names code of the hub, or a tokenizer that writes far longer
            texts than it reads.
    """
    for file in sorted(folder.glob("*.json")):
        if file.name.endswith(".index.json") or not file.is_file():
            continue
        large = file.name in _LARGE
        if file.stat().st_size > (_LARGEST_VOCABULARY if large else LARGEST):
            raise _refused(file, "is larger than any such file")
        if large and file.name != "tokenizer.json":
            continue
        try:
            found = read_json(file, _LARGEST_VOCABULARY)
        except (ValueError, OSError):
            continue  # said where it is read
        if file.name == "tokenizer.json":
            _check_tokenizer(file, found)
        else:
            _check_settings(file, found)


def _check_settings(file: Path, found: Any) -> None:
    for key, value in values_within(found):
        if isinstance(value, (list, Mapping)) and len(value) > MOST_VALUES and key not in ("id2label", "label2id"):
            raise _refused(file, f"has {len(value):,} values in {key or 'its list'}")
        if key.endswith("attn_implementation") and value is not None and value not in _ATTENTION:
            raise _refused(file, f"asks for {value!r} as {key}, which may be code of the hub")


def _check_tokenizer(file: Path, found: Any) -> None:
    if not isinstance(found, Mapping):
        return
    growth = 1.0
    for part in ("normalizer", "decoder"):
        for _, value in values_within(found.get(part), part):
            if isinstance(value, Mapping) and value.get("type") == "Replace":
                growth *= max(1.0, _length(value.get("content")) / max(1, _length(value.get("pattern"))))
            if isinstance(value, Mapping) and value.get("type") == "Prepend" and _length(value.get("prepend")) > GROWTH:
                growth = float("inf")
    if growth > GROWTH:
        raise _refused(file, f"makes texts over {GROWTH} times longer")
    for key, value in values_within(found.get("post_processor"), "post_processor"):
        if isinstance(value, (list, Mapping)) and len(value) > 1000:
            raise _refused(file, f"adds {len(value):,} tokens to each text ({key})")
    added = found.get("added_tokens")
    if isinstance(added, list) and len(added) > MOST_VALUES:
        raise _refused(file, f"has {len(added):,} added tokens")


def _length(text: Any) -> int:
    """Characters of a text, or of a pattern that is one; a regular expression may match one."""
    if isinstance(text, Mapping):
        return _length(text.get("String")) if "String" in text else 1
    return len(text) if isinstance(text, str) else 0


def _refused(file: Path, what: str) -> UserError:
    return UserError(
        f"The model's {file.name} {what}.",
        code="model.unsafe-settings",
        where=str(file),
        fix="copy or download the model again, from a source that you trust",
    )
