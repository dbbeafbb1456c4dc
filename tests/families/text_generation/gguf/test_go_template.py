"""Chat templates in Go's form for Ollama: what is written by hand is found, and what cannot be said is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.chatted import STARTER
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.gguf.go_template import Inexpressible, evaluate, go_template
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer

SYSTEM = {"role": "system", "content": "Be brief."}
CHAT = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi {{ .Content }}"},
    {"role": "user", "content": "Where?"},
]
SIMPLE = (
    "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(ModelSource(str(STARTER), STARTER))


def template_of(tokenizer: Any, text: str, folder: Path) -> ChatTemplate:
    file = folder / "chat.jinja"
    file.write_text(text, encoding="utf-8")
    return ChatTemplate.of(tokenizer, file)


def test_the_starters_template(tokenizer: Any) -> None:
    found = go_template(ChatTemplate.of(tokenizer))
    assert found == (
        "{{ if .System }}<|endoftext|><|system|>{{ .System }}<|end|><|user|>{{ else }}<|endoftext|><|user|>{{ end }}"
        '{{ range .Messages }}{{ if eq .Role "user" }}{{ .Content }}'
        '{{ else if eq .Role "assistant" }}<|end|><|assistant|>{{ .Content }}<|end|><|user|>{{ end }}{{ end }}'
        "<|end|><|assistant|>"
    )
    assert evaluate(found, [SYSTEM, *CHAT]) == (
        "<|endoftext|><|system|>Be brief.<|end|><|user|>Hello<|end|><|assistant|>Hi {{ .Content }}<|end|>"
        "<|user|>Where?<|end|><|assistant|>"
    )
    assert evaluate(found, CHAT[:1]) == "<|endoftext|><|user|>Hello<|end|><|assistant|>"


def test_a_system_prompt_of_its_own(tokenizer: Any, tmp_path: Path) -> None:
    own = "{% if messages[0].role != 'system' %}{{ '<|system|>You are kind.<|end|>' }}{% endif %}" + SIMPLE
    found = go_template(template_of(tokenizer, own, tmp_path))
    assert evaluate(found, CHAT[:1]) == "<|system|>You are kind.<|end|><|user|>Hello<|end|><|assistant|>"
    assert evaluate(found, [SYSTEM, CHAT[0]]) == "<|system|>Be brief.<|end|><|user|>Hello<|end|><|assistant|>"


def test_a_system_prompt_within_the_first_question(tokenizer: Any, tmp_path: Path) -> None:
    folded = (
        "{% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %}"
        "{% set ns.system = m.content + '\\n\\n' %}{% elif m.role == 'user' %}"
        "{{ '<|user|>' + ns.system + m.content + '<|end|>\\n' }}{% set ns.system = '' %}"
        "{% else %}{{ '<|assistant|>' + m.content + '<|end|>\\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    )
    found = go_template(template_of(tokenizer, folded, tmp_path))
    assert evaluate(found, [SYSTEM, *CHAT]) == (
        "<|user|>Be brief.\n\nHello<|end|>\n<|assistant|>Hi {{ .Content }}<|end|>\n<|user|>Where?<|end|>\n<|assistant|>"
    )


def test_no_system_prompt_where_the_template_takes_none(tokenizer: Any, tmp_path: Path) -> None:
    none = SIMPLE.replace("{{ '<|'", "{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ '<|'", 1)
    template = template_of(tokenizer, none, tmp_path)
    assert template.no_system
    found = go_template(template)
    assert ".System" not in found
    assert evaluate(found, CHAT[:1]) == "<|user|>Hello<|end|><|assistant|>"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("the date", "{% if false %}{{ strftime_now('%d') }}{% endif %}" + SIMPLE),
        ("more than the role", SIMPLE.replace("{{ '<|'", "{{ '~' if loop.index == 5 }}{{ '<|'", 1)),
        (
            "more than the role",
            SIMPLE.replace("'<|end|>' }}", "('!' if m.role == 'user' and 'é' in m.content else '') + '<|end|>' }}"),
        ),
        ("cannot stand in a Modelfile", '{{ \'<|system|>a """ b<|end|>\' }}' + SIMPLE),
        ("cannot stand in a Modelfile", "{{ '<|system|>{' + '{ x }' + '}<|end|>' }}" + SIMPLE),
    ],
)
def test_what_has_no_form_in_go_is_left_out(reason: str, text: str, tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(Inexpressible, match=reason):
        go_template(template_of(tokenizer, text, tmp_path))


def test_gos_actions_are_evaluated_as_go_does() -> None:
    go = '[{{ if .System }}s={{ .System }}{{ end }}{{ range .Messages }}{{ if eq .Role "user" }}u={{ .Content }};'
    go += '{{ else if eq .Role "tool" }}t{{ else }}o{{ end }}{{ end }}]'
    assert evaluate(go, CHAT) == "[u=Hello;ou=Where?;]"
    assert evaluate(go, [SYSTEM, *CHAT[:1]]) == "[s=Be brief.ou=Hello;]"
    assert evaluate(go, [{"role": "tool", "content": "x"}]) == "[t]"
