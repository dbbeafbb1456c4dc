"""Templates of models that think aloud: what is learned after a prompt is what generation is prompted with."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.chatted import STARTER, chatted, tiny_llama, write_chats
from tests.conftest import Tunebook
from tests.user_error import user_error
from tunebook.families.text_generation.data.answers import Method
from tunebook.families.text_generation.data.supervision import fit
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.data.thinking import switched_off
from tunebook.families.text_generation.options import Overlength
from tunebook.run_folder import RunFolder

TEMPLATES = Path(__file__).parent / "templates"
TURNS = [
    {"role": "user", "content": "Where?"},
    {"role": "assistant", "content": "Here."},
    {"role": "user", "content": "When?"},
    {"role": "assistant", "content": "Now."},
]
EMPTY = "<think>\n\n</think>\n\n"
FIRST = f"<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n{EMPTY}"
SECOND = (
    "<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\nHere.<|im_end|>\n"
    f"<|im_start|>user\nWhen?<|im_end|>\n<|im_start|>assistant\n{EMPTY}"
)


def tokenizer(template: str) -> Any:
    """The starter's tokenizer with the tokens of Qwen 3, of which those around thoughts are no special ones."""
    words = AutoTokenizer.from_pretrained(STARTER)
    words.add_tokens([AddedToken(name, normalized=False, special=True) for name in ("<|im_start|>", "<|im_end|>")])
    words.add_tokens([AddedToken(name, normalized=False) for name in ("<think>", "</think>")])
    words.eos_token = "<|im_end|>"
    words.chat_template = (TEMPLATES / template).read_text(encoding="utf-8")
    return words


def test_each_answer_is_learned_behind_the_prompt_that_generation_has() -> None:
    words = tokenizer("thinks.jinja")
    template = ChatTemplate.of(words)
    assert template.method is Method.last_prefix and switched_off(template.text) == ["enable_thinking"]
    assert template.facts()["thinking"] == "switched off (enable_thinking)"
    assert template.no_system is None
    fitted = fit(TURNS, template, 200)
    assert not fitted.rejected
    for row, prompt, answer in zip(fitted.rows, (FIRST, SECOND), ("Here.<|im_end|>", "Now.<|im_end|>"), strict=True):
        assert words.decode(row.ids) == f"{prompt}{answer}\n"
        assert words.decode(row.ids[row.supervised]) == answer
        assert words.decode(row.ids[: row.supervised.argmax()]) == prompt
    for turns, prompt in ((TURNS[:1], FIRST), (TURNS[:3], SECOND)):
        assert words.decode(template.prompt(turns)) == prompt
        # The template as others call it, with its switch.
        theirs = words.apply_chat_template(turns, add_generation_prompt=True, enable_thinking=False, tokenize=False)
        assert theirs == prompt


def test_windows_and_policies_hold_for_rows_of_one_answer() -> None:
    template = ChatTemplate.of(tokenizer("thinks.jinja"))
    whole = len(fit(TURNS, template, 200).rows[1])
    decode = template.tokenizer.decode
    fitted = fit(TURNS, template, whole - 1)
    assert [decode(row.ids[row.supervised]) for row in fitted.rows] == ["Here.<|im_end|>", "Now.<|im_end|>"]
    assert "Where?" not in decode(fitted.rows[1].ids)
    assert len(fit(TURNS, template, whole, Overlength.error).rows) == 2
    assert fit(TURNS, template, whole - 1, Overlength.reject).rejected
    with user_error("data.too-long"):
        fit(TURNS, template, whole - 1, Overlength.error)


def test_an_answer_that_thinks_is_rejected_and_thoughts_of_turns_before_are_left_out() -> None:
    template = ChatTemplate.of(tokenizer("thinks.jinja"))
    thoughtful = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHere."}
    fitted = fit([TURNS[0], thoughtful], template, 200)
    assert not fitted.rows and "think" in fitted.rejected[0]


def test_other_names_of_the_switch() -> None:
    words = tokenizer("thinks_by_another_name.jinja")
    template = ChatTemplate.of(words)
    assert template.facts()["thinking"] == "switched off (thinking)"
    (row,) = fit(TURNS, template, 200).rows
    assert words.decode(row.ids[row.supervised]) == "Here.<|im_end|>Now.<|im_end|>"
    assert words.decode(template.prompt(TURNS[:1])).endswith("<|im_start|>assistant\n</think>")


def test_a_template_without_a_switch_is_refused_with_the_reason() -> None:
    with user_error("template.unsupervisable", match="renders the conversation differently than as a prompt"):
        ChatTemplate.of(tokenizer("thinks_always.jinja"))


def test_a_variable_of_that_name_that_changes_nothing_is_no_switch() -> None:
    words = tokenizer("thinks.jinja")
    chatml = (TEMPLATES / "chatml.jinja").read_text(encoding="utf-8")
    words.chat_template = "{%- set thinking = messages[0].reasoning | default('') %}" + chatml
    template = ChatTemplate.of(words)
    assert template.text == words.chat_template and "thinking" not in template.facts()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thinks")
    tokenizer("thinks.jinja").save_pretrained(folder / "words")
    return tiny_llama(folder / "model", tokenizer=folder / "words")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, base: Path) -> RunFolder:
    folder = tmp_path_factory.mktemp("run")
    rows = write_chats(folder / "chats.jsonl", 40)
    given = ["trainer.max_steps=3", "recipe.max_new_tokens=4", "evaluation.max_generations=8", "data.max_length=160"]
    return chatted(folder, f"data.train={rows}", f"model.name={base}", *given)


def test_the_bundle_prompts_plain_transformers_and_predict_alike(
    run: RunFolder, tmp_path: Path, tunebook: Tunebook
) -> None:
    words, model = AutoTokenizer.from_pretrained(run.bundle), AutoModelForCausalLM.from_pretrained(run.bundle).eval()
    assert words.apply_chat_template(TURNS[:3], add_generation_prompt=True, tokenize=False) == SECOND
    assert "Thinking is switched off in the template (enable_thinking)" in (run.bundle / "README.md").read_text()
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps({"messages": turns}) + "\n" for turns in (TURNS[:1], TURNS[:3])))
    done = tunebook("predict", str(run.bundle), str(file))
    assert done.returncode == 0, done.stderr
    answers = [row["answer"] for row in csv.DictReader(io.StringIO(done.stdout))]
    for turns, answer in zip((TURNS[:1], TURNS[:3]), answers, strict=True):
        # What the card says to do.
        inputs = words.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        written = model.generate(**inputs, max_new_tokens=4)
        assert words.decode(written[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip() == answer


def test_every_answer_counts_once_in_the_scores(run: RunFolder) -> None:
    with run.losses.open(newline="", encoding="utf-8") as stream:
        losses = list(csv.DictReader(stream))
    words = AutoTokenizer.from_pretrained(run.bundle)
    lines = (run.path.parent / "chats.jsonl").read_text().splitlines()
    for row in losses:
        turns = json.loads(lines[int(row["line"]) - 1])["messages"]
        answers = [turn["content"] for turn in turns if turn["role"] == "assistant"]
        wanted = sum(len(words(answer, add_special_tokens=False)["input_ids"]) + 1 for answer in answers)
        assert int(row["tokens"]) == wanted


def test_check_says_that_thinking_is_off(tunebook: Tunebook, tmp_path: Path, base: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 40)
    done = tunebook("check", "recipe=customer_chat", f"data.train={rows}", f"model.name={base}")
    assert done.returncode == 0, done.stderr
    assert "thinking: switched off (enable_thinking)" in done.stdout
