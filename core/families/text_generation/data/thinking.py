"""Chat templates of models that think aloud before they answer: switched off where the template has a switch.

The switch is set in the text of the template, which the bundle keeps: training, generation and plain transformers then
render the same, whoever calls. Other ways, such as a system prompt that asks for it, are no switch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tunebook.families.text_generation.data.rendering import Rendering, Unsupervisable

SWITCHES = ("enable_thinking", "thinking", "reasoning", "enable_reasoning")
"""Variables of templates: Qwen, GLM, SmolLM and most others; DeepSeek, Granite, Kimi; Command A; rare."""
CLOSING = "</think>"
"""What ends thoughts in most templates, and in the conversations of models that think."""
THOUGHTS = frozenset(("<think>", CLOSING))
_LINE = "{{%- set {} = {} %}}\n"
_SET = re.compile(r"\{%- set (\w+) = false %\}\n")


def switched_off(template: str) -> list[str]:
    """The switches that the first lines of a template set to false, as `switch_off` writes them."""
    names = []
    while found := _SET.match(template):
        names.append(found.group(1))
        template = template[found.end() :]
    return [name for name in names if name in SWITCHES]


def switch_off(rendering: Rendering) -> Rendering:
    """Switch thinking off by every switch that changes what the template writes; without one, all stays as it is."""
    if switched_off(rendering.template):
        return rendering
    names = [name for name in SWITCHES if name in rendering.template and _has_effect(rendering, name)]
    lines = "".join(_LINE.format(name, "false") for name in names)
    return replace(rendering, template=lines + rendering.template)


def _has_effect(rendering: Rendering, name: str) -> bool:
    off, on = (
        replace(rendering, template=_LINE.format(name, value) + rendering.template) for value in ("false", "true")
    )
    return _samples(off) != _samples(on)


def _samples(rendering: Rendering) -> Sequence[str]:
    """A question and its answer, with a system prompt and without, as a prompt and as a conversation."""
    system, question = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is it?"}
    answer = {"role": "assistant", "content": "On its way."}
    found = []
    for turns, prompt in (([question], True), ([question, answer], False)):
        for before in ([], [system]):
            try:
                found.append(rendering.text([*before, *turns], prompt=prompt))
            except Unsupervisable:
                found.append("")
    return found
