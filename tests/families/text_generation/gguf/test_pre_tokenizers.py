"""How tokenizers split texts, by llama.cpp's names: what is proved, and what is not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from tests.chatted import STARTER, byte_gpt2
from tunebook.families.text_generation.gguf.pre_tokenizers import (
    KNOWN,
    Unproved,
    as_llama_cpp_splits,
    proved_pre_tokenizer,
)

# As llama.cpp spells them in llama-vocab.cpp, without the letters that only look like others in upper case.
QWEN2 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
SPELLED = {"gpt-2": [GPT2], "smollm": [r"\p{N}", GPT2], "qwen2": [QWEN2], "llama-bpe": [LLAMA3], "smaug-bpe": [LLAMA3]}
# U+017F is an s in lower case to Oniguruma, and no s to llama.cpp, which tells them apart behind an apostrophe. Letters
# that are newer than this Python's Unicode are no letters yet to some of the programs.
LETTERS = st.characters(exclude_characters="\u017f", exclude_categories=("Cn", "Cs"))
TEXTS = st.text(st.one_of(st.sampled_from(" \t\r\n'sSlLdReE1a.!é你🙂"), LETTERS), max_size=40)
BYTES = {symbol: number for number, symbol in enumerate(sorted(ByteLevel.alphabet()))}


def settings_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return found


def bytes_alone(pre_tokenizer: dict[str, Any], **model: Any) -> dict[str, Any]:
    """A byte-level tokenizer without merges."""
    return {"model": {"type": "BPE", "vocab": BYTES, "merges": [], **model}, "pre_tokenizer": pre_tokenizer}


def byte_level(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def by_llama_cpp(text: str, patterns: list[str]) -> list[str]:
    """Pieces of a text as llama.cpp makes them: each pattern splits the pieces of the one before."""
    pieces = [text] if text else []
    for pattern in patterns:
        found = []
        for piece in pieces:
            end = 0
            for match in regex.finditer(pattern, piece):
                found += [piece[end : match.start()], match.group()]
                end = match.end()
            found.append(piece[end:])
        pieces = [piece for piece in found if piece]
    return pieces


def pieces_of(tokenizer: Tokenizer, text: str) -> list[str]:
    return [text[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(text)]  # type: ignore[union-attr]


@cache
def starter() -> Tokenizer:
    return Tokenizer.from_file(str(STARTER / "tokenizer.json"))


@cache
def splitting(name: str) -> Tokenizer:
    """A tokenizer that is made to split as llama.cpp does."""
    tokenizer = Tokenizer.from_str(json.dumps({"version": "1.0", **bytes_alone(byte_level(True))}))
    assert as_llama_cpp_splits(tokenizer, name)
    return tokenizer


def test_the_starter_splits_as_qwen2() -> None:
    assert proved_pre_tokenizer(settings_of(STARTER)) == "qwen2"


@given(TEXTS)
@example("a\n\n \n  b \t\n\r\n c\r\r\nd   ")
@example("they'LL've 'Don't I'M 12345½ x!!\n\n?? ...")
def test_the_starter_splits_texts_as_llama_cpp_splits_qwen2s(text: str) -> None:
    assert pieces_of(starter(), text) == by_llama_cpp(text, SPELLED["qwen2"])


@pytest.mark.parametrize("name", sorted(KNOWN))
@given(text=TEXTS)
def test_each_known_way_is_llama_cpps(name: str, text: str) -> None:
    assert pieces_of(splitting(name), text) == by_llama_cpp(text, SPELLED[name])


def test_a_name_that_is_not_known_changes_nothing() -> None:
    tokenizer = Tokenizer.from_file(str(STARTER / "tokenizer.json"))
    assert not as_llama_cpp_splits(tokenizer, "tekken")
    assert pieces_of(tokenizer, "I'M 12") == ["I", "'M", " ", "1", "2"]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gpt-2", bytes_alone(byte_level(True))),
        ("gpt-2", bytes_alone(sequence(byte_level(True)))),
        ("smollm", bytes_alone(sequence({"type": "Digits", "individual_digits": True}, byte_level(True)))),
        ("qwen2", bytes_alone(sequence(split(QWEN2), byte_level(False)))),
        ("llama-bpe", bytes_alone(sequence(split(LLAMA3), byte_level(False)), ignore_merges=True)),
        ("smaug-bpe", bytes_alone(sequence(split(LLAMA3), byte_level(False)))),
    ],
)
def test_a_way_is_known_by_its_structure(name: str, settings: dict[str, Any]) -> None:
    assert proved_pre_tokenizer(settings) == name


def test_gpt2s_own_form_is_known(tmp_path: Path) -> None:
    assert proved_pre_tokenizer(settings_of(byte_gpt2(tmp_path))) == "gpt-2"


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    settings = copy.deepcopy(settings_of(STARTER))
    change(settings)
    return settings


@pytest.mark.parametrize(
    ("reason", "settings"),
    [
        ("changes texts first .Lowercase", changed(lambda s: s.update(normalizer={"type": "Lowercase"}))),
        ("matched with lstrip", changed(lambda s: s["added_tokens"][2].update(lstrip=True))),
        ("lacks 1 of the 256 bytes", changed(lambda s: s["model"]["vocab"].pop("Ā"))),
        ("not a byte-level BPE", changed(lambda s: s["model"].update(type="Unigram"))),
        ("not a byte-level BPE", changed(lambda s: s["model"].update(byte_fallback=True))),
        ("has a dropout", changed(lambda s: s["model"].update(dropout=0.1))),
        ("whole tokens without their merges", changed(lambda s: s["model"].update(ignore_merges=True))),
        ("a space before each text", bytes_alone({**byte_level(True), "add_prefix_space": True})),
        ("not split texts into bytes", bytes_alone({"type": "Whitespace"})),
        ("splits texts by Punctuation", bytes_alone(sequence({"type": "Punctuation"}, byte_level(True)))),
        (r"splits texts by \\w\+$", bytes_alone(sequence(split(r"\w+"), byte_level(False)))),
        ("splits texts by nothing", bytes_alone(byte_level(False))),
        ("the text ' '", bytes_alone(sequence({**split(""), "pattern": {"String": " "}}, byte_level(False)))),
    ],
)
def test_what_is_not_proved_says_why(reason: str, settings: dict[str, Any]) -> None:
    with pytest.raises(Unproved, match=reason):
        proved_pre_tokenizer(settings)
