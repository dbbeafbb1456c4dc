"""Which characters and tokens of a rendered conversation are supervised: each answer, to the end of its turn."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from tunebook.families.text_generation.data.literal import MARK
from tunebook.families.text_generation.data.message import ToolCall
from tunebook.families.text_generation.data.rendering import Rendering, Span, Unsupervisable
from tunebook.families.text_generation.data.thinking import CLOSING, switched_off
from tunebook.families.text_generation.data.tool_calls import read_calls, same_calls


class Method(Enum):
    """How the answers are found in what a template writes.

    ``markers``: the template writes ``{% generation %}`` around them. ``prefixes``: a prompt, which is the conversation
    up to a turn with the assistant's header, is the beginning of the whole conversation; what follows is the answer.
    ``last_prefix``: that is so of the last turn alone, as the template renders an answer differently once turns follow
    it; each answer is learned in a row of its own, which ends with it.
    """

    markers = "markers"
    prefixes = "prefixes"
    last_prefix = "prefixes, each answer in a row of its own"


def check_whole(turns: Sequence[Mapping[str, Any]], text: str) -> None:
    """Refuse what a template leaves out in silence, as many do with the turns of tools.

    Args:
        turns: The conversation.
        text: What the template made of it.

    Raises:
        Unsupervisable: What somebody says stands nowhere in the text.
    """
    for number, turn in enumerate(turns, 1):
        if turn["role"] == "assistant":  # answers are looked at one by one
            continue
        said = turn["content"].strip()
        # Llama writes what a tool says as a JSON string.
        if said not in text and (turn["role"] != "tool" or json.dumps(said, ensure_ascii=False)[1:-1] not in text):
            raise Unsupervisable(f"the template leaves out or changes what the {turn['role']} says in turn {number}")


def byte_count(answer: str) -> int:
    """Bytes of an answer in UTF-8; white space around it belongs to the template."""
    return len(answer.strip().encode("utf-8"))


@dataclass(frozen=True)
class Supervised:
    """A conversation as tokens.

    Attributes:
        ids: int32 ``[tokens]``.
        supervised: Which of them the loss is taken on, bool ``[tokens]``.
        bytes: Bytes in UTF-8 of the answers that these stand for, without their ends of turn.
    """

    ids: np.ndarray
    supervised: np.ndarray
    bytes: int = 0

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Answers:
    """Finds the answers in conversations of one template.

    Attributes:
        rendering: The template and the tokenizer.
        method: How the answers are found.
        end_of_turn: The control token that closes an answer and is learned with it.
    """

    rendering: Rendering
    method: Method
    end_of_turn: str

    @property
    def thinks_never(self) -> bool:
        """Whether thinking is switched off."""
        return bool(switched_off(self.rendering.template))

    def spans(
        self, turns: Sequence[Mapping[str, Any]], first: int = 0, context: Collection[int] = ()
    ) -> tuple[str, dict[int, Span]]:
        """The rendered text, and the characters of each answer from turn ``first`` on by the position of its turn.

        Those at positions in ``context`` are left out.

        Raises:
            Unsupervisable: They cannot be determined for certain.
        """
        indices = [position for position, turn in enumerate(turns) if turn["role"] == "assistant"]
        wanted = {position for position in indices if position >= first and position not in context}
        if self.method is Method.last_prefix:
            wanted &= {indices[-1]}
        if self.method is not Method.markers:
            text = self.rendering.text(turns)
            return text, {
                position: self._calls_kept(text, self._by_prefix(text, turns, position), turns[position], position)
                for position in sorted(wanted)
            }
        text, marked = self.rendering.marked(turns)
        if len(marked) != len(indices):
            raise Unsupervisable(f"the template marks {len(marked)} answers and the assistant has {len(indices)} turns")
        found = zip(indices, marked, strict=True)
        return text, {
            position: self._calls_kept(text, self._closed(text, span), turns[position], position)
            for position, span in found
            if position in wanted
        }

    def _by_prefix(self, text: str, turns: Sequence[Mapping[str, Any]], position: int) -> Span:
        header = self.rendering.text(turns[:position], prompt=True)
        if not text.startswith(header):
            if self.thinks_never and CLOSING in turns[position]["content"]:
                raise Unsupervisable(f"turn {position + 1} thinks aloud ({CLOSING}), and thinking is switched off")
            raise Unsupervisable(
                f"up to turn {position + 1} the template renders the conversation differently than as a prompt"
            )
        start, end = self._closed(text, (len(header), len(text)))
        if not self.rendering.text(turns[: position + 1]).startswith(text[:end]):
            raise Unsupervisable(f"the template renders turn {position + 1} differently once later turns follow")
        if turns[position]["content"].strip() not in text[start:end]:
            raise Unsupervisable(f"the template leaves out or changes what the assistant says in turn {position + 1}")
        return start, end

    def _calls_kept(self, text: str, span: Span, turn: Mapping[str, Any], position: int) -> Span:
        """A span as it is, where the calls that it holds are those of the turn."""
        if calls := turn.get("tool_calls"):
            written = read_calls(text[span[0] : span[1] - len(self.end_of_turn)])
            if written.broken or not same_calls(written.calls, [ToolCall.of_openai(call) for call in calls]):
                raise Unsupervisable(
                    f"the template leaves out the tool calls of turn {position + 1}, or writes them in a form that "
                    f"cannot be read back"
                )
        return span

    def _closed(self, text: str, span: Span) -> Span:
        """A span up to and including its end of turn; what a template writes after it is not learned."""
        start, end = span
        closes = text.find(self.end_of_turn, start, end)
        if closes < 0:
            raise Unsupervisable(f"the end of turn {self.end_of_turn} would not be supervised")
        return start, closes + len(self.end_of_turn)

    def supervise(
        self, turns: Sequence[Mapping[str, Any]], first: int = 0, context: Collection[int] = ()
    ) -> Supervised:
        """Encode a conversation as a whole and mark what is learned.

        A token that joins the template's header to the answer is in no prompt, so generation would begin from other
        tokens than the supervised ones: it is refused. A token at the other end cannot hold two things but
        the end of turn and white space that it eats, and is learned.

        Args:
            turns: The conversation.
            first: Position of the first turn that is learned; answers before it are context alone.
            context: Positions of others that are.

        Raises:
            Unsupervisable: It cannot be determined for certain what is supervised.
        """
        text, spans = self.spans(turns, first, context)
        check_whole(turns, text)
        tokens = self.rendering.encode(text)
        supervised, said = np.zeros(len(tokens.ids), dtype=bool), 0
        for position, (start, end) in spans.items():
            if ((tokens.starts < start) & (tokens.ends > start)).any():
                raise Unsupervisable(
                    f"the tokenizer joins the beginning of turn {position + 1} to the template's header before it"
                )
            supervised |= (tokens.starts >= start) & (tokens.starts < end)
            said += byte_count(text[start : end - len(self.end_of_turn)].replace(MARK, ""))
        return Supervised(tokens.ids, supervised, said)
