"""`chat`: what a person types, what the model is asked with, what comes back, and what is kept."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chatted import STARTER, chatted_briefly
from tests.conftest import Tunebook
from tests.user_error import user_error
from tunebook.bundle.read import open_bundle
from tunebook.cli.chat import chat_command
from tunebook.families.text_generation.chat.checks import saving_place
from tunebook.families.text_generation.chat.command import _obey, _write
from tunebook.families.text_generation.chat.session import Chat
from tunebook.families.text_generation.data.check import check
from tunebook.families.text_generation.data.message import Message, UnusableConversation
from tunebook.families.text_generation.data.parse import parse
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.options import ConversationFormat
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.terminal import drawn

QUESTIONS = ["Where is my parcel?", "It is order 80-4416."]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a run of two steps."""
    return chatted_briefly(tmp_path_factory.mktemp("chat")).bundle


@pytest.fixture(scope="module")
def opened(bundle: Path) -> TextGenerator:
    writer: TextGenerator = open_bundle(bundle)[2]
    return writer


@pytest.fixture
def writer(opened: TextGenerator) -> TextGenerator:
    return replace(opened, generation=Generation(max_new_tokens=12), truncated=0)


def told_chat(writer: TextGenerator) -> tuple[Chat, list[str]]:
    told: list[str] = []
    return Chat(writer, "cpu", told.append), told


def by_transformers(bundle: Path, questions: Sequence[str], longest: int, system: str = "") -> list[str]:
    """The same conversation with nothing of ours: what a reader of the bundle's card would write."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(bundle)
    model: Any = AutoModelForCausalLM.from_pretrained(bundle)
    messages = [{"role": "system", "content": system}] if system else []
    for question in questions:
        messages.append({"role": "user", "content": question})
        asked = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        whole = model.generate(**asked, max_new_tokens=longest, do_sample=False)[0]
        answer = tokenizer.decode(whole[asked["input_ids"].shape[1] :], skip_special_tokens=True)
        messages.append({"role": "assistant", "content": answer.strip()})
    return [turn["content"] for turn in messages if turn["role"] == "assistant"]


class Lines(io.TextIOWrapper):
    """Standard input that is a pipe."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")


def piped(patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes, *arguments: object) -> str:
    patch.setattr(sys, "stdin", Lines(content))
    capsys.readouterr()
    chat_command([str(argument) for argument in arguments])
    return capsys.readouterr().out


# What is streamed, and with what the model is asked.


def answered(writer: TextGenerator, conversation: list[Message]) -> str:
    ((completion,),) = writer.completions([writer.encode_prompt(conversation)])
    return completion.text


def test_the_pieces_together_are_the_answer_with_no_white_space_around_it(writer: TextGenerator) -> None:
    padded = 0
    for seed in range(25):
        writer.generation = Generation(max_new_tokens=6, do_sample=True, temperature=2.0, seed=seed)
        conversation = [Message("user", f"Where is parcel {seed}?")]
        pieces = list(writer.stream(conversation))
        answer = answered(writer, conversation)
        assert "".join(pieces) == answer and all(pieces)
        bare = replace(writer)
        bare.decode = lambda ids: writer.tokenizer.decode(list(ids), skip_special_tokens=True)  # type: ignore[method-assign]
        padded += answered(bare, conversation) != answer
    assert padded, "no answer had white space to leave out"


def test_a_pipe_gets_the_answers_alone_and_each_turn_remembers_those_before(bundle: Path, tunebook: Tunebook) -> None:
    lines = f"{QUESTIONS[0]}\n\n   \n{QUESTIONS[1]}\r\n"
    done = tunebook("chat", str(bundle.parent), "--system", "Be brief.", "--max-new-tokens", "12", input=lines)
    note = "note: this answer was truncated at 12 tokens; raise --max-new-tokens\n"
    assert (done.returncode, done.stderr) == (0, note * 2)
    expected = by_transformers(bundle, QUESTIONS, 12, "Be brief.")
    assert done.stdout == "".join(f"{drawn(answer)}\n" for answer in expected)
    assert expected != by_transformers(bundle, QUESTIONS, 12), "the system prompt is read"


def test_draws_come_again_with_the_same_seed(
    bundle: Path, opened: TextGenerator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(seed: int) -> list[str]:
        options = ["--temperature", 1.5, "--top-p", 0.9, "--max-new-tokens", 8, "--seed", seed]
        return piped(monkeypatch, capsys, b"Hello there.\nHello there.\n", bundle, *options).splitlines()

    first = said(3)
    assert first == said(3) != said(4)
    drawing = Generation(max_new_tokens=8, do_sample=True, temperature=1.5, top_p=0.9, seed=3)
    ours = replace(opened, generation=drawing)
    assert "\n".join(first).startswith(drawn(answered(ours, [Message("user", "Hello there.")])))


def test_a_question_asked_again_is_drawn_anew(writer: TextGenerator) -> None:
    writer.generation = Generation(max_new_tokens=8, do_sample=True, temperature=1.5)
    chat, _ = told_chat(writer)
    answers = set()
    for _ in range(4):
        answers.add("".join(chat.answer("Hello there.")))
        chat.undo()
    assert len(answers) > 1


def test_earliest_turns_are_left_out_and_this_is_told_once(writer: TextGenerator) -> None:
    writer.max_length = 90
    chat, told = told_chat(writer)
    lengths = []
    for _ in range(8):
        lengths.append(len(writer.template.prompt([*chat.messages, Message("user", QUESTIONS[0])])))
        assert "".join(chat.answer(QUESTIONS[0]))
    over = sum(length > 90 for length in lengths)
    assert 2 <= over == writer.truncated < 8
    assert told == ["note: earlier turns no longer fit and were dropped"]
    chat.begin("")
    while not writer.truncated > over:
        list(chat.answer(QUESTIONS[0]))
    assert len(told) == 2, "a new conversation is told of anew"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("parcel " * 200, "there is room for"),
        ("what is \ufdd0 for?", "noncharacter"),
        ("nothing\0here", "NUL"),
        ("half \udc80 a letter", "surrogate"),
    ],
)
def test_a_turn_that_cannot_be_asked_is_dropped_and_the_next_goes_on(
    text: str, reason: str, writer: TextGenerator
) -> None:
    writer.max_length = 100
    chat, _ = told_chat(writer)
    first = "".join(chat.answer(QUESTIONS[0]))
    before = list(chat.turns)
    with pytest.raises(UnusableConversation, match=re.escape(reason)):
        chat.answer(text)
    assert chat.turns == before == [Message("user", QUESTIONS[0]), Message("assistant", first)]
    assert "".join(chat.answer(QUESTIONS[1]))


@pytest.mark.parametrize("does", ["{{ raise_exception('no system') }}", ""], ids=["refuses", "leaves out"])
def test_a_system_prompt_that_the_template_does_not_take(does: str, writer: TextGenerator, tmp_path: Path) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}"
        + does
        + "{% else %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    bare = replace(writer, template=ChatTemplate.of(writer.tokenizer, file))
    with pytest.raises(Unsupervisable):
        bare.encode_prompt([Message("system", "Be brief."), Message("user", "Hello.")])
    chat, told = told_chat(bare)
    list(chat.answer(QUESTIONS[0]))
    _obey(chat, "/system", "Be brief.")
    assert chat.system == "" and len(chat.turns) == 2, "all stays as it was"
    assert "".join(chat.answer(QUESTIONS[1])) and told == []


def test_text_is_in_normal_form_and_draws_control_characters(
    writer: TextGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    chat, _ = told_chat(writer)
    list(chat.answer("Cafe\u0301?"))
    assert chat.turns[0].content == "Caf\u00e9?"
    every = "".join(map(chr, range(0x100)))
    shown = drawn(every)
    assert [c for c in shown if unicodedata.category(c) == "Cc"] == ["\t", "\n"]
    assert len(shown) == len(every) and shown[0x20:0x7F] == every[0x20:0x7F] and shown[0xA0:] == every[0xA0:]
    _write(iter(["a\tb\n\x1b", "[2J\x7f"]))
    assert capsys.readouterr().out == "a\tb\n\N{SYMBOL FOR ESCAPE}[2J\N{SYMBOL FOR DELETE}\n"


# What is kept.


def test_saved_conversations_are_rows_that_training_takes(writer: TextGenerator, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    file.write_text('{"messages": []}')  # without an end of line
    chat, told = told_chat(writer)
    chat.save = file
    chat.begin('Say "é"\tbriefly.')
    for question in QUESTIONS:
        list(chat.answer(question))
    whole = chat.messages
    chat.begin("")
    chat.begin("")
    list(chat.answer("Hello."))
    assert chat.undo() == "Hello." and chat.undo() is None
    chat.end()
    fix = "; 2 of its 2 answers are unfinished: fix them before you train on them"
    assert told == [f"saved: {file}{fix}"], "an empty conversation is not saved"
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 and len(whole) == 5
    row = {key: json.dumps(value) for key, value in json.loads(lines[1]).items()}
    read = parse(row, ConversationFormat.messages)
    check(read)
    assert read == whole


def test_answers_that_were_cut_off_are_counted_where_they_are_saved(writer: TextGenerator, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    file = tmp_path / "kept.jsonl"
    talkative = replace(writer, model=AutoModelForCausalLM.from_pretrained(STARTER))  # but it comes to an end
    chat, _ = told_chat(talkative)
    for question, longest in zip(QUESTIONS, (2, 60), strict=True):
        talkative.generation = Generation(max_new_tokens=longest)
        list(chat.answer(question))
    assert chat.cut == [True, False] and 2 < len(writer.tokenizer(chat.turns[-1].content)["input_ids"]) < 60
    assert chat.saved(file) == f"saved: {file}; 1 of its 2 answers is unfinished: fix it before you train on it"
    chat.begin("")
    for question, longest in zip(QUESTIONS, (60, 2), strict=True):
        talkative.generation = Generation(max_new_tokens=longest)
        list(chat.answer(question))
    chat.undo()
    assert chat.saved(file) == f"saved: {file}", "what was taken back counts no more"


def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    for content in ("text,label\n", '{"prompt": "a", "completion": "b"}\n', '{"messages": []}\n[1]\n', "\udcff"):
        other.write_bytes(content.encode("utf-8", "surrogateescape"))
        with user_error("file.exists", match="does not contain conversations"):
            saving_place(str(other))
        assert other.read_bytes() == content.encode("utf-8", "surrogateescape")
    (tmp_path / "folder.jsonl").mkdir()
    with user_error("command.wrong-extension", match=r"Conversations are saved as \.jsonl"):
        saving_place(str(tmp_path / "a.json"))
    with user_error("file.missing-folder", where=str(tmp_path / "no"), match="The folder to save in is missing"):
        saving_place(str(tmp_path / "no/a.jsonl"))
    with user_error("file.not-writable", match="cannot be saved here"):
        saving_place(str(tmp_path / "folder.jsonl"))
    assert saving_place(str(tmp_path / "new.jsonl")) == tmp_path / "new.jsonl"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.jsonl", "other.jsonl"], "looking makes no file"


# What is refused.


def test_a_pipe_stops_at_what_cannot_be_answered_and_saves_what_was(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.jsonl"
    for second, code, phrase in (
        (b"\xff\xfe", "command.not-utf8", "not UTF-8"),
        ("a \ufdd0 b".encode(), "chat.bad-turn", "noncharacter"),
    ):
        with user_error(code, match=phrase) as caught:
            piped(monkeypatch, capsys, b"Hello.\n" + second + b"\n", bundle, "--max-new-tokens", 4, "--save", kept)
        assert "line 2" in str(caught.value.where)
    assert [len(json.loads(line)["messages"]) for line in kept.read_text().splitlines()] == [2, 2]
    with user_error("command.no-input", where="stdin", match="Standard input is empty"):
        piped(monkeypatch, capsys, b"", bundle)
    with user_error("chat.bad-system-prompt", where="--system", match="cannot take this system prompt"):
        piped(monkeypatch, capsys, b"Hello.\n", bundle, "--system", "\ufdd0")


def test_wrong_calls_are_one_message_before_anything_heavy_is_imported(bundle: Path, tmp_path: Path) -> None:
    labels = Path(shutil.copytree(bundle, tmp_path / "labels"))
    manifest = json.loads((labels / "tunebook.json").read_text())
    manifest |= {"recipe": "review_sentiment", "options": {"name": "review_sentiment"}}
    manifest |= {"generation": None, "labels": ["bad", "good"], "columns": {"text": "text"}, "golden": []}
    (labels / "tunebook.json").write_text(json.dumps(manifest))
    calls = {
        ("--help",): "usage: tunebook chat",
        (str(bundle), "--max-new-tokens", "0"): "--max-new-tokens is at least 1",
        (str(bundle), "--max-new-tokens", "1020"): "leave no room for a question: the model has 1024 positions",
        (str(bundle), "--temperature", "-1"): "--temperature is 0 or above",
        (str(bundle), "--temperature", "nan"): "--temperature is 0 or above",
        (str(bundle), "--temperature", "1", "--top-p", "0"): "--top-p is above 0",
        (str(bundle), "--top-p", "0.9"): "nothing is sampled",
        (str(bundle), "--seed", "-1"): "--seed is 0 or above",
        (str(bundle), "--save", "chat.txt"): "saved as .jsonl",
        (str(labels),): "This bundle's model labels texts and does not talk.",
        (str(tmp_path / "no"),): "There is no such folder.",
    }
    code = (
        "import json, sys\nfrom tunebook.cli.main import main\n"
        "for call in json.loads(sys.argv[1]):\n"
        "    try: main(['chat', *call])\n"
        "    except SystemExit as left: print('CODE', left.code, file=sys.stderr)\n"
        "print('HEAVY', sorted({'torch', 'transformers', 'lightning'} & set(sys.modules)), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, json.dumps([list(call) for call in calls])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert "HEAVY []" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert re.findall(r"CODE (\d)", done.stderr) == ["0"] + ["2"] * (len(calls) - 1)
    for phrase in calls.values():
        assert phrase in done.stdout + done.stderr, phrase


# A person at a terminal.


class Person:
    """Someone at a real terminal of their own, in which `tunebook chat` runs."""

    # The terminal must be the process's own for Ctrl-C to reach it.
    CODE = (
        "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "from tunebook.cli.main import main; main(sys.argv[1:])"
    )

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.terminal, inside = pty.openpty()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "dumb"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.CODE, "chat", *arguments],
            **dict.fromkeys(("stdin", "stdout", "stderr"), inside),
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        os.close(inside)
        self.seen = ""

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)

    def types(self, text: str) -> None:
        os.write(self.terminal, text.encode("utf-8", "surrogateescape"))

    def reads_until(self, wanted: str, seconds: float = 60) -> str:
        """What appears up to and with ``wanted``."""
        deadline = time.monotonic() + seconds
        while wanted not in self.seen:
            ready, _, _ = select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{wanted!r} does not come: {self.seen!r}"
            try:
                self.seen += os.read(self.terminal, 4096).decode("utf-8", "replace").replace("\r\n", "\n")
            except OSError:  # the other side is gone
                raise AssertionError(f"{wanted!r} does not come: {self.seen!r}") from None
        before, _, self.seen = self.seen.partition(wanted)
        return before + wanted

    def waits_for_a_key(self, seconds: float = 60) -> None:
        """Until the process sleeps, having shown all it had to show.

        Python looks at signals where its wait for a key is broken off. One that comes between two waits, while a key
        is echoed, is looked at only after the next line, so a test that interrupts there would wait for ever.
        """
        status = Path(f"/proc/{self.process.pid}/stat")
        deadline = time.monotonic() + seconds
        while status.read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < deadline, "the process does not wait for a key"
            time.sleep(0.01)

    def leaves_with(self) -> int:
        return self.process.wait(30)


def test_a_person_talks_commands_and_leaves(bundle: Path, tmp_path: Path) -> None:
    expected = by_transformers(bundle, QUESTIONS, 12)
    slashed = by_transformers(bundle, ["/home is empty"], 12)
    with Person(tmp_path, str(bundle), "--max-new-tokens", "12") as person:
        greeting = person.reads_until("you> ")
        assert f"customer_chat: {bundle}\n/help shows the commands; Ctrl-D exits\n" in greeting
        for question, answer in zip(QUESTIONS, expected, strict=True):
            person.types(f"{question}\n")
            assert f"assistant> {answer}\n" in person.reads_until("you> ")
        for typed, shown in {
            "": "you> ",
            "/helpp x": "there is no command /helpp; /help shows all",
            "what is \ufdd0 for?": "this turn was not sent: turn 5 contains a noncharacter",
            "bytes \udcff": "this line is not UTF-8, and was not sent",
            "/save talk.txt": "saved as .jsonl. (talk.txt; give a name",
            "/save talk.jsonl": f"saved: {tmp_path}/talk.jsonl",
            "/undo": f"removed: {QUESTIONS[1]}",
            "/save  talk.jsonl": f"saved: {tmp_path}/talk.jsonl",
            "/system Be brief.": "a new conversation, under this system prompt",
            "/undo ": "there is nothing to undo",
            "/system": "a new conversation, without a system prompt",
            "//home is empty": f"assistant> {slashed[0]}\n",
            "/new": "a new conversation",
            "/save talk.jsonl ": "there is nothing to save yet",
            "/help": "/quit              leave; so does Ctrl-D",
        }.items():
            person.types(f"{typed}\n")
            person.reads_until(shown)
            if typed:
                person.reads_until("you> ")
        person.types("\x04")
        assert person.leaves_with() == 0
    turns = [
        {"role": role, "content": text}
        for question, answer in zip(QUESTIONS, expected, strict=True)
        for role, text in (("user", question), ("assistant", answer))
    ]
    saved = [json.loads(line)["messages"] for line in (tmp_path / "talk.jsonl").read_text().splitlines()]
    assert saved == [turns, turns[:2]]
    assert [p.name for p in tmp_path.iterdir()] == ["talk.jsonl"], "nothing else is written"


def test_ctrl_c_stops_an_answer_and_then_leaves(bundle: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    # So hot that the end of turn is one token of thousands: the answer is long enough to be stopped.
    drawing = ["--temperature", "1000", "--max-new-tokens", "900", "--save", str(kept)]
    with Person(tmp_path, str(bundle), *drawing) as person:
        person.reads_until("you> ")
        person.types("Hi.\n")
        person.reads_until("assistant> ")
        person.types("\x03")
        stopped = person.reads_until("stopped; question and answer were removed")
        assert len(stopped) < 3000, "it was stopped in its midst"
        person.reads_until("you> ")
        person.types("/undo\n")
        person.reads_until("there is nothing to undo")
        person.reads_until("you> ")
        person.types("half a question")
        person.reads_until("half a question")
        person.waits_for_a_key()
        person.types("\x03")
        person.reads_until("interrupted")
        assert person.leaves_with() == 130
    assert not kept.exists()
