"""Control tokens that stand in what somebody says: marked before a template renders it, and encoded as text."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer

MARK, OWN = "\ufdd0", "\ufdd1"
"""Noncharacters, which no text holds: within a control token that is said, and before one that the template writes."""


def marked(content: str, control: Collection[str]) -> str:
    """What is said, with a mark behind the first character of each control token."""
    while found := [token for token in control if len(token) > 1 and token in content]:
        token = max(found, key=len)
        content = content.replace(token, token[0] + MARK + token[1:])
    return content


def _id(encoder: Tokenizer, token: str) -> int:
    id_ = encoder.token_to_id(token)
    assert id_ is not None
    return int(id_)


@dataclass(frozen=True)
class LiteralEncoder:
    """Encodes rendered texts in which some control tokens are marked as said.

    Attributes:
        encoder: Takes control tokens for text, but for those behind `OWN`.
        own: Id of each of these -> id of the control token itself.
        pattern: A mark, or a control token that is not marked.
        unknown: The id of what there is no token for; texts may well give it.
    """

    encoder: Tokenizer
    own: Mapping[int, int]
    pattern: re.Pattern[str]
    unknown: int | None

    @classmethod
    def of(cls, encoder: Tokenizer, control: Collection[str], unknown: int | None) -> LiteralEncoder:
        """An encoder like another one.

        Args:
            encoder: The one that takes all control tokens as such.
            control: Its control tokens.
            unknown: The id of what it has no token for.
        """
        state: Any = json.loads(encoder.to_str())
        for token in state["added_tokens"]:
            token["special"] = token["special"] or token["content"] in control
        made = Tokenizer.from_str(json.dumps(state))
        made.encode_special_tokens = True
        known = {t.content: (id_, t) for id_, t in encoder.get_added_tokens_decoder().items() if t.content in control}
        made.add_tokens(
            [
                AddedToken(OWN + content, normalized=False, lstrip=t.lstrip, rstrip=t.rstrip, single_word=t.single_word)
                for content, (_, t) in known.items()
            ]
        )
        own = {_id(made, OWN + content): id_ for content, (id_, _) in known.items()}
        longest_first = sorted(known, key=len, reverse=True)
        pattern = re.compile("|".join([MARK, *map(re.escape, longest_first)]))
        return cls(made, own, pattern, unknown)

    def encode(self, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Ids, first characters and ends of the tokens of a marked text; None where a mark cannot be honoured.

        A tokenizer that has a control token among its words finds it in text as well; there it is said with a space.
        """
        for between in ("", " "):
            given, starts, ends = self._encode(text, between)
            if not np.isin(given, [id_ for id_ in self.own.values() if id_ != self.unknown]).any():
                return np.array([self.own.get(id_, id_) for id_ in given.tolist()], dtype=np.int32), starts, ends
        return None

    def _encode(self, text: str, between: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The tokens with ``between`` in place of marks; the template's control tokens have ids of their own."""
        pieces: list[str] = []
        places: list[int] = []  # of each character, where it stands in the text
        done = 0
        for found in self.pattern.finditer(text):
            start, end = found.span()
            pieces.append(text[done:start])
            places += range(done, start)
            if found.group() == MARK:
                pieces.append(between)
                places += [start] * len(between)
            else:
                pieces.append(OWN + found.group())
                places += [start, *range(start, end)]
            done = end
        pieces.append(text[done:])
        places += range(done, len(text) + 1)
        encoding = self.encoder.encode("".join(pieces), add_special_tokens=False)
        offsets, where = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2), np.array(places, dtype=np.int64)
        starts = where[offsets[:, 0]]
        ends = np.where(offsets[:, 1] > offsets[:, 0], where[np.maximum(offsets[:, 1] - 1, 0)] + 1, starts)
        return np.array(encoding.ids, dtype=np.int64), starts, ends
