"""A chat template of which it is proved what it lets learn: the assistant's words and their end of turn, no more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tunebook.errors import UserError
from tunebook.families.text_generation.data.answers import Method, Supervised, check_whole
from tunebook.families.text_generation.data.context import with_context
from tunebook.families.text_generation.data.literal import MARK, OWN, marked
from tunebook.families.text_generation.data.proof import FIX, Proof, prove
from tunebook.families.text_generation.data.rendering import (
    KEY,
    Conversation,
    Rendering,
    Unsupervisable,
    plain,
    tools_of,
)
from tunebook.families.text_generation.data.thinking import THOUGHTS, switch_off, switched_off
from tunebook.families.text_generation.data.tool_proof import FIX as FIX_TOOLS
from tunebook.families.text_generation.data.tool_proof import prove_tools
from tunebook.models.quiet import quiet_transformers

TEMPLATES = {file.stem: file for file in (Path(__file__).parent / "templates").glob("*.jinja")}
"""Built-in templates, by the name that ``model.chat_template`` takes them by."""


@dataclass(frozen=True)
class ChatTemplate:
    """Makes tokens of conversations and marks those that are learned.

    Attributes:
        rendering: The template's text and the tokenizer.
        proof: What was proved of them.
    """

    rendering: Rendering
    proof: Proof

    @classmethod
    def of(cls, tokenizer: Any, file: Path | None = None) -> ChatTemplate:
        """Take a file's template, or else the tokenizer's own, without thinking, and prove what it lets learn.

        Args:
            tokenizer: A transformers tokenizer with a fast backend.
            file: A Jinja file that is used in place of the tokenizer's template.

        Raises:
            UserError: There is no template, or nothing can safely be learned with it.
        """
        proof = prove(switch_off(Rendering.of(tokenizer, file)))
        return cls(proof.answers.rendering, proof)

    @property
    def text(self) -> str:
        """Its Jinja text; a tuned model is to keep it as ``tokenizer.chat_template``."""
        return self.rendering.template

    @property
    def method(self) -> Method:
        """How the answers are found."""
        return self.proof.answers.method

    @cached_property
    def with_tools(self) -> Proof | str:
        """What was proved of conversations that offer tools, or why none can be learned from."""
        try:
            with quiet_transformers():
                return prove_tools(self.proof)
        except Unsupervisable as error:
            return str(error)

    def learns_apart(self, turns: Sequence[Mapping[str, Any]]) -> bool:
        """Whether each answer of a conversation is learned in a row of its own."""
        return self._proof_for(turns).answers.method is Method.last_prefix

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""
        return self.rendering.tokenizer

    @property
    def end_of_turn(self) -> str:
        """The control token that closes what the assistant says."""
        return self.proof.answers.end_of_turn

    @property
    def end_of_turn_ids(self) -> tuple[int, ...]:
        """Where generation must stop."""
        return (self.rendering.id_of(self.end_of_turn),)

    @property
    def ends_elsewhere(self) -> bool:
        """Whether the tokenizer's end of text is another token, so that ``generate`` needs a stop token."""
        return self.rendering.tokenizer.eos_token_id not in self.end_of_turn_ids

    @property
    def no_system(self) -> str | None:
        """Why conversations with a system prompt cannot be learned from; None where they can."""
        return self.proof.no_system

    def tool_facts(self) -> dict[str, str]:
        """What a report says of the template where conversations offer tools."""
        return {"tools": "shown to the model; calls supervised, results not, verified on test conversations"}

    def facts(self) -> dict[str, str]:
        """What a report says of the template."""
        eos = self.rendering.tokenizer.eos_token
        elsewhere = f"; the tokenizer's end of text is {eos}, generation stops at the former" * self.ends_elsewhere
        shipped = {str(file): f"{name}, which ships" for name, file in TEMPLATES.items()}
        facts = {
            "chat template": shipped.get(self.rendering.name, self.rendering.name),
            "answers found by": f"{self.method.value}, verified on test conversations",
            "end of turn": f"{self.end_of_turn}, supervised{elsewhere}",
        }
        if switches := switched_off(self.text):
            facts["thinking"] = f"switched off ({', '.join(switches)})"
        if self.no_system:
            facts["system prompt"] = f"not possible: {self.no_system}"
        if "strftime_now" in self.text:
            facts["date"] = "the template may insert the current date, so tokens may differ from day to day"
        return facts

    def check_roles(self, roles: set[str]) -> None:
        """Refuse data with system prompts, or with tools (``"tools"``), where the template cannot take them.

        Raises:
            UserError: It cannot.
        """
        if self.no_system and "system" in roles:
            raise UserError(
                f"There are system prompts, and with them no answer can safely be supervised "
                f"with {self.rendering.name}: {self.no_system}.",
                code="template.unsupervisable",
                where=KEY,
                fix=f"{FIX}; or leave the system turns out (a context: data.context_place=user)",
            )
        if "tools" in roles:
            self.check_tools()

    def check_tools(self) -> None:
        """Refuse conversations that offer tools where the template does not show them, or calls cannot be learned.

        Raises:
            UserError: It does not.
        """
        if isinstance(self.with_tools, str):
            raise UserError(
                f"Tool calls cannot be used with {self.rendering.name}: {self.with_tools}.",
                code="template.no-tools",
                where=KEY,
                fix=FIX_TOOLS,
            )

    def prompt(self, conversation: Conversation) -> np.ndarray:
        """Tokens from which the assistant's next turn is generated, int32 ``[tokens]``.

        Raises:
            Unsupervisable: The template refuses the conversation.
        """
        turns = self._turns(conversation)
        rendering = self._proof_for(turns).answers.rendering
        text = rendering.text(turns, prompt=True)
        check_whole(turns, text)
        return rendering.encode(text).ids

    def supervise(self, conversation: Conversation, first: int = 0, context: Collection[int] = ()) -> Supervised:
        """Encode a conversation and mark what is learned of it.

        Args:
            conversation: Turns with a role and a content.
            first: Position of the first turn that is learned; answers before it are context alone.
            context: Positions of others that are.

        Raises:
            Unsupervisable: It cannot be determined for certain what is supervised; the message says why.
        """
        turns = self._turns(conversation)
        if self.no_system and any(turn["role"] == "system" for turn in turns):
            raise Unsupervisable(f"it has a system prompt: {self.no_system}")
        if len(turns) > len(conversation):  # the context is a turn of its own
            first, context = first + 1, [position + 1 for position in context]
        return self._proof_for(turns).answers.supervise(turns, first, context)

    def _proof_for(self, turns: Sequence[Mapping[str, Any]]) -> Proof:
        """What was proved of conversations such as this one, with tools or without."""
        if not (turns and turns[0].get("tools")):
            return self.proof
        if isinstance(self.with_tools, str):
            raise Unsupervisable(f"it offers tools: {self.with_tools}")
        return self.with_tools

    def _turns(self, conversation: Conversation) -> Sequence[Mapping[str, Any]]:
        """The turns as templates read them, with marks in the control tokens that are said.

        Thoughts of the assistant are the template's to leave out.
        """
        turns = with_context(plain(conversation))
        proof = self._proof_for(turns)
        control = proof.answers.rendering.control
        tools = _said(tools_of(turns), control, "the tools")
        for number, turn in enumerate(turns, 1):
            own = control - THOUGHTS if turn["role"] == "assistant" else control
            turn |= {key: _said(turn[key], own, f"turn {number}") for key in turn.keys() - {"role", "tools"}}
            if tools:
                turn["tools"] = tools
        return turns


def _said(value: Any, control: Collection[str], where: str) -> Any:
    """A text, or a JSON value with texts, with marks in the control tokens that are said."""
    if isinstance(value, str):
        if MARK in value or OWN in value:
            raise Unsupervisable(f"{where} contains a noncharacter (U+FDD0 or U+FDD1)")
        return marked(value, control)
    if isinstance(value, Mapping):
        return {_said(key, control, where): _said(each, control, where) for key, each in value.items()}
    return [_said(each, control, where) for each in value] if isinstance(value, (list, tuple)) else value
