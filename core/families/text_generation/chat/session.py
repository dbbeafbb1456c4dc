"""A conversation between a person and a model: its turns, the prompts of the model, and where it is saved."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunebook.families.text_generation.chat.checks import not_writable
from tunebook.families.text_generation.data.check import check
from tunebook.families.text_generation.data.message import Message, ToolCall, Tools, UnusableConversation, offering
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.families.text_generation.data.tool_calls import openai_calls, read_calls
from tunebook.families.text_generation.data.tools import tool_names
from tunebook.families.text_generation.predictor import TextGenerator


@dataclass
class Chat:
    """What was said so far, and the model that answers.

    Attributes:
        model: With its sampling settings.
        device: Where it computes.
        notify: Takes a line for the person.
        save: File that every conversation is appended to when it ends; None keeps none.
        system: The system prompt; "" is none.
        turns: Questions and their whole answers, in turn.
        shortened: Whether the last prompt was truncated: without the earliest turns.
        help: What a person can type besides questions.
        cut: Of each exchange, whether its answer was cut off at the most tokens allowed.
        tools: What the model may call; the person answers for them.
        results: The results of the last turn's calls so far, until there is one for each.
    """

    model: TextGenerator
    device: str
    notify: Callable[[str], None]
    save: Path | None = None
    system: str = ""
    help: str = ""
    turns: list[Message] = field(default_factory=list)
    shortened: bool = False
    cut: list[bool] = field(default_factory=list)
    tools: Tools = ()
    results: list[Message] = field(default_factory=list)

    @property
    def messages(self) -> list[Message]:
        """The conversation so far."""
        return offering([Message("system", self.system)] * bool(self.system) + self.turns, self.tools)

    @property
    def waiting(self) -> ToolCall | None:
        """The call whose result is to come next."""
        calls = self.turns[-1].calls if self.turns else ()
        return calls[len(self.results)] if len(self.results) < len(calls) else None

    def begin(self, system: str) -> None:
        """Start over under a system prompt; where the model refuses it, all stays as it was.

        Raises:
            UnusableConversation: It does.
        """
        system = _normal(system.strip())
        if system:
            self._check(offering([Message("system", system), Message("user", "?")], self.tools))
        self.end()
        self.system, self.shortened = system, False

    def end(self) -> None:
        """Forget the conversation; save it first where that is wanted."""
        if self.save and self.turns:
            self.notify(self.saved(self.save))
        self.turns.clear()
        self.cut.clear()
        self.results.clear()

    def undo(self) -> str | None:
        """Remove the last exchange; returns its question, or None where there is none."""
        self.results.clear()
        if not self.turns:
            return None
        del self.turns[-1:], self.cut[-1:]
        question = ""
        while self.turns and self.turns[-1].role != "assistant":
            question = self.turns.pop().content
        return question

    def answer(self, text: str) -> Iterator[str]:
        """Ask, and hand on the answer as it is made; the exchange is kept once the answer is whole.

        After a turn that calls tools the text is the result of the next call; the last of them asks.

        Raises:
            UnusableConversation: The model cannot take this prompt; at once, not with the first piece.
        """
        asked, results = [Message("user", _normal(text))], list(self.results)
        check(asked, answered=False)
        if call := self.waiting:
            asked = [*results, Message("tool", _normal(text), name=call.name, call_id=call.id)]
            if len(asked) < len(self.turns[-1].calls):
                self.results = asked
                self.notify(f"note: and the result of {self.waiting.text if self.waiting else ''}?")
                return iter(())
        before, generation = self.model.truncated, self.model.generation
        try:
            pieces = self.model.stream(offering([*self.messages, *asked], self.tools), self.device)
        except Unsupervisable as error:
            raise UnusableConversation(str(error)) from error
        self.results = []
        # So that a repeated question may get another answer; the same session still gets the same ones.
        self.model.generation = replace(generation, seed=generation.seed + 1)
        shortened = self.model.truncated > before
        if shortened and not self.shortened:
            self.notify("note: earlier turns no longer fit and were dropped")
        self.shortened = shortened
        return self._recorded(asked, pieces)

    def saved(self, file: Path) -> str:
        """Append the conversation to a file, and say so; half an answer is no example of a good one, and counted.

        Raises:
            UserError: The file cannot be written.
        """
        note = f"saved: {self.append_to(file)}"
        if any(self.cut):
            one = sum(self.cut) == 1
            note += f"; {sum(self.cut)} of its {len(self.cut)} answers {'is' if one else 'are'} unfinished: "
            note += f"fix {'it' if one else 'them'} before you train on {'it' if one else 'them'}"
        return note

    def append_to(self, file: Path) -> Path:
        """Append the conversation as a line of ``{"messages": [...]}``.

        Raises:
            UserError: The file cannot be written.
        """
        tools = {"tools": list(self.tools)} if self.tools else {}
        line = json.dumps({"messages": list(map(_openai, self.messages)), **tools}, ensure_ascii=False) + "\n"
        try:
            unended = file.exists() and file.stat().st_size and not file.read_bytes().endswith(b"\n")
            with file.open("ab") as stream:
                stream.write(b"\n" * bool(unended) + line.encode("utf-8"))
        except OSError as error:
            raise not_writable(file, error.strerror) from error
        return file

    def _answer(self, text: str) -> Message:
        """What the model wrote, as a turn: its calls of known tools are calls."""
        found = read_calls(text) if self.tools else None
        if found is None or found.broken or not {call.name for call in found.calls} <= set(tool_names(self.tools)):
            return Message("assistant", text)
        before = len([call for turn in self.turns for call in turn.calls])
        calls = tuple(replace(call, id=f"call{before + i:05}") for i, call in enumerate(found.calls))
        return Message("assistant", found.content, calls=calls)

    def _check(self, messages: list[Message]) -> None:
        check(messages, answered=False)
        try:
            self.model.encode_prompt(messages)
        except Unsupervisable as error:
            raise UnusableConversation(str(error)) from error

    def _recorded(self, asked: list[Message], pieces: Iterator[str]) -> Iterator[str]:
        answer, before = "", self.model.unfinished
        for piece in pieces:
            answer += piece
            yield piece
        if answer:
            self.turns += [*asked, self._answer(_normal(answer))]
            self.cut.append(self.model.unfinished > before)
            if call := self.waiting:
                self.notify(f"note: the model calls a tool; the next line is the result of {call.text}")
        else:  # a turn without words can be neither a target nor part of a prompt
            self.notify("note: the model gave an empty answer; the question was removed")


def _openai(message: Message) -> dict[str, Any]:
    """A turn in OpenAI's form, as training takes it."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        turn["tool_calls"] = json.loads(openai_calls(message.calls))
    if message.call_id:
        turn |= {"tool_call_id": message.call_id, "name": message.name}
    return turn


def _normal(text: str) -> str:
    """In Unicode normal form C, as all that was trained on."""
    return unicodedata.normalize("NFC", text)
