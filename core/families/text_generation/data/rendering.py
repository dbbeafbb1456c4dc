"""A conversation as the text that a chat template writes, and this text as tokens that know their characters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tokenizers import Tokenizer

from tunebook.errors import UserError
from tunebook.families.text_generation.data.literal import MARK, LiteralEncoder
from tunebook.files import why_unreadable
from tunebook.limits import OverLimit, limited

KEY = "model.chat_template"
LONGEST = 1 << 24
"""Longest rendered conversation in characters."""


class Turn(Protocol):
    """What somebody says in a conversation."""

    @property
    def role(self) -> str:
        """Who says it: system, user, assistant or tool."""

    @property
    def content(self) -> str:
        """What is said."""


Conversation = Sequence[Turn] | Sequence[Mapping[str, Any]]
Span = tuple[int, int]
"""First character and the one after the last."""


class Unsupervisable(ValueError):
    """A conversation of which it cannot be determined for certain what is supervised; the message says why."""


CARRIED = ("tool_calls", "name", "tool_call_id", "tools", "context")
"""What a turn has besides; ``tools`` and ``context`` are those of its conversation, the same in all turns."""


def plain(conversation: Conversation) -> list[dict[str, Any]]:
    """Turns as the mappings that templates read, with the ``tools`` and the ``context`` of the conversation in each."""
    return [
        {
            "role": str(turn["role"]),
            "content": str(turn["content"] or ""),
            **{key: turn[key] for key in CARRIED if turn.get(key)},
        }
        if isinstance(turn, Mapping)
        else {"role": turn.role, "content": turn.content, **_carried(turn)}
        for turn in conversation
    ]


def _carried(turn: Any) -> dict[str, Any]:
    """What a `Message` has of tools and context."""
    found: dict[str, Any] = {"context": getattr(turn, "context", None)}
    if tools := getattr(turn, "tools", ()):
        calls = [call.to_openai() for call in turn.calls]
        found |= {"tool_calls": calls, "name": turn.name, "tool_call_id": turn.call_id, "tools": tools}
    return {key: value for key, value in found.items() if value}


def tools_of(turns: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
    """The tools that a conversation offers, as templates take them; None for none."""
    return list(turns[0].get("tools", ())) or None if turns else None


def bare(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The turns without the tools, which templates are given beside them."""
    return [{key: value for key, value in turn.items() if key != "tools"} for turn in turns]


def unsupervised(conversation: Conversation) -> frozenset[int]:
    """Positions of the turns that are context alone."""
    return frozenset(
        position
        for position, turn in enumerate(conversation)
        if not (turn.get("supervised", True) if isinstance(turn, Mapping) else getattr(turn, "supervised", True))
    )


@dataclass(frozen=True)
class Encoded:
    """Tokens of a text.

    Attributes:
        ids: int32 ``[tokens]``.
        starts: First character of each token, white space in front of a word included, int64 ``[tokens]``.
        ends: The character after its last, int64 ``[tokens]``.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Rendering:
    """A template's text and the tokenizer that reads what it writes.

    Attributes:
        name: Where the template comes from, for messages.
        template: Its Jinja text.
        tokenizer: The transformers tokenizer.
        encoder: Its backend, with exact offsets and no token of its own added.
        control: Tokens that steer the model, as text.
    """

    name: str
    template: str
    tokenizer: Any
    encoder: Tokenizer
    control: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tokenizer: Any, file: Path | None = None) -> Rendering:
        """Take the template of a file, or else the tokenizer's own.

        Raises:
            UserError: There is none, it cannot be read or may run for hours, or the tokenizer gives no offsets.
        """
        name, template = _from_file(file) if file else _from_tokenizer(tokenizer)
        _refuse_powers(name, template)
        return cls(name, template, tokenizer, _exact_encoder(tokenizer))

    @property
    def has_markers(self) -> bool:
        """Whether the template says itself what the assistant generates."""
        return bool(re.search(r"\{%[-+]?\s*generation\s*[-+]?%\}", self.template))

    def text(self, turns: Sequence[Mapping[str, Any]], prompt: bool = False) -> str:
        """Render turns, with the header of the assistant's next one where a ``prompt`` is wanted.

        Raises:
            Unsupervisable: The template refuses them.
            UserError: It does not come to an end.
        """
        return self._render(turns, prompt, marked=False)[0]

    def marked(self, turns: Sequence[Mapping[str, Any]]) -> tuple[str, list[Span]]:
        """Render turns, and find the characters between the template's generation markers.

        Raises:
            Unsupervisable: The template refuses the turns.
            UserError: It does not come to an end.
        """
        return self._render(turns, prompt=False, marked=True)

    def _render(self, turns: Sequence[Mapping[str, Any]], prompt: bool, marked: bool) -> tuple[str, list[Span]]:
        # What tokenizer.apply_chat_template renders with, in jinja2's immutable sandbox. Called itself because the
        # former gives masks of tokens alone, where a token over a boundary cannot be seen any more.
        from transformers.utils.chat_template_utils import render_jinja_template

        render: Any = render_jinja_template  # its annotation forgets the spans
        try:
            with limited():
                texts, spans = render(
                    conversations=[bare(turns)],
                    tools=tools_of(turns),
                    chat_template=self.template,
                    add_generation_prompt=prompt,
                    return_assistant_tokens_mask=marked,
                    **self.tokenizer.special_tokens_map,
                )
            if len(texts[0]) > LONGEST:
                raise OverLimit(f"writes more than {LONGEST:,} characters")
        except OverLimit as error:
            raise _runaway(self.name, f"{error}") from None
        except Exception as error:  # a template is a stranger's program and may raise anything
            raise Unsupervisable(f"the chat template rejects it: {str(error)[:300]}") from error
        return texts[0], spans[0] if marked else []

    @cached_property
    def literal(self) -> LiteralEncoder:
        """Encodes texts in which some of the control tokens are said, not written by the template."""
        return LiteralEncoder.of(self.encoder, self.control, self.tokenizer.unk_token_id)

    def encode(self, text: str) -> Encoded:
        """Encode a rendered text; the template writes the control tokens, none is added, and marked ones are text.

        Raises:
            Unsupervisable: The tokenizer cannot write one of these as text.
        """
        if MARK in text:
            found = self.literal.encode(text)
            if found is None:
                raise Unsupervisable("a control token in what is said cannot be written as text")
            return Encoded(*found)
        encoding = self.encoder.encode(text, add_special_tokens=False)
        offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        return Encoded(np.array(encoding.ids, dtype=np.int32), offsets[:, 0], offsets[:, 1])

    def id_of(self, token: str) -> int:
        """The id of a token that the vocabulary has."""
        id_ = self.encoder.token_to_id(token)
        assert id_ is not None
        return id_

    def control_tokens(self, sample: str) -> dict[str, int]:
        """Tokens that steer the model: special ones, and added ones that the template writes in a ``sample``."""
        return {
            token.content: id_
            for id_, token in self.encoder.get_added_tokens_decoder().items()
            if token.content.strip() and (token.special or token.content in sample)
        }


def _runaway(name: str, what: str) -> UserError:
    return UserError(
        f"The chat template {what}.",
        code="template.runaway",
        where=f"{KEY} ({name})",
        fix=f"{KEY}=plain is built in; take another, or fix its loops",
    )


def _refuse_powers(name: str, template: str) -> None:
    """Refuse ``a ** b``: one step of it may take hours, and no limit ends a single step."""
    import jinja2

    before = None
    try:
        for _, kind, text in jinja2.Environment().lex(template):
            if kind == "whitespace":
                continue
            if kind == "operator" and text == "**" and before not in (None, "(", ","):
                raise _runaway(name, "raises numbers to powers, which may take hours")
            before = text
    except jinja2.TemplateSyntaxError:
        return  # reported where it is rendered


def _from_file(file: Path) -> tuple[str, str]:
    try:
        return str(file), file.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The chat template cannot be read: {why_unreadable(error)}.",
            code="template.unreadable",
            where=f"{KEY}={file}",
            fix="give the path of a Jinja file",
        ) from error


def _from_tokenizer(tokenizer: Any) -> tuple[str, str]:
    templates = tokenizer.chat_template
    model = Path(tokenizer.name_or_path).name
    if isinstance(templates, str) and templates.strip():
        return f"the template of {model}", templates
    fix = f"{KEY}=plain is built in, {KEY}=<file.jinja> is your own; a chat model brings its own"
    if not templates:
        raise UserError(f"The tokenizer of {model} has no chat template.", code="template.missing", where=KEY, fix=fix)
    if "default" in templates:
        return f"the template 'default' of {model}", templates["default"]
    raise UserError(
        f"The tokenizer of {model} has the chat templates {', '.join(sorted(templates))} and none named default.",
        code="template.missing",
        where=KEY,
        fix=fix,
    )


def _exact_encoder(tokenizer: Any) -> Tokenizer:
    """A copy of a tokenizer's backend that cuts and pads nothing and leaves no white space out of the offsets."""
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(
            "This tokenizer does not report which characters a token covers.",
            code="model.no-fast-tokenizer",
            where="model.name",
            fix="take a model with a tokenizer.json",
        )
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    encoder = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    encoder.no_truncation()
    encoder.no_padding()
    # A byte-level post-processor would trim white space off the offsets; this one leaves all as it is.
    encoder.post_processor = TemplateProcessing(single="$A", pair=None, special_tokens=[])
    return encoder
