"""Conversations of a split as token rows, supervised or not: encoded once, cached, read back by memory map."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tunebook.data.rows import Rows
from tunebook.families.text_generation.data.answers import Supervised
from tunebook.families.text_generation.data.message import Message, own_conversations
from tunebook.families.text_generation.data.supervision import Fitted, fit
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.options import Overlength
from tunebook.files import filling_cache, folder_written_whole, write_json
from tunebook.models.text import tokenizer_key
from tunebook.progress import counting
from tunebook.sealing import is_whole, seal

_FORMAT = 3  # raise when the files below or the way of encoding change, so that old caches are not read


@dataclass(frozen=True)
class EncodedConversations:
    """The token rows of all conversations of a split; a long one may have several, an unusable one has none.

    Attributes:
        ids: Token ids of all rows one after the other, int32 ``[tokens]``.
        supervised: Which of them the loss is taken on, bool ``[tokens]``.
        offsets: Where each row starts, int64 ``[rows + 1]``.
        sources: The conversation that each row is of, ascending, int64 ``[rows]``.
        lengths: Tokens of each whole conversation (of several, the longest), 0 where it cannot be encoded, int64
            ``[conversations]``.
        rejected: Conversation -> why it, or an answer of it, is in no row.
        bytes: Bytes of the answers that each row is supervised on (`Supervised.bytes`), int64 ``[rows]``.
    """

    ids: np.ndarray
    supervised: np.ndarray
    offsets: np.ndarray
    sources: np.ndarray
    lengths: np.ndarray
    rejected: Mapping[int, tuple[str, ...]]
    bytes: np.ndarray

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def used(self) -> np.ndarray:
        """The conversations that have a row, ``[kept]``."""
        return np.unique(self.sources)

    @property
    def rows(self) -> Iterator[Supervised]:
        """The rows one by one."""
        starts, ends = self.offsets[:-1].tolist(), self.offsets[1:].tolist()
        for start, end, said in zip(starts, ends, self.bytes.tolist(), strict=True):
            yield Supervised(self.ids[start:end], self.supervised[start:end], said)


def encoding_key(tokenizer: Any, template: ChatTemplate, max_length: int, policy: Overlength) -> str:
    """A hash of all that shapes the token rows of a conversation."""
    parts = (str(_FORMAT), tokenizer_key(tokenizer), template.text, str(max_length), policy.name)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


TrainingConversations = Callable[[Rows], Iterator[list[list[Message]]]]
"""Gives the conversations that are learned from, of each row in order."""
FitRow = Callable[[list[list[Message]], str], list[Fitted]]
"""Makes token rows of the conversations of a row, which has a place for messages."""


def encode_cached(
    rows: Rows,
    template: ChatTemplate,
    max_length: int,
    policy: Overlength,
    cache_dir: Path,
    supervised: TrainingConversations = own_conversations,
    cache_salt: str = "",
    fit_row: FitRow | None = None,
) -> EncodedConversations:
    """Encode the conversations of a split, or read them back from the cache.

    Args:
        rows: ValidatedData rows.
        template: Writes conversations as the model reads them.
        max_length: Tokens of a token row, at most.
        policy: What happens to a longer conversation.
        cache_dir: Where the encoded rows are kept.
        supervised: Gives the conversations of each row.
        cache_salt: What shapes them besides the rows, such as the template of a prompt.
        fit_row: Makes token rows of the conversations of a row (default: of each by itself).

    Raises:
        UserError: A conversation is over the length and the policy is ``error``.
    """
    key = encoding_key(template.rendering.tokenizer, template, max_length, policy)
    named = f"{rows.fingerprint}\n{key}\n{cache_salt}"
    folder = cache_dir / "conversations" / hashlib.sha256(named.encode()).hexdigest()[:32]
    if "strftime_now" in template.text:  # the day's date would stay in the cache
        shutil.rmtree(folder, ignore_errors=True)
    cached = _read(folder)
    if cached is None or len(cached.lengths) != len(rows):
        shutil.rmtree(folder, ignore_errors=True)
        with filling_cache(folder, "encoded conversations"):
            one_by_one = partial(_fit_each, template=template, max_length=max_length, policy=policy)
            _write(folder, rows, supervised, fit_row or one_by_one)
        cached = _read(folder)
    assert cached is not None
    return cached


def _fit_each(
    conversations: list[list[Message]], where: str, template: ChatTemplate, max_length: int, policy: Overlength
) -> list[Fitted]:
    return [fit(each, template, max_length, policy, where) for each in conversations]


def _write(folder: Path, rows: Rows, training_conversations_of: TrainingConversations, fit_row: FitRow) -> None:
    lengths, sources, sizes, said = [], [], [], []
    rejected: dict[int, tuple[str, ...]] = {}
    with folder_written_whole(folder) as partial:
        with (
            (partial / "ids.bin").open("wb") as ids,
            (partial / "supervised.bin").open("wb") as supervised,
            counting(f"tokens of {rows.split} conversations", len(rows)) as advance,
        ):
            for number, conversations in enumerate(training_conversations_of(rows)):
                fitted = fit_row(conversations, rows.where(number))
                for row in (row for each in fitted for row in each.rows):
                    ids.write(row.ids.astype(np.int32).tobytes())
                    supervised.write(row.supervised.tobytes())
                    sizes.append(len(row))
                    said.append(row.bytes)
                    sources.append(number)
                reasons = tuple(reason for each in fitted for reason in each.rejected)
                if reasons:
                    rejected[number] = reasons
                lengths.append(max(each.tokens for each in fitted))
                advance(1)
        np.save(partial / "offsets.npy", np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64))
        np.save(partial / "sources.npy", np.array(sources, dtype=np.int64))
        np.save(partial / "bytes.npy", np.array(said, dtype=np.int64))
        np.save(partial / "lengths.npy", np.array(lengths, dtype=np.int64))
        write_json(partial / "rejected.json", {str(number): reasons for number, reasons in rejected.items()})
        seal(partial)


def _read(folder: Path) -> EncodedConversations | None:
    if not is_whole(folder):
        return None
    try:
        offsets, sources, lengths, said = (
            np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("offsets", "sources", "lengths", "bytes")
        )
        rejected = json.loads((folder / "rejected.json").read_text(encoding="utf-8"))
        ids, supervised = _mapped(folder / "ids.bin", np.int32), _mapped(folder / "supervised.bin", np.bool_)
    except (OSError, ValueError):
        return None
    whole = len(ids) == len(supervised) == offsets[-1] and len(sources) == len(said) == len(offsets) - 1
    reasons = {int(number): tuple(texts) for number, texts in rejected.items()}
    return EncodedConversations(ids, supervised, offsets, sources, lengths, reasons, said) if whole else None


def _mapped(file: Path, kind: Any) -> np.ndarray:
    # An empty file cannot be mapped.
    return np.memmap(file, dtype=kind, mode="r") if file.stat().st_size else np.zeros(0, dtype=kind)
