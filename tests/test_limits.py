"""Templates of strangers that never end, or end in gigabytes: one message each, within seconds."""

from __future__ import annotations

import resource
import threading
import time

import pytest
from transformers import AutoTokenizer

from tunebook.errors import UserError
from tunebook.families.brief_to_text.data.template import PromptTemplate
from tunebook.families.text_generation.data.rendering import Rendering
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.limits import OverLimit, limited
from tunebook.models.source import STARTERS

ENDLESS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "loops over what is said": "{% for a in given %}{% for b in given %}{% for c in given %}{% for d in given %}"
    "{% for e in given %}{% for f in given %}{% for g in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
    "a macro that calls itself twice": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(60) }}",
}
LARGE = {
    "doubling": "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}"
    "{% endfor %}{{ ns.x }}",
    "a text times a number": "{{ given|string * 10000000000 }}",
    "a constant": "{{ 'a' * 10000000000 }}",
    "a list": "{{ ([given] * 3000000000)|length }}",
    "padding": "{{ 'a'|center(9000000000) }}",
    "a format": "{{ '%9000000000d' % 1 }}",
    "replacing": "{% set a = 'a' * 1000000 %}{{ a|replace('a', a) }}",
}
POWER = {"a power": "{{ 9 ** 9 ** 9 ** 9 }}", "a power of what is given": "{{ (given|length + 9) ** 999999999 }}"}
CASES = {**ENDLESS, **LARGE, **POWER}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(STARTERS / "starter_text")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["chat", "prompt"])
def test_a_template_that_takes_too_long_or_too_much_is_refused_within_seconds(tmp_path, tokenizer, kind, case):
    file = tmp_path / "own.jinja"
    given = "messages" if kind == "chat" else "fields.values()|list"
    file.write_text("{% set given = " + given + " %}" + CASES[case], encoding="utf-8")
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UserError) as caught:
        if kind == "chat":
            ChatTemplate.of(tokenizer, file)
        else:
            PromptTemplate.of(file)
    assert time.process_time() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # KiB: a GiB
    assert str(file) in f"{caught.value.what} {caught.value.where}"
    assert "\n" not in caught.value.what


def test_what_is_done_in_time_is_not_disturbed():
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    with limited():
        assert sum(range(1000)) == 499500
    assert resource.getrlimit(resource.RLIMIT_DATA) == limits
    with pytest.raises(ValueError, match="its own"), limited():
        raise ValueError("its own")
    assert resource.getrlimit(resource.RLIMIT_DATA) == limits
    bytearray(1 << 30)  # nothing is limited any more


def test_a_limit_holds_and_ends_with_its_block():
    with pytest.raises(OverLimit, match="does not come to an end"), limited(seconds=0.2):
        while True:
            pass
    with pytest.raises(OverLimit, match="more than 64 MiB of memory"), limited(memory=1 << 26):
        bytearray(1 << 32)  # more than the heap may have free from what was done before
    end = time.process_time() + 0.5
    while time.process_time() < end:  # the timer is off
        pass


def test_another_thread_is_limited_in_memory_alone():
    said = []

    def work():
        try:
            with limited(seconds=0.1, memory=1 << 26):
                end = time.process_time() + 0.3
                while time.process_time() < end:
                    pass
                bytearray(1 << 32)  # more than the heap may have free from what was done before
        except OverLimit as error:
            said.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert said == ["needs more than 64 MiB of memory"]


def test_stars_that_are_no_power_are_let_in(tmp_path, tokenizer):
    file = tmp_path / "own.jinja"
    file.write_text(
        "{% macro said(role, text) %}**{{ role }}**: {{ text }}{% endmacro %}"
        "{% for m in messages %}{{ said(**{'role': m.role, 'text': m.content}) }}{% endfor %}",
        encoding="utf-8",
    )
    rendering = Rendering.of(tokenizer, file)
    assert rendering.text([{"role": "user", "content": "2 ** 3"}]) == "**user**: 2 ** 3"
