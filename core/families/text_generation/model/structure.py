"""Answers kept to a JSON schema while they are written: a token that would break it cannot be chosen.

The grammar is llguidance's, whose masks say which tokens may come next. Near the most tokens allowed an answer is led
to its end by the shortest way, so that what is cut off can be parsed all the same.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunebook.errors import UserError

_NARROW, _LONGEST = 32, 512
"""Tokens that the room is wider than three shortest answers where it is looked at, and the most of a way to the end."""


def need_packages(where: str) -> None:
    """Refuse a structure where a package is missing that checks rows or keeps answers to it.

    Raises:
        UserError: llguidance or jsonschema is not installed.
    """
    missing = [name for name in ("llguidance", "jsonschema") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"Structured copy needs {' and '.join(missing)}.",
            code="package.missing",
            where=where,
            fix="pip install 'tunebook[structured]'",
        )


@lru_cache(maxsize=2)
def grammar_of(schema: str) -> str:
    """The grammar of a JSON schema: keys in its order, and white space as `json.dumps` has it.

    Raises:
        ValueError: It is no schema that can be kept to, or nothing satisfies it; the text says why.
    """
    from llguidance import LLMatcher

    spaces: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    grammar: str = LLMatcher.grammar_from_json_schema(schema, defaults=spaces)
    reason = LLMatcher.validate_grammar(grammar)
    if reason and not reason.startswith("WARNING"):
        raise ValueError(" ".join(reason.split()))
    return grammar


def check_fits(schema: str, tokenizer: Any, stop_ids: Collection[int], most: int) -> None:
    """Refuse what answers of a model cannot be kept to.

    Args:
        schema: JSON schema as text.
        tokenizer: The model's own.
        stop_ids: Tokens that close an answer.
        most: Most tokens of an answer.

    Raises:
        UserError: The tokenizer cannot be read, or not even the shortest answer has room.
    """
    from llguidance import LLMatcher

    stops = tuple(sorted(stop_ids))
    readable = _readable(tokenizer, len(tokenizer), stops)
    _shortest(LLMatcher(readable, grammar_of(schema)), readable, stops[0], most)


@lru_cache(maxsize=2)
def _readable(tokenizer: Any, vocabulary: int, stop_ids: tuple[int, ...]) -> Any:
    """A tokenizer as llguidance reads it; made once, as it takes a second for a large vocabulary."""
    from llguidance.hf import from_tokenizer

    try:
        return from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=list(stop_ids))
    except ValueError as error:
        raise UserError(
            f"Answers of this tokenizer ({type(tokenizer).__name__}) cannot be kept to a schema: {error}.",
            code="model.no-structure",
            where="model.name",
            fix="choose a model with a fast tokenizer (tokenizer.json)",
        ) from error


class Structure:
    """The open answers of one batch, each where its grammar is.

    Args:
        schema: JSON schema as text.
        tokenizer: The model's own, a fast one of transformers.
        stop_ids: Tokens that close an answer.
        answers: How many there are.
        most: Most tokens of each.

    Attributes:
        led: Those that were led to their end for want of room.
    """

    def __init__(self, schema: str, tokenizer: Any, stop_ids: Collection[int], answers: int, most: int) -> None:
        self._grammar, self._tokenizer = grammar_of(schema), tokenizer
        self._stop_ids = tuple(sorted(stop_ids))
        self._left = [most] * answers
        self.led: set[int] = set()
        self._matchers: list[Any] = []
        self._endings: list[list[int]] = [[] for _ in range(answers)]
        self._narrow = 0
        self._readable: Any = None
        self._executor: Any = None

    def keep(self, logits: Tensor, places: Tensor) -> Tensor:
        """Logits ``[open, vocabulary]`` with those at minus infinity that would break the schema.

        Raises:
            UserError: The tokenizer cannot be read, or not even the shortest answer has room.
        """
        from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask_par

        open_places = places.tolist()
        if not self._matchers:
            self._begin(logits.shape[-1])
        mask = allocate_token_bitmask(len(open_places), logits.shape[-1])
        wanted = [(self._matchers[place], row) for row, place in enumerate(open_places)]
        fill_next_token_bitmask_par(self._executor, wanted, mask)
        allowed = np.unpackbits(mask.view(np.uint8), axis=1, bitorder="little", count=logits.shape[-1]).astype(bool)
        return logits.masked_fill(~torch.from_numpy(allowed).to(logits.device), float("-inf"))

    def settle(self, places: Tensor, tokens: Tensor) -> Tensor:
        """Go on behind the tokens ``[open]`` that were chosen, or those that must take their place: the ones returned.

        A token gives way where what it opens could no longer be closed.
        """
        settled = [self._settled(*each) for each in zip(places.tolist(), tokens.tolist(), strict=True)]
        return torch.tensor(settled, dtype=tokens.dtype, device=tokens.device)

    def _settled(self, place: int, token: int) -> int:
        left, matcher, closes = self._left[place], self._matchers[place], self._stop_ids[0]
        if not self._endings[place] and token not in self._stop_ids and left <= self._narrow:
            after = matcher.deep_copy()
            after.consume_token(token)
            if len(_way_out(after, self._readable, closes) or [0] * left) > left - 1:
                self._endings[place] = _way_out(matcher, self._readable, closes)
                self.led |= {place} if self._endings[place] else set()
        if self._endings[place]:
            token, *self._endings[place] = self._endings[place]
        self._left[place] -= 1
        if token not in self._stop_ids:
            matcher.consume_token(token)
        return token

    def _begin(self, vocabulary: int) -> None:
        from llguidance import LLExecutor, LLMatcher

        self._executor = LLExecutor(num_threads=1)  # a mask takes less than a thread does to wake
        self._readable = _readable(self._tokenizer, vocabulary, self._stop_ids)
        first = LLMatcher(self._readable, self._grammar)
        shortest = _shortest(first, self._readable, self._stop_ids[0], self._left[0])
        self._narrow = 3 * len(shortest) + _NARROW
        self._matchers = [first.deep_copy() for _ in self._left]


def _shortest(matcher: Any, readable: Any, closes: int, most: int) -> list[int]:
    """The shortest answer."""
    way = _way_out(matcher, readable, closes)
    if len(way) > most:
        raise UserError(
            f"The shortest answer that keeps to the schema has {len(way)} tokens, and {most} are allowed.",
            code="generation.no-room",
            where="recipe.max_new_tokens",
            fix=f"recipe.max_new_tokens={4 * len(way)}",
        )
    return way


def _way_out(matcher: Any, readable: Any, closes: int) -> list[int]:
    """A short way to the end of an answer, with the token that closes it; none where it is not found."""
    way: list[int] = []
    at = matcher.deep_copy()
    quote, letter, *brackets = (readable.greedy_tokenize(text)[0] for text in ('"', "x", "}", "]"))
    while len(way) < _LONGEST:
        if at.is_accepting():
            return [*way, closes]
        step = at.compute_ff_tokens()
        if not step:
            allowed = np.unpackbits(np.frombuffer(at.compute_bitmask(), np.uint8), bitorder="little")
            inside = allowed[letter] and allowed[brackets[0]]  # of a text, brackets are text as well
            first = [token for token in ([quote] if inside else [*brackets, quote]) if allowed[token]]
            step = first[:1] or np.flatnonzero(allowed)[:1].tolist()
        if not step or not at.consume_tokens(step):
            return []
        way += step
    return []
