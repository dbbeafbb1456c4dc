"""Wrong arguments of the verbs without a config: one message each, with a call that works."""

from __future__ import annotations

import pytest

from tests.user_error import user_error
from tunebook.cli.verbs import PLAIN, named

CALLS = {  # what was typed -> where, and words of the message
    "new": ("tunebook new", ["name, --family", "tunebook new local_news --family "]),
    "new news --famly x": ("tunebook new news --famly x", ["did you mean --family?"]),
    "predict": ("tunebook predict", ["needs more: model\n", "tunebook predict <run or bundle> rows.csv"]),
    "predict run --max-rejects few": ("--max-rejects", ["a whole number, not 'few'"]),
    "predict run --accelerator tpu": ("--accelerator", ["'tpu'", "choose from auto, cpu, gpu, mps"]),
    "predict run --txt review": ("--txt review", ["did you mean --text?"]),
    "predict run -o": ("-o/--output", ["no value"]),
    "predict run --o x.csv": ("tunebook predict", ["--output, --overwrite"]),
    "export run": ("tunebook export run", ["--output", "-o model.onnx"]),
    "export run more -o model.onnx": ("more", ["does not take"]),
    "chat": ("tunebook chat", ["model", "tunebook chat <run or bundle>"]),
    "chat run --temperature warm": ("--temperature", ["a number, not 'warm'"]),
    "verify news --onlly head": ("--onlly head", ["did you mean --only?"]),
}


@pytest.mark.parametrize("call", CALLS)
def test_wrong_arguments_are_one_message_with_an_example(call: str, capsys: pytest.CaptureFixture[str]) -> None:
    verb, *typed = call.split()
    where, words = CALLS[call]
    with user_error("command.bad-arguments", where=where) as caught:
        named(PLAIN[verb])(typed)
    for word in [*words, f"`tunebook {verb} --help`"]:
        assert word in str(caught.value), str(caught.value)
    assert capsys.readouterr() == ("", "")
