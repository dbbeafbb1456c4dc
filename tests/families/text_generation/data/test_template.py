from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.user_error import user_error
from tunebook.families.text_generation.data.answers import Method
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.models.source import STARTERS

TEMPLATES = Path(__file__).parent / "templates"
SYSTEM = {"role": "system", "content": "Be brief."}
TURNS = [
    {"role": "user", "content": "Where is my parcel?"},
    {"role": "assistant", "content": "On its way, naïvely 👋."},
    {"role": "user", "content": "When, 明天?"},
    {"role": "assistant", "content": "Tomorrow:\n\n- by [noon] <b>"},
    {"role": "user", "content": "Thanks!"},
    {"role": "assistant", "content": "You are welcome."},
]


@dataclass(frozen=True)
class Format:
    """A public chat format: its special tokens, and what it writes with the supervised parts in ⟦ ⟧, marked by hand."""

    special: Sequence[str]
    bos: str
    eos: str
    marked: str
    system: str | None
    end: str


FORMATS = {
    "chatml": Format(  # Qwen 2, SmolLM2
        ["<|im_start|>", "<|im_end|>"],
        "<|endoftext|>",
        "<|im_end|>",
        "<|im_start|>user\nWhere is my parcel?<|im_end|>\n"
        "<|im_start|>assistant\n⟦On its way, naïvely 👋.<|im_end|>⟧\n"
        "<|im_start|>user\nWhen, 明天?<|im_end|>\n"
        "<|im_start|>assistant\n⟦Tomorrow:\n\n- by [noon] <b><|im_end|>⟧\n"
        "<|im_start|>user\nThanks!<|im_end|>\n"
        "<|im_start|>assistant\n⟦You are welcome.<|im_end|>⟧\n",
        "<|im_start|>system\nBe brief.<|im_end|>\n",
        "<|im_end|>",
    ),
    "llama3": Format(
        ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhere is my parcel?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n⟦On its way, naïvely 👋.<|eot_id|>⟧"
        "<|start_header_id|>user<|end_header_id|>\n\nWhen, 明天?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n⟦Tomorrow:\n\n- by [noon] <b><|eot_id|>⟧"
        "<|start_header_id|>user<|end_header_id|>\n\nThanks!<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n⟦You are welcome.<|eot_id|>⟧",
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>",
        "<|eot_id|>",
    ),
    "mistral_v01": Format(
        [],
        "<s>",
        "</s>",
        "<s>[INST] Where is my parcel? [/INST]⟦On its way, naïvely 👋.</s>⟧"
        "[INST] When, 明天? [/INST]⟦Tomorrow:\n\n- by [noon] <b></s>⟧"
        "[INST] Thanks! [/INST]⟦You are welcome.</s>⟧",
        None,
        "</s>",
    ),
    "mistral_v03": Format(
        ["[INST]", "[/INST]"],
        "<s>",
        "</s>",
        "<s>[INST] Where is my parcel?[/INST]⟦ On its way, naïvely 👋.</s>⟧"
        "[INST] When, 明天?[/INST]⟦ Tomorrow:\n\n- by [noon] <b></s>⟧"
        "[INST] Thanks![/INST]⟦ You are welcome.</s>⟧",
        None,
        "</s>",
    ),
    "gemma": Format(
        ["<start_of_turn>", "<end_of_turn>"],
        "<bos>",
        "<eos>",
        "<bos><start_of_turn>user\nWhere is my parcel?<end_of_turn>\n"
        "<start_of_turn>model\n⟦On its way, naïvely 👋.<end_of_turn>⟧\n"
        "<start_of_turn>user\nWhen, 明天?<end_of_turn>\n"
        "<start_of_turn>model\n⟦Tomorrow:\n\n- by [noon] <b><end_of_turn>⟧\n"
        "<start_of_turn>user\nThanks!<end_of_turn>\n"
        "<start_of_turn>model\n⟦You are welcome.<end_of_turn>⟧\n",
        None,
        "<end_of_turn>",
    ),
    "phi3": Format(
        ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
        "<s>",
        "<|endoftext|>",
        "<|user|>\nWhere is my parcel?<|end|>\n<|assistant|>\n⟦On its way, naïvely 👋.<|end|>⟧\n"
        "<|user|>\nWhen, 明天?<|end|>\n<|assistant|>\n⟦Tomorrow:\n\n- by [noon] <b><|end|>⟧\n"
        "<|user|>\nThanks!<|end|>\n<|assistant|>\n⟦You are welcome.<|end|>⟧\n<|endoftext|>",
        "<|system|>\nBe brief.<|end|>\n",
        "<|end|>",
    ),
    "zephyr": Format(
        [],
        "<s>",
        "</s>",
        "<|user|>\nWhere is my parcel?</s>\n<|assistant|>\n⟦On its way, naïvely 👋.</s>⟧\n"
        "<|user|>\nWhen, 明天?</s>\n<|assistant|>\n⟦Tomorrow:\n\n- by [noon] <b></s>⟧\n"
        "<|user|>\nThanks!</s>\n<|assistant|>\n⟦You are welcome.</s>⟧\n",
        "<|system|>\nBe brief.</s>\n",
        "</s>",
    ),
    "starter_text": Format(
        [],
        "<|endoftext|>",
        "<|end|>",
        "<|endoftext|><|user|>Where is my parcel?<|end|><|assistant|>⟦On its way, naïvely 👋.<|end|>⟧"
        "<|user|>When, 明天?<|end|><|assistant|>⟦Tomorrow:\n\n- by [noon] <b><|end|>⟧"
        "<|user|>Thanks!<|end|><|assistant|>⟦You are welcome.<|end|>⟧",
        "<|endoftext|><|system|>Be brief.<|end|>",
        "<|end|>",
    ),
}
PUBLIC = sorted(set(FORMATS) - {"starter_text"})


def starter() -> Any:
    return AutoTokenizer.from_pretrained(STARTERS / "starter_text")


def tokenizer_for(name: str) -> Any:
    """The starter's tokenizer with the special tokens of a format."""
    tokenizer, format = starter(), FORMATS[name]
    tokenizer.add_special_tokens({"bos_token": format.bos, "eos_token": format.eos})
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True) for token in format.special])
    if name != "starter_text":
        tokenizer.chat_template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
    return tokenizer


def with_template(file: str) -> ChatTemplate:
    return ChatTemplate.of(tokenizer_for("chatml"), TEMPLATES / file)


def by_hand(marked: str, tokenizer: Any) -> tuple[list[int], list[bool]]:
    """Ids and marks of a text with the supervised parts in ⟦ ⟧; each part is encoded by itself."""
    ids: list[int] = []
    supervised: list[bool] = []
    for i, part in enumerate(re.split("[⟦⟧]", marked)):
        piece = tokenizer(part, add_special_tokens=False)["input_ids"]
        ids += piece
        supervised += [i % 2 == 1] * len(piece)
    return ids, supervised


@pytest.mark.parametrize("name", FORMATS)
def test_each_token_is_marked_as_by_hand(name: str) -> None:
    tokenizer, format = tokenizer_for(name), FORMATS[name]
    template = ChatTemplate.of(tokenizer)
    ids, supervised = by_hand(format.marked, tokenizer)
    row = template.supervise(TURNS)
    assert (row.ids.tolist(), row.supervised.tolist()) == (ids, supervised)
    assert row.ids.dtype == np.int32 and row.supervised.dtype == bool
    assert template.method is (Method.markers if name == "starter_text" else Method.prefixes)
    assert template.end_of_turn_ids == (tokenizer.convert_tokens_to_ids(format.end),)
    # Each answer is learned to its end of turn, and no other end of turn is.
    assert (row.ids[row.supervised] == template.end_of_turn_ids[0]).sum() == 3


@pytest.mark.parametrize("name", [name for name in FORMATS if FORMATS[name].system])
def test_a_system_prompt_is_read_and_not_learnt(name: str) -> None:
    tokenizer, format = tokenizer_for(name), FORMATS[name]
    template = ChatTemplate.of(tokenizer)
    rest = format.marked if name in ("chatml", "phi3", "zephyr") else format.marked.removeprefix(format.bos)
    ids, supervised = by_hand(f"{format.system}{rest}", tokenizer)
    row = template.supervise([SYSTEM, *TURNS])
    assert (row.ids.tolist(), row.supervised.tolist()) == (ids, supervised)
    assert template.no_system is None
    template.check_roles({"system", "user", "assistant"})


@pytest.mark.parametrize(
    "name,reason",
    [
        ("mistral_v01", "rejects it: Conversation roles must alternate"),
        ("mistral_v03", "differently than as a prompt|differently once later turns|moved by the template"),
        ("gemma", "rejects it: System role not supported"),
    ],
)
def test_a_system_prompt_that_is_refused_or_moved_is_told(name: str, reason: str) -> None:
    template = ChatTemplate.of(tokenizer_for(name))
    with pytest.raises(Unsupervisable, match=reason):
        template.supervise([SYSTEM, *TURNS])
    with user_error("template.unsupervisable", where="model.chat_template", match=reason) as caught:
        template.check_roles({"system", "user"})
    assert "model.chat_template=<file.jinja>" in str(caught.value)
    template.check_roles({"user", "assistant"})
    assert "not possible" in template.facts()["system prompt"]


def test_the_marks_are_those_of_transformers_where_the_template_has_markers() -> None:
    tokenizer = starter()
    theirs = tokenizer.apply_chat_template([SYSTEM, *TURNS], return_dict=True, return_assistant_tokens_mask=True)
    row = ChatTemplate.of(tokenizer).supervise([SYSTEM, *TURNS])
    assert row.ids.tolist() == theirs["input_ids"]
    assert row.supervised.astype(int).tolist() == theirs["assistant_masks"]


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_learnt_follows_the_tokens_that_generation_begins_from(name: str) -> None:
    tokenizer = tokenizer_for(name)
    template = ChatTemplate.of(tokenizer)
    for answer in (1, 3, 5):
        row = template.supervise(TURNS[: answer + 1], first=answer)
        prompt = tokenizer.apply_chat_template(TURNS[:answer], add_generation_prompt=True, return_dict=False)
        assert row.ids[: len(prompt)].tolist() == prompt == template.prompt(TURNS[:answer]).tolist()
        assert np.flatnonzero(row.supervised)[0] == len(prompt)


def test_only_the_answers_from_a_turn_on_are_learnt() -> None:
    tokenizer = starter()
    row = ChatTemplate.of(tokenizer).supervise(TURNS, first=3)
    told = tokenizer.decode(row.ids[row.supervised])
    assert told == "Tomorrow:\n\n- by [noon] <b><|end|>You are welcome.<|end|>"


def test_turns_may_be_objects() -> None:
    @dataclass(frozen=True)
    class Said:
        role: str
        content: str

    template = ChatTemplate.of(starter())
    mappings, objects = template.supervise(TURNS), template.supervise([Said(**turn) for turn in TURNS])
    assert objects.ids.tolist() == mappings.ids.tolist() and objects.supervised.tolist() == mappings.supervised.tolist()


def test_an_end_of_turn_that_eats_the_line_break_is_learnt() -> None:
    """Phi-3's tokens take the white space after them: one token stands for the learned end and what is not learned."""
    tokenizer = tokenizer_for("phi3")
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=True, rstrip=True) for t in FORMATS["phi3"].special])
    row = ChatTemplate.of(tokenizer).supervise(TURNS[:2])
    tokens = [tokenizer.decode([id_]) for id_ in row.ids]
    assert tokens[0] == "<|user|>" and tokens[-2:] == ["<|end|>", "<|endoftext|>"]
    assert tokens.count("\n") == 0
    begins = tokens.index("<|assistant|>") + 1
    assert row.supervised.tolist() == [begins <= i < len(tokens) - 1 for i in range(len(tokens))]


def test_a_tokenizer_in_the_manner_of_sentencepiece() -> None:
    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", *(f"<0x{byte:02X}>" for byte in range(256))]
    texts = [turn["content"] for turn in TURNS] * 3
    backend.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=420, special_tokens=special, show_progress=False))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    row = ChatTemplate.of(tokenizer, TEMPLATES / "mistral_v03.jinja").supervise(TURNS)
    runs = np.split(row.ids, np.flatnonzero(np.diff(row.supervised)) + 1)
    said = [tokenizer.decode(run).strip() for run in runs[1::2]]
    assert said == [f"{turn['content']}</s>" for turn in TURNS[1::2]]
    assert (row.ids == tokenizer.bos_token_id).sum() == 1


def test_generation_must_stop_at_the_end_of_turn_and_not_at_the_end_of_text() -> None:
    llama = ChatTemplate.of(tokenizer_for("llama3"))
    assert llama.ends_elsewhere and "<|end_of_text|>, generation stops" in llama.facts()["end of turn"]
    chatml = ChatTemplate.of(tokenizer_for("chatml"))
    assert not chatml.ends_elsewhere and chatml.facts()["end of turn"] == "<|im_end|>, supervised"


def test_markers_may_strip_thoughts_of_earlier_turns() -> None:
    template = with_template("chatml_marked.jinja")
    assert template.method is Method.markers
    thinks = [{**turn, "content": f"<think>hm</think>{turn['content']}"} for turn in TURNS[1:4:2]]
    row = template.supervise([TURNS[0], thinks[0], TURNS[2], thinks[1]])
    supervised = template.rendering.tokenizer.decode(row.ids[row.supervised])
    # The line break within the markers is not learned either.
    assert supervised == "On its way, naïvely 👋.<|im_end|><think>hm</think>Tomorrow:\n\n- by [noon] <b><|im_end|>"


@pytest.mark.parametrize("file", ["half_marked.jinja", "late_marked.jinja", "wide_marked.jinja"])
def test_markers_that_leave_out_the_end_of_turn_or_words_or_take_in_the_header_are_not_relied_upon(file: str) -> None:
    template = with_template(file)
    assert template.method is Method.prefixes
    assert (
        template.supervise(TURNS).supervised.tolist()
        == with_template("chatml.jinja").supervise(TURNS).supervised.tolist()
    )


@pytest.mark.parametrize(
    "file,reason",
    [
        ("strips_thoughts.jinja", "renders turn 2 differently once later turns follow"),
        ("strips_always.jinja", "leaves out or changes what the assistant says in turn 2"),
        ("no_end.jinja", "no control token ends every answer"),
        ("end_at_last.jinja", "no control token ends every answer"),
        ("raises.jinja", "the chat template rejects it: tools are required"),
        ("escapes.jinja", "access to attribute '__class__'"),
        ("joins.jinja", "joins the beginning of turn 2 to the template's header"),
    ],
)
def test_a_template_that_nothing_can_safely_be_learnt_with_is_refused(file: str, reason: str) -> None:
    with user_error("template.unsupervisable", where="model.chat_template", match=reason) as caught:
        with_template(file)
    assert file in caught.value.what
    assert caught.value.where == "model.chat_template" and "<file.jinja>" in (caught.value.fix or "")


def test_a_beginning_of_text_that_is_written_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.jinja").write_text("{{ bos_token }}" + starter().chat_template, encoding="utf-8")
    with user_error(
        "template.unsupervisable", where="model.chat_template", match="beginning-of-text token occurs twice"
    ):
        ChatTemplate.of(starter(), tmp_path / "twice.jinja")


def test_a_template_that_drops_or_changes_what_is_said_is_refused(tmp_path: Path) -> None:
    for number, change in enumerate(("| upper", "[:5]")):
        file = tmp_path / f"{number}.jinja"
        text = (TEMPLATES / "chatml.jinja").read_text(encoding="utf-8")
        file.write_text(text.replace("message['content']", f"message['content'] {change}"), encoding="utf-8")
        with user_error("template.unsupervisable", where="model.chat_template", match="left out, changed or moved"):
            ChatTemplate.of(tokenizer_for("chatml"), file)


def test_named_templates() -> None:
    tokenizer = tokenizer_for("chatml")
    chatml = tokenizer.chat_template
    tokenizer.chat_template = {"default": chatml, "tool_use": "{{ raise_exception('tools') }}"}
    template = ChatTemplate.of(tokenizer)
    assert template.text == chatml and "'default'" in template.facts()["chat template"]
    tokenizer.chat_template = {"rag": chatml, "tool_use": chatml}
    with user_error(
        "template.missing", where="model.chat_template", match="chat templates rag, tool_use and none named default"
    ):
        ChatTemplate.of(tokenizer)


def test_no_template_and_no_file(tmp_path: Path) -> None:
    tokenizer = starter()
    tokenizer.chat_template = None
    with user_error("template.missing", where="model.chat_template", match="has no chat template") as caught:
        ChatTemplate.of(tokenizer)
    assert "model.chat_template=<file.jinja>" in str(caught.value)
    with user_error("template.unreadable", match="cannot be read: No such file"):
        ChatTemplate.of(tokenizer, tmp_path / "none.jinja")
    (tmp_path / "latin.jinja").write_bytes("{{ 'é' }}".encode("latin-1"))
    with user_error("template.unreadable", match="it is not UTF-8"):
        ChatTemplate.of(tokenizer, tmp_path / "latin.jinja")


def test_conversations_that_would_be_learnt_wrongly_are_refused() -> None:
    template = with_template("chatml.jinja")
    forged = [TURNS[0], {"role": "assistant", "content": "Yes.\ufdd1"}]
    with pytest.raises(Unsupervisable, match="turn 2 contains a noncharacter"):
        template.supervise(forged)
    with pytest.raises(Unsupervisable, match="turn 2 contains"):
        template.prompt(forged)
    strange = [{"role": "owner", "content": "Hi"}, TURNS[1]]
    with pytest.raises(Unsupervisable, match="rejects it: unknown role: owner"):
        ChatTemplate.of(starter()).supervise(strange)


def test_offsets_without_white_space_do_not_blur_where_an_answer_begins() -> None:
    """The tokenizers of GPT-2 and Llama 3 leave white space out of their offsets; here a prompt ends with some."""
    tokenizer = tokenizer_for("chatml")
    tokenizer.add_tokens([AddedToken("<|say|>", normalized=False, special=True)])
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    row = ChatTemplate.of(tokenizer, TEMPLATES / "says.jinja").supervise(TURNS[:2])
    said = "⟦<|say|>On its way, naïvely 👋.<|im_end|>⟧"
    ids, supervised = by_hand(
        f"<|im_start|>user <|say|>Where is my parcel?<|im_end|><|im_start|>assistant {said}", tokenizer
    )
    assert (row.ids.tolist(), row.supervised.tolist()) == (ids, supervised)


@pytest.mark.parametrize("answer,joined", [("- one", " --"), ("\none", " -\n")])
def test_an_answer_that_a_token_joins_to_the_header_is_refused(answer: str, joined: str, tmp_path: Path) -> None:
    (tmp_path / "rule.jinja").write_text(
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' -' + message['content'] + '<|im_end|>' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant -' }}{% endif %}",
        encoding="utf-8",
    )
    tokenizer = tokenizer_for("chatml")
    template = ChatTemplate.of(tokenizer, tmp_path / "rule.jinja")
    assert len(tokenizer(" -", add_special_tokens=False)["input_ids"]) == 1
    assert len(tokenizer(joined, add_special_tokens=False)["input_ids"]) == 1
    with pytest.raises(Unsupervisable, match="joins the beginning of turn 2 to the template's header"):
        template.supervise([TURNS[0], {"role": "assistant", "content": answer}])
    row = template.supervise(TURNS[:2])
    assert tokenizer.decode(row.ids[row.supervised]) == f"{TURNS[1]['content']}<|im_end|>"


def test_a_template_that_writes_the_date_is_told(tmp_path: Path) -> None:
    text = "{{ '<|im_start|>system\\n' + strftime_now('%d %b %Y') + '<|im_end|>\\n' }}"
    chatml = (TEMPLATES / "chatml.jinja").read_text(encoding="utf-8")
    (tmp_path / "dated.jinja").write_text(text + chatml, encoding="utf-8")
    assert "date" in ChatTemplate.of(tokenizer_for("chatml"), tmp_path / "dated.jinja").facts()
    assert "date" not in with_template("chatml.jinja").facts()


def test_what_a_template_says_itself_ends_in_one_full_stop(tmp_path: Path) -> None:
    file = tmp_path / "tools.jinja"
    file.write_text("{{ raise_exception('Tools are required.') }}", encoding="utf-8")
    with user_error("template.unsupervisable", where="model.chat_template", match="Tools are required") as caught:
        ChatTemplate.of(starter(), file)
    first = caught.value.message().splitlines()[0]
    assert first.endswith(".") and not first.endswith("..")
