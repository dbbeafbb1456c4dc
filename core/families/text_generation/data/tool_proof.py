"""Proof, on conversations made for it, that a chat template shows tools to the model and lets it learn their calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tunebook.families.text_generation.data.answers import Answers
from tunebook.families.text_generation.data.message import ToolCall
from tunebook.families.text_generation.data.proof import SYSTEM, Proof, Turns, check_prompts, check_tokens, methods
from tunebook.families.text_generation.data.rendering import KEY, Unsupervisable
from tunebook.families.text_generation.data.tool_calls import read_calls, same_calls

FIX = (
    f"take a chat model whose template writes tools, such as Qwen2.5, Qwen3 or Llama 3.1; or give such a template: "
    f"{KEY}=<file.jinja>; or leave the column 'tools' out"
)
_RESULT = "Result"
_TOOLS = (
    {
        "type": "function",
        "function": {
            "name": "find_order",
            "description": "Finds the order of a customer.",
            "parameters": {
                "type": "object",
                "properties": {"number": {"type": "integer"}, "town": {"type": "string"}},
                "required": ["number"],
            },
        },
    },
    {"type": "function", "function": {"name": "give_refund", "description": "Pays money back.", "parameters": {}}},
)
_ARGUMENTS: tuple[dict[str, Any], ...] = (
    {"number": 17, "town": "Köln"},
    {"number": -2.5, "paid": True, "note": None, "parts": [{"name": 'a "b" <c> 你好\n'}, []]},
)


def tool_probes(system: bool = False) -> list[list[dict[str, Any]]]:
    """Conversations with calls and results of tools: at the end, between answers, one after the other."""
    first, second = [_call("find_order", _ARGUMENTS[0])], [_call("give_refund", _ARGUMENTS[1])]
    turns = [
        _said("user", "Question about order 1"),
        {**_said("assistant", ""), "tool_calls": first},
        {**_said("tool", f"{_RESULT} 1 of it"), "name": "find_order", "tool_call_id": "callnr001"},
        _said("assistant", "Answer about order 1"),
        _said("user", "Question about order 2"),
        {**_said("assistant", ""), "tool_calls": second},
        {**_said("tool", f'{{"state": "{_RESULT} 2"}}'), "name": "give_refund", "tool_call_id": "callnr001"},
        {**_said("assistant", ""), "tool_calls": first},
        {**_said("tool", f"{_RESULT} 3"), "name": "find_order", "tool_call_id": "callnr001"},
        _said("assistant", "Answer about order 2"),
    ]
    before = [_said("system", SYSTEM)] if system else []
    return [[{**turn, "tools": _TOOLS} for turn in [*before, *turns[:end]]] for end in (2, 4, 6, 8, 10)]


def _said(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def _call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return ToolCall(name, arguments, "callnr001").to_openai()  # Mistral wants nine letters or digits


def prove_tools(proof: Proof) -> Proof:
    """Find a method that is right about all trial conversations with tools.

    Args:
        proof: What was proved of the template without tools.

    Raises:
        Unsupervisable: None is; the message says why.
    """
    rendering = proof.answers.rendering
    plain = [_said("user", "Question")]
    shown = rendering.text([{**turn, "tools": _TOOLS} for turn in plain], prompt=True)
    if not all(_stands(name, shown) for name in _names(_TOOLS)):
        raise Unsupervisable("it leaves tools out of the prompt")
    sample = rendering.text(tool_probes()[-1])
    rendering = replace(rendering, control=rendering.control | rendering.control_tokens(sample).keys())
    complaints = []
    for method in methods(rendering):
        answers = Answers(rendering, method, proof.answers.end_of_turn)
        try:
            for system in (False,) if proof.no_system else (False, True):
                for turns in tool_probes(system):
                    _check(answers, turns)
        except Unsupervisable as error:
            complaints.append(f"by {method.value}, {error}")
        else:
            return replace(proof, answers=answers)
    raise Unsupervisable("; ".join(complaints))


def _names(tools: Any) -> list[str]:
    """What a model must see of tools: their names, descriptions and parameters."""
    functions = [tool["function"] for tool in tools]
    parameters = [name for function in functions for name in function["parameters"].get("properties", {})]
    return [text for function in functions for text in (function["name"], function["description"])] + parameters


def _stands(name: str, text: str) -> bool:
    return name in text or json.dumps(name)[1:-1] in text


def _check(answers: Answers, turns: Turns) -> None:
    """Tokens and prompts are right, calls are read back from the tokens that are learned, and no result is learned."""
    check_tokens(answers, turns)
    text, spans = answers.spans(turns)
    check_prompts(answers, turns, text, spans)
    decode = answers.rendering.tokenizer.decode
    for position in spans:
        turn = turns[position]
        row = answers.supervise(turns[: position + 1], first=position)
        learned = row.ids[row.supervised].tolist()
        if _RESULT in decode(learned):
            raise Unsupervisable("what a tool says would be supervised")
        # As an answer is read that the model has written.
        written = read_calls(decode(learned, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip())
        wanted = [ToolCall.of_openai(call) for call in turn.get("tool_calls", ())]
        if written.broken or not same_calls(written.calls, wanted):
            raise Unsupervisable(f"the tool calls of turn {position + 1} cannot be read back from their tokens")
        if not wanted and written.content != turn["content"]:
            raise Unsupervisable(f"what the assistant says in turn {position + 1} is not what would be supervised")
