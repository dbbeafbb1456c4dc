"""A proved chat template as a template of Go, which Ollama fills in, where it can be said so.

What a chat template writes around the turns is found by rendering conversations. The Go form is those texts in their
places; it counts only if it renders the same text as the chat template for every trial conversation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tunebook.families.text_generation.data.proof import probes
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.families.text_generation.data.template import ChatTemplate

Turns = Sequence[Mapping[str, str]]
_ACTION = re.compile(r"\{\{ (.*?) \}\}")


class Inexpressible(ValueError):
    """A chat template has no form in Go that is known to be right; the text is the reason."""


def go_template(template: ChatTemplate) -> str:
    """The template as Ollama's ``TEMPLATE``: an optional system prompt, then user and assistant in turn.

    Raises:
        Inexpressible: There is no such form, or it is not proved.
    """
    if "strftime_now" in template.text:
        raise Inexpressible("it writes the date of the day")
    try:
        found = _emit(template)
        for turns in _trials(not template.no_system):
            if evaluate(found, turns) != template.rendering.text(turns, prompt=True):
                raise Inexpressible("what it writes depends on more than the role of a turn")
    except Unsupervisable as error:
        raise Inexpressible(str(error)) from error
    return found


def _trials(system: bool) -> list[Turns]:
    """Trial conversations up to the last question, without a system prompt and with one."""
    return [turns[:-1] for each in ((False, True) if system else (False,)) for turns in probes(each)]


def _emit(template: ChatTemplate) -> str:
    turns = [{"role": role, "content": f"~{role}{n}~"} for n in (1, 2) for role in ("user", "assistant")]
    plain = _between(template, [*turns, {"role": "user", "content": "~user3~"}])
    before, to_assistant, to_user, *_, end = plain
    opening = before
    if not template.no_system:
        system = {"role": "system", "content": "~system1~"}
        first, behind, *_ = _between(template, [system, *turns, {"role": "user", "content": "~user3~"}])
        opening = f"{{{{ if .System }}}}{first}{{{{ .System }}}}{behind}{{{{ else }}}}{before}{{{{ end }}}}"
    return (
        f'{opening}{{{{ range .Messages }}}}{{{{ if eq .Role "user" }}}}{{{{ .Content }}}}'
        f'{{{{ else if eq .Role "assistant" }}}}{to_assistant}{{{{ .Content }}}}{to_user}'
        f"{{{{ end }}}}{{{{ end }}}}{end}"
    )


def _between(template: ChatTemplate, turns: Turns) -> list[str]:
    """What the template writes before, between and after turns whose texts are all different."""
    text = template.rendering.text(turns, prompt=True)
    parts = []
    for turn in turns:
        part, found, text = text.partition(turn["content"])
        if not found:
            raise Inexpressible(f"it leaves out or moves what the {turn['role']} says")
        parts.append(part)
    parts.append(text)
    for part in parts:
        if "{{" in part or "}}" in part or '"""' in part or not all(c.isprintable() or c in "\n\t" for c in part):
            raise Inexpressible(f"what it writes cannot stand in a Modelfile: {part!r}")
    return parts


def evaluate(go: str, turns: Turns) -> str:
    """What Go's text/template makes of a template as `go_template` writes it, as Ollama fills it in.

    Args:
        go: The template: the actions ``if``, ``else``, ``else if``, ``end``, ``range .Messages`` and fields.
        turns: The conversation.
    """
    texts = _ACTION.split(go)
    tokens = [token for token in zip(("text", "action") * len(texts), texts, strict=False) if token[1]]
    system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
    return _run(_parse(tokens)[0], {".System": system}, turns)


Node = tuple[str, str, "list[Node]", "list[Node]"]
"""Kind (text, field, if, range), what it says, what is done, and what is done else."""


def _parse(tokens: list[tuple[str, str]]) -> tuple[list[Node], str]:
    """The nodes up to the action that ends them, which is returned too; tokens are taken from the front."""
    nodes: list[Node] = []
    while tokens:
        kind, said = tokens.pop(0)
        if kind == "text":
            nodes.append(("text", said, [], []))
        elif said == "end" or said.startswith("else"):
            return nodes, said
        elif said.startswith(("if ", "range ")):
            nodes.append(_block(said, tokens))
        else:
            nodes.append(("field", said, [], []))
    return nodes, ""


def _block(said: str, tokens: list[tuple[str, str]]) -> Node:
    name, condition = said.split(" ", 1)
    body, ended_by = _parse(tokens)
    otherwise: list[Node] = []
    if ended_by.startswith("else if "):
        otherwise = [_block(ended_by.removeprefix("else "), tokens)]
    elif ended_by == "else":
        otherwise, ended_by = _parse(tokens)
    return (name, condition, body, otherwise)


def _run(nodes: list[Node], fields: Mapping[str, str], turns: Turns) -> str:
    parts = []
    for kind, said, body, otherwise in nodes:
        if kind == "text":
            parts.append(said)
        elif kind == "field":
            parts.append(fields[said])
        elif kind == "range":
            assert said == ".Messages"
            for turn in turns:
                parts.append(_run(body, {".Role": turn["role"], ".Content": turn["content"]}, turns))
        else:
            parts.append(_run(body if _holds(said, fields) else otherwise, fields, turns))
    return "".join(parts)


def _holds(condition: str, fields: Mapping[str, str]) -> bool:
    words = condition.split(" ")
    if words[0] == "eq":
        return fields[words[1]] == words[2].strip('"')
    return bool(fields[condition])
