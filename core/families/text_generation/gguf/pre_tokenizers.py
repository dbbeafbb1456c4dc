"""How a byte-level tokenizer splits texts before its merges, and what llama.cpp calls that.

llama.cpp has a fixed set of such ways. Its converter tells them apart by a hash of the token ids of one text, and so
recognises only vocabularies that it has seen. Here the way is read from ``tokenizer.json``, whatever its vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""What ByteLevel splits by where ``use_regex`` is set."""
_DIGIT = r"\p{N}"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_BEFORE, _AFTER = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
# No alternative of the contractions begins another, so their order is free. White space before a line break is taken
# greedily, line breaks included, up to the last one: behind it there is no second for a plus to match.
_SAME = {
    r"'(?i:[sdmt]|ll|ve|re)|": f"{_CONTRACTIONS}|",
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|": f"{_CONTRACTIONS}|",
    r"|\s*[\r\n]|": r"|\s*[\r\n]+|",
}


@dataclass(frozen=True)
class PreTokenizer:
    """A way of llama.cpp.

    Attributes:
        splits: Patterns that split a text one after the other; a match is a piece, and so is what lies between two.
        ignore_merges: Whether a piece that is a token as a whole is taken as one, without a look at the merges.
    """

    splits: tuple[str, ...]
    ignore_merges: bool = False


KNOWN = {
    "gpt-2": PreTokenizer((_GPT2,)),
    "smollm": PreTokenizer((_DIGIT, _GPT2)),
    "qwen2": PreTokenizer((_BEFORE + _DIGIT + _AFTER,)),
    "llama-bpe": PreTokenizer((_BEFORE + r"\p{N}{1,3}" + _AFTER,), ignore_merges=True),
    "smaug-bpe": PreTokenizer((_BEFORE + r"\p{N}{1,3}" + _AFTER,)),
}
"""By llama.cpp's name."""


class Unproved(ValueError):
    """A tokenizer is not proved to split as one of llama.cpp's does; the text is the reason."""


def proved_pre_tokenizer(settings: Mapping[str, Any]) -> str:
    """llama.cpp's name of the way in which a tokenizer splits texts.

    Args:
        settings: What ``tokenizer.json`` holds.

    Raises:
        Unproved: It is none of `KNOWN`, or does something besides.
    """
    model = settings.get("model") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise Unproved(f"its model is {model.get('type')}, not a byte-level BPE")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise Unproved(f"its model has a {key}")
    if missing := [symbol for symbol in _alphabet() if symbol not in model["vocab"]]:
        raise Unproved(f"its vocabulary lacks {len(missing)} of the 256 bytes")
    _check_normalizer(settings.get("normalizer"))
    for token in settings.get("added_tokens") or ():
        if found := [key for key in ("single_word", "lstrip", "rstrip") if token.get(key)]:
            raise Unproved(f"its token {token['content']} is matched with {found[0]}")
    wanted = PreTokenizer(_splits(settings.get("pre_tokenizer")), bool(model.get("ignore_merges")))
    names = [name for name, known in KNOWN.items() if known == wanted]
    if not names:
        merges = " and takes whole tokens without their merges" * wanted.ignore_merges
        raise Unproved(f"it splits texts by {' then '.join(wanted.splits) or 'nothing'}{merges}")
    return names[0]


def _alphabet() -> Sequence[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    symbols: list[str] = ByteLevel.alphabet()
    return symbols


def _check_normalizer(normalizer: Mapping[str, Any] | None) -> None:
    """NFC alone changes nothing of a text that is in NFC already; llama.cpp itself never normalizes."""
    steps = [normalizer] if normalizer else []
    while steps:
        step = steps.pop()
        if step["type"] == "Sequence":
            steps += step["normalizers"]
        elif step["type"] != "NFC":
            raise Unproved(f"it changes texts first ({step['type']})")


def _splits(pre_tokenizer: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The patterns of a pre-tokenizer that ends in ByteLevel."""
    steps = [pre_tokenizer] if pre_tokenizer else []
    if steps and steps[0]["type"] == "Sequence":
        steps = list(steps[0]["pretokenizers"])
    if not steps or steps[-1]["type"] != "ByteLevel":
        raise Unproved("it does not split texts into bytes at the end")
    if steps[-1].get("add_prefix_space", True):
        raise Unproved("it writes a space before each text")
    splits = [_split(step) for step in steps[:-1]]
    return (*splits, _GPT2) if steps[-1].get("use_regex", True) else tuple(splits)


def _split(step: Mapping[str, Any]) -> str:
    if step["type"] == "Digits" and step.get("individual_digits"):
        return _DIGIT
    if step["type"] != "Split" or step.get("behavior") != "Isolated" or step.get("invert"):
        raise Unproved(f"it splits texts by {step['type']} ({step.get('behavior', 'no pattern')})")
    pattern = step["pattern"]
    if "Regex" not in pattern:
        raise Unproved(f"it splits texts by the text {pattern.get('String')!r}")
    found = str(pattern["Regex"])
    for form, same in _SAME.items():
        found = found.replace(form, same)
    return found


def as_llama_cpp_spaces(tokenizer: Any, prefix: bool) -> None:
    """Have a tokenizer in the form of sentencepiece write spaces as llama.cpp does.

    Args:
        tokenizer: The backend, changed in place.
        prefix: Whether a space is written before a text, and behind each control token.
    """
    from tokenizers.normalizers import Prepend, Replace, Sequence

    spaces = Replace(" ", "\u2581")
    tokenizer.normalizer = Sequence([Prepend("\u2581"), spaces]) if prefix else spaces
    tokenizer.pre_tokenizer = None


def as_llama_cpp_splits(tokenizer: Any, name: str) -> bool:
    """Have a tokenizer split texts as llama.cpp does by a name of `KNOWN`; False for another name.

    Args:
        tokenizer: The backend of a byte-level tokenizer, changed in place.
        name: llama.cpp's name of the way.
    """
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    known = KNOWN.get(name)
    if known is None:
        return False
    steps = [Split(Regex(pattern), behavior="isolated") for pattern in known.splits]
    tokenizer.pre_tokenizer = Sequence([*steps, ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.model.ignore_merges = known.ignore_merges
    return True
