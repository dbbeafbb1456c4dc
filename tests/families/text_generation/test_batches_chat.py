"""From conversations to optimizer steps and to questions: what is learned of them, what is asked, what is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.chatted import (
    QUICK,
    STARTER,
    STORIES,
    byte_gpt2,
    chatted,
    composed,
    conversation,
    sentence,
    tiny_llama,
    write_chats,
    write_jsonl,
)
from tests.conftest import Tunebook
from tests.user_error import user_error
from tunebook import FineTuner
from tunebook.families.prepared import Prepared
from tunebook.families.text_generation.batches_chat import preview, scored_rows
from tunebook.families.text_generation.data.message import Message
from tunebook.families.text_generation.data.packing import Pack
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.data.window import fit_prompt
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.families.text_generation.prompts import assistant_turns, read_facts
from tunebook.models.text import load_tokenizer
from tunebook.pipeline.prepare import prepare

Turns = Sequence[dict[str, str]]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("llama"))


def ready(folder: Path, model: Path, rows: Path, *overrides: str) -> Prepared:
    given = [f"data.train={rows}", f"model.name={model}", f"data.cache_dir={folder / 'cache'}"]
    return prepare(composed(*QUICK, *given, f"run_dir={folder / 'run'}", *overrides), folder / "rejects.jsonl")


def turns_of(prepared: Prepared, split: str) -> list[Turns]:
    return [json.loads(text) for text in prepared.encoded.rows[split].texts("conversation")]


def runs(ids: np.ndarray, marks: np.ndarray) -> list[list[int]]:
    """The stretches of tokens that are marked."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marks.astype(int), [0]])))
    return [ids[start:end].tolist() for start, end in edges.reshape(-1, 2)]


# Steps ----------------------------------------------------------------------------------------------------------


class Gradients(Callback):
    """Keeps the gradients of each optimizer step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, torch.Tensor]] = []

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        self.steps.append({n: p.grad.clone() for n, p in module.model.named_parameters() if p.grad is not None})


def quick_trainer(*callbacks: Callback, **settings: Any) -> Trainer:
    """One optimizer step, and nothing around it."""
    silent = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary", "limit_val_batches")
    given: Any = {**dict.fromkeys(silent, False), "limit_val_batches": 0, **settings}
    return Trainer(accelerator="cpu", max_steps=1, callbacks=list(callbacks), **given)


def first_step(prepared: Prepared) -> tuple[dict[str, torch.Tensor], list[Any]]:
    """The gradient of a run's first optimizer step, and the batches it was made of."""
    recipe, config, encoded = prepared.recipe, prepared.config, prepared.encoded
    torch.manual_seed(0)
    model = recipe.family.stages.adapt(
        recipe.family.stages.build_model(recipe, prepared.source, (), config, encoded), config.adapt
    )
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))
    trained, data = recipe.family.stages.training_data(model, encoded, prepared.source, config)
    kept = Gradients()
    accumulate = config.trainer.accumulate_grad_batches
    module = FineTuner(
        trained, recipe.family.stages.training_head(recipe, (), encoded), recipe.metrics(()), config.optim, 10
    )
    quick_trainer(kept, accumulate_grad_batches=accumulate).fit(module, datamodule=data)
    batches = [data.collate([data.splits["train"].items[int(i)] for i in rows]) for rows, _ in _plan(data)]
    return kept.steps[0], batches[:accumulate]


def _plan(data: Any) -> Any:
    return data.loader("train", shuffle=True).plan.batches(0)


def alike(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys() and len(one) > 5
    largest = max(float(g.abs().max()) for g in one.values())
    assert largest > 1e-3
    for name, gradient in one.items():
        assert (gradient - other[name]).abs().max() < 1e-5 * max(largest, 1), name


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_packed_step_is_the_step_of_the_same_conversations_by_themselves(
    tmp_path: Path, llama: Path, method: str
) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 24, rounds=4)
    everything = ["data.batch_size=1000", "data.max_length=96", f"adapt={method}", "optim.lr=1e-3"]
    packed, (batch,) = first_step(ready(tmp_path, llama, rows, *everything))
    alone, (single,) = first_step(ready(tmp_path, llama, rows, *everything, "data.pack=false"))
    assert len(batch["row"]) < len(single["row"]) and "position_ids" in batch["inputs"]
    assert "position_ids" not in single["inputs"]
    alike(packed, alone)


def by_hand(prepared: Prepared, folder: Path) -> dict[str, torch.Tensor]:
    """The gradient of the mean loss of all supervised tokens, from transformers' full logits, a row at a time."""
    model = AutoModelForCausalLM.from_pretrained(folder).train()
    items = prepared.encoded.splits["train"].items
    rows = [items[i] for i in range(len(items))]
    count = sum(int(row.supervised[1:].sum()) for row in rows)
    for row in rows:
        ids = torch.from_numpy(row.ids.astype(np.int64))[None]
        labels = ids.masked_fill(~torch.from_numpy(np.array(row.supervised))[None], -100)
        (model(input_ids=ids, labels=labels).loss * int(row.supervised[1:].sum()) / count).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_a_step_is_the_mean_over_its_tokens_however_many_batches_it_is_made_of(tmp_path: Path, llama: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 24, rounds=4)
    usual = ["data.max_length=96", "optim.lr=1e-3"]
    whole = ready(tmp_path, llama, rows, *usual, "data.batch_size=1000")
    expected, (one,) = first_step(whole)
    alike(expected, by_hand(whole, llama))
    # Two batches of half the packs each, not equally many tokens in both.
    half = -(-len(one["row"]) // 2) * (len(whole.encoded.splits["train"]) / len(one["row"]))
    twice = ready(tmp_path, llama, rows, *usual, f"data.batch_size={round(half)}", "trainer.accumulate_grad_batches=2")
    gradient, batches = first_step(twice)
    tokens = [int((batch["target"] != -100).sum()) for batch in batches]
    assert len(batches) == 2 and tokens[0] != tokens[1]
    assert sum(tokens) == int((one["target"] != -100).sum())
    alike(expected, gradient)


# Rows and their conversations -----------------------------------------------------------------------------------


def test_every_answer_of_a_long_conversation_is_learnt_once_and_belongs_to_it(tmp_path: Path, llama: Path) -> None:
    draw = random.Random(5)
    chats = [
        {"messages": conversation(draw, draw.randint(1, 7), system="Be kind." if i % 3 else None)} for i in range(36)
    ]
    prepared = ready(tmp_path, llama, write_jsonl(tmp_path / "chats.jsonl", chats), "data.max_length=80")
    tokenizer = prepared.encoded.tokenizer.rendering.tokenizer
    for split in ("train", "validation", "test"):
        items, conversations = prepared.encoded.splits[split].items, turns_of(prepared, split)
        supervised: list[list[str]] = [[] for _ in conversations]
        for item in (items[i] for i in range(len(items))):
            assert len(item.ids) <= 80
            text = tokenizer.decode(item.ids)
            own = conversations[item.row]
            assert ("Be kind." in text) is (own[0]["role"] == "system")
            supervised[item.row] += [tokenizer.decode(run) for run in runs(item.ids, item.supervised)]
        said = [[t["content"] + "<|end|>" for t in turns if t["role"] == "assistant"] for turns in conversations]
        assert supervised == said
    assert len(prepared.encoded.splits["train"]) > len(prepared.encoded.rows["train"])


def test_a_message_on_a_pack_names_the_file_and_line_of_its_first_conversation(tmp_path: Path, llama: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 36, rounds=6)
    prepared = ready(tmp_path, llama, rows, "data.max_length=80", "data.batch_size=4")
    model = prepared.recipe.family.stages.build_model(
        prepared.recipe, prepared.source, (), prepared.config, prepared.encoded
    )
    _, data = prepared.recipe.family.stages.training_data(model, prepared.encoded, prepared.source, prepared.config)
    lines = rows.read_text(encoding="utf-8").splitlines()
    tokenizer = prepared.encoded.tokenizer.rendering.tokenizer
    packs: Any = data.splits["train"].items
    several = 0
    for number in range(len(packs)):
        pack: Pack = packs[number]
        name, _, line = prepared.encoded.rows["train"].where(pack.row).rpartition(":")
        first = (
            pack.ids[: np.flatnonzero(pack.position_ids == 0)[1]] if (pack.position_ids == 0).sum() > 1 else pack.ids
        )
        several += len(first) < len(pack.ids)
        question = tokenizer.decode(first).split("<|user|>")[1].split("<|end|>")[0]
        assert name == "chats.jsonl" and question in lines[int(line) - 1]
    assert several > 3


def test_a_loss_that_is_not_finite_names_its_conversation(tmp_path: Path) -> None:
    """A token that one conversation of the first batch has alone blows up."""
    folder = tiny_llama(tmp_path / "llama", tie_word_embeddings=False)
    rows = write_chats(tmp_path / "chats.jsonl", 30)
    prepared = ready(tmp_path, folder, rows, "data.batch_size=4", "data.pack=false", "optim.lr=1e-3")
    recipe, encoded, where = prepared.recipe, prepared.encoded, prepared.encoded.rows["train"].where
    model: Any = recipe.family.stages.build_model(recipe, prepared.source, (), prepared.config, encoded)
    trained, data = recipe.family.stages.training_data(model, encoded, prepared.source, prepared.config)
    batch = [data.splits["train"].items[int(i)] for i in _plan(data)[0][0]]
    bad, others = batch[2], np.concatenate([batch[0].ids, batch[1].ids, batch[3].ids])
    alone = np.setdiff1d(bad.ids, others)
    model.get_input_embeddings().weight.data[int(alone[0])] = float("inf")
    module = FineTuner(trained, recipe.head(()), recipe.metrics(()), prepared.config.optim, 10, where=where)
    with user_error("training.not-finite") as caught:
        quick_trainer().fit(module, datamodule=data)
    told = caught.value.message()
    assert where(bad.row) in told
    assert not any(where(item.row) in told.replace(where(bad.row), "") for item in batch)


def test_the_losses_of_a_long_conversation_are_added_up_once(tmp_path: Path, llama: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 36, rounds=7)
    prepared = ready(tmp_path, llama, rows, "data.max_length=80", "data.test_fraction=0.4")
    model = AutoModelForCausalLM.from_pretrained(llama).eval()
    tokenizer = AutoTokenizer.from_pretrained(llama)
    items, conversations = prepared.encoded.splits["test"].items, turns_of(prepared, "test")
    losses, tokens = TextGenerator(model, prepared.encoded.tokenizer, 80, recipe=prepared.recipe).losses(items)  # type: ignore[arg-type]
    sums = scored_rows(items, losses, tokens, len(conversations))
    for turns, (_, count) in zip(conversations, sums, strict=True):
        answers = [t["content"] for t in turns if t["role"] == "assistant"]
        assert count == sum(len(tokenizer(a, add_special_tokens=False)["input_ids"]) + 1 for a in answers)
    expected = np.zeros(len(conversations))
    for item in (items[i] for i in range(len(items))):
        ids = torch.from_numpy(item.ids.astype(np.int64))[None]
        labels = ids.masked_fill(~torch.from_numpy(np.array(item.supervised))[None], -100)
        with torch.no_grad():
            expected[item.row] += float(model(input_ids=ids, labels=labels).loss) * int(item.supervised[1:].sum())
    np.testing.assert_allclose(sums[:, 0], expected, rtol=1e-5)
    assert len(items) > len(conversations) + 5


def test_rows_and_examples_stay_in_step_where_the_encoder_rejects_some(tmp_path: Path, llama: Path) -> None:
    draw = random.Random(3)
    chats = [{"messages": conversation(draw, 2)} for _ in range(40)]
    for at in (0, 7, 8, 20, 39):
        chats[at]["messages"][draw.randrange(4)]["content"] += " \ufdd0 and more"
    rows = write_jsonl(tmp_path / "chats.jsonl", chats)
    with user_error("data.rejected-rows") as caught:
        ready(tmp_path, llama, rows)
    assert "5 of 40 rows cannot be used" in caught.value.what and "data.max_rejects=5" in str(caught.value.fix)
    assert "contains a noncharacter" in str(caught.value.where)
    prepared = ready(tmp_path, llama, rows, "data.max_rejects=5")
    rejected = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert sorted(entry["line"] for entry in rejected) == [1, 8, 9, 21, 40]
    kept = sum(len(prepared.encoded.rows[split]) for split in ("train", "validation", "test"))
    assert kept + len(rejected) == 40
    tokenizer = prepared.encoded.tokenizer.rendering.tokenizer
    for split, examples in prepared.encoded.splits.items():
        conversations = turns_of(prepared, split)
        assert len(examples) == len(conversations)
        for i in range(len(examples)):
            expected = tokenizer.apply_chat_template(conversations[examples.items[i].row], return_dict=False)
            assert examples.items[i].ids.tolist() == expected and examples.items[i].row == i


def test_an_answer_that_is_too_long_by_itself_is_left_out_and_told_of(tmp_path: Path, llama: Path) -> None:
    draw = random.Random(4)
    chats = [{"messages": conversation(draw, 3, longest=4)} for _ in range(30)]
    chats[5]["messages"][3]["content"] = " ".join(sentence(draw) for _ in range(8))
    rows = write_jsonl(tmp_path / "chats.jsonl", chats)
    prepared = ready(tmp_path, llama, rows, "data.max_length=70", "data.max_rejects=1")
    (entry,) = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert entry["line"] == 6 and "turn 4: with its question alone it has" in entry["reason"]
    assert sum(len(prepared.encoded.rows[split]) for split in prepared.encoded.rows) == 30
    facts = prepared.encoded.facts
    (told,) = [value for key, value in facts.items() if "answers without supervision" in key]
    assert told == "1"


def test_a_cache_that_was_cut_short_is_made_again(tmp_path: Path, llama: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 30)
    first = ready(tmp_path, llama, rows, "data.max_length=80")
    expected = {name: part.items[0].ids.tolist() for name, part in first.encoded.splits.items()}
    folders = sorted((tmp_path / "cache/conversations").iterdir())
    assert len(folders) == 3
    for file, folder in zip(("ids.bin", "supervised.bin", "rejected.json"), folders, strict=True):
        file_ = folder / file
        content = file_.read_bytes()
        file_.write_bytes(content[:-1] if file != "ids.bin" else bytes(len(content)))
    again = ready(tmp_path, llama, rows, "data.max_length=80")
    assert {name: part.items[0].ids.tolist() for name, part in again.encoded.splits.items()} == expected
    ready(tmp_path, llama, rows, "data.max_length=81")
    assert len(list((tmp_path / "cache/conversations").iterdir())) == 6, "another length is another cache"


def test_the_preview_marks_what_is_learnt(tmp_path: Path, llama: Path) -> None:
    prepared = ready(tmp_path, llama, write_chats(tmp_path / "chats.jsonl", 30))
    shown = "".join(text.plain for text in preview(prepared.encoded, talks=True))
    first = turns_of(prepared, "train")[0]
    answers = [turn["content"] for turn in first if turn["role"] == "assistant"]
    assert all(f"«{answer}<|end|>»" in shown for answer in answers)
    assert not any(f"«{turn['content']}" in shown for turn in first if turn["role"] == "user")


# What is asked --------------------------------------------------------------------------------------------------


def chats_with_facts(folder: Path, facts: Sequence[Any]) -> Path:
    draw = random.Random(6)
    rows = []
    for number, wanted in enumerate(facts):
        turns = conversation(draw, 3)
        turns[1]["content"] += f" it costs £{number + 10}"
        turns[3]["content"] += f" again £{number + 10}, by Monday"
        rows.append({"messages": turns, "facts": wanted, "customer": f"c{number // 2}"})
    return write_jsonl(folder / "facts.jsonl", rows)


def test_a_fact_is_asked_of_the_first_turn_that_states_it(tmp_path: Path, llama: Path) -> None:
    rows = chats_with_facts(tmp_path, [[f"£{i + 10}", "by Monday", "never said"] for i in range(40)])
    prepared = ready(tmp_path, llama, rows, "data.group=customer", "data.test_fraction=0.3")
    test = prepared.encoded.rows["test"]
    asked = assistant_turns(test, None)
    assert asked.turns == [2, 4, 6] * len(test)
    lines = [int(line) for line in test.column("line").to_pylist()]
    assert asked.facts == [fact for line in lines for fact in ([f"£{line + 9}"], ["by Monday"], [])]
    assert asked.unclaimed == len(test)
    assert asked.groups.tolist() == [f"c{(line - 1) // 2}" for line in lines for _ in range(3)]
    assert [history[-1].role for history in asked.histories] == ["user"] * len(asked)
    conversations = turns_of(prepared, "test")
    assert [r[0] for r in asked.references] == [
        t["content"] for c in conversations for t in c if t["role"] == "assistant"
    ]


def test_whole_conversations_are_drawn_and_always_the_same(tmp_path: Path, llama: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 80, rounds=5)
    test = ready(tmp_path, llama, rows, "data.test_fraction=0.5").encoded.rows["test"]
    everything = assistant_turns(test, None)
    for wanted in (1, 9, 20):
        drawn = assistant_turns(test, wanted)
        assert wanted <= len(drawn) < wanted + 5
        chosen = sorted(set(drawn.rows.tolist()))
        expected = [i for i, row in enumerate(everything.rows.tolist()) if row in chosen]
        assert drawn.turns == [everything.turns[i] for i in expected]
        assert drawn.histories == [everything.histories[i] for i in expected]
        assert drawn.lines == [everything.lines[i] for i in expected]
        assert assistant_turns(test, wanted).rows.tolist() == drawn.rows.tolist()
    assert len(assistant_turns(test, 10**6)) == len(everything)
    first = sorted(set(assistant_turns(test, 20).rows.tolist()))
    assert first != list(range(len(first))), "drawn, not the first ones"


def test_facts_are_read_from_a_list_or_a_text() -> None:
    assert read_facts('["£42", " by Monday ", ""]', "x") == ["£42", "by Monday"]
    assert read_facts(" £42 ", "x") == ["£42"] and read_facts(" ", "x") == []
    for wrong in ("[1, 2]", "[", '[["a"]]'):
        with user_error("data.bad-facts", where="chats.jsonl:3", match="not a list of texts"):
            read_facts(wrong, "chats.jsonl:3")


def test_rows_with_bad_facts_are_rejects_like_others(tmp_path: Path, llama: Path) -> None:
    wanted: list[Any] = [["£10"] for _ in range(60)]
    wanted[4], wanted[7] = [1, 2], {"price": "£42"}
    rows = chats_with_facts(tmp_path, wanted)
    with user_error("data.rejected-rows") as caught:
        ready(tmp_path, llama, rows)
    assert (
        "facts.jsonl:5 the row cannot be used: the facts that an answer must state are not a list of texts; write"
        in (str(caught.value.where))
    )
    prepared = ready(tmp_path, llama, rows, "data.max_rejects=2")
    assert (prepared.data.rejected, prepared.data.kept) == (2, 58)


def messages(*turns: str, system: str | None = None) -> list[Message]:
    roles = ["user", "assistant"] * len(turns)
    begin = [Message("system", system)] if system else []
    return begin + [Message(role, text) for role, text in zip(roles, turns, strict=False)]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def template() -> ChatTemplate:
    return ChatTemplate.of(AutoTokenizer.from_pretrained(STARTER))


@pytest.mark.parametrize("system", [None, "You answer for a shop."])
def test_the_earliest_rounds_are_left_out_for_room(template: ChatTemplate, system: str | None) -> None:
    draw = random.Random(9)
    turns = messages(*(sentence(draw) for _ in range(9)), system=system)
    head = 1 if system else 0
    suffixes = [[*turns[:head], *turns[start:]] for start in range(head, len(turns), 2)]
    lengths = [len(template.prompt(suffix)) for suffix in suffixes]
    assert all(a > b for a, b in pairwise(lengths))
    for number, suffix in enumerate(suffixes):
        for room in {lengths[number], (lengths[number - 1] if number else 10**4) - 1}:
            found = fit_prompt(turns, template, room)
            assert found.left_out == 2 * number
            assert found.ids.tolist() == template.prompt(suffix).tolist()
    with pytest.raises(Unsupervisable, match=rf"last question alone has {lengths[-1]} tokens, and there is room for"):
        fit_prompt(turns, template, lengths[-1] - 1)


def test_a_tool_result_is_not_parted_from_its_question(template: ChatTemplate) -> None:
    turns = [
        *messages("one two three", "four"),
        Message("user", "five"),
        Message("assistant", "call"),
        Message("tool", "6"),
    ]
    whole, tail = len(template.prompt(turns)), template.prompt(turns[2:])
    found = fit_prompt(turns, template, whole - 1)
    assert found.ids.tolist() == tail.tolist() and found.left_out == 2
    with pytest.raises(Unsupervisable):
        fit_prompt(turns, template, len(tail) - 1)


# Templates ------------------------------------------------------------------------------------------------------


def no_system(folder: Path) -> Path:
    text = (STARTER / "chat_template.jinja").read_text(encoding="utf-8")
    refuses = "{%- if messages[0]['role'] == 'system' %}{{- raise_exception('no system role') }}{%- endif %}"
    (folder / "strict.jinja").write_text(refuses + text, encoding="utf-8")
    return folder / "strict.jinja"


def test_a_template_without_a_system_turn_takes_rows_without_one_alone(tmp_path: Path, llama: Path) -> None:
    given = f"model.chat_template={no_system(tmp_path)}"
    draw = random.Random(7)
    plain = write_jsonl(tmp_path / "plain.jsonl", [{"messages": conversation(draw, 2)} for _ in range(30)])
    prepared = ready(tmp_path, llama, plain, given)
    assert "not possible" in prepared.encoded.facts["system prompt"]
    assert prepared.encoded.tokenizer.rendering.tokenizer.chat_template == (tmp_path / "strict.jinja").read_text()
    mixed = [{"messages": conversation(draw, 2, "Be kind." if i == 29 else None)} for i in range(30)]
    with user_error("template.unsupervisable", where="model.chat_template") as caught:
        ready(tmp_path, llama, write_jsonl(tmp_path / "mixed.jsonl", mixed), given)
    assert "There are system prompts" in caught.value.what and "no system role" in caught.value.what
    assert "leave the system turns out" in str(caught.value.fix)


def learnt_texts(prepared: Prepared) -> list[str]:
    items, tokenizer = prepared.encoded.splits["train"].items, prepared.encoded.tokenizer.rendering.tokenizer
    return [tokenizer.decode(run) for i in range(len(items)) for run in runs(items[i].ids, items[i].supervised)]


def check_plain(folder: Path, model: Path, end: str, rows: Path, *more: str) -> None:
    with user_error("template.missing", where="model.chat_template") as caught:
        ready(folder, model, rows, *more)
    assert "model.chat_template=plain" in str(caught.value.fix)
    prepared = ready(folder, model, rows, "model.chat_template=plain", *more)
    said = [t["content"] for turns in turns_of(prepared, "train") for t in turns if t["role"] == "assistant"]
    assert [text.strip() for text in learnt_texts(prepared)] == [f"{text}{end}" for text in said]
    writer = TextGenerator(torch.nn.Linear(1, 1), prepared.encoded.tokenizer, 512, recipe=prepared.recipe)
    tokenizer = load_tokenizer(prepared.source)
    assert writer.template.end_of_turn_ids == (tokenizer.eos_token_id,)
    prompt = tokenizer.decode(writer.template.prompt(messages("Where is it?")), skip_special_tokens=True)
    assert prompt.strip() == "User: Where is it?\nAssistant:"


@pytest.mark.skipif(not STORIES.is_dir(), reason="the stories model is not here")
def test_the_plain_template_on_a_model_that_brings_none(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check_plain(tmp_path, STORIES, "</s>", write_chats(tmp_path / "chats.jsonl", 30))
    assert "indexing errors" not in capfd.readouterr().err


def test_the_plain_template_on_a_byte_level_tokenizer(tmp_path: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 30)
    check_plain(tmp_path, byte_gpt2(tmp_path / "gpt2"), "<|endoftext|>", rows, "data.max_length=512")


# Forms ----------------------------------------------------------------------------------------------------------


def test_a_form_that_cannot_be_told_is_asked_for_and_taken(tmp_path: Path, llama: Path) -> None:
    draw = random.Random(2)
    both = [
        {
            "messages": conversation(draw, 1),
            "prompt": f"asked {i} {sentence(draw)}",
            "completion": f"said {i} {sentence(draw)}",
        }
        for i in range(30)
    ]
    rows = write_jsonl(tmp_path / "both.jsonl", both)
    with user_error("conversation.ambiguous-format", where="data.format") as caught:
        ready(tmp_path, llama, rows)
    assert "data.format=messages or data.format=prompt_completion" in str(caught.value.fix)
    taken = turns_of(ready(tmp_path, llama, rows, "data.format=prompt_completion"), "train")
    assert all(turns[0]["content"].startswith("asked") and turns[1]["content"].startswith("said") for turns in taken)
    others = turns_of(ready(tmp_path, llama, rows, "data.format=messages"), "train")
    assert not any(turns[0]["content"].startswith("asked") for turns in others)


# Refusals -------------------------------------------------------------------------------------------------------

REFUSED: dict[str, list[str]] = {  # override -> code, and phrases: the place, the fix, words that no other test sees
    "data.overlength=error": ["data.too-long", "chats.jsonl:"],
    "data.overlength=reject": ["data.rejected-rows", "over data.max_length=64"],
    "adapt=head": ["config.no-effect", "adapt=lora"],
    "model=starter_image": ["model.wrong-kind", "model=starter_text"],
    "recipe.max_new_tokens=250": ["generation.no-room", "256 positions", "recipe.max_new_tokens="],
    "recipe.max_new_tokens=9999": ["generation.no-room"],
    "recipe.max_new_tokens=0": ["config.out-of-range", "must be at least 1"],
    "recipe.bleu_tokenizer=13b": ["config.unknown-choice", "no tokenizer '13b'", "recipe.bleu_tokenizer=13a"],
    "evaluation.max_generations=0": ["config.out-of-range", "evaluation.max_generations must be at least 1"],
    "adapt.quantize=true": ["config.no-effect", "adapt=lora"],
    "data.max_length=257": ["config.out-of-range", "does not fit", "3 to 256 tokens"],
    "data.format=alpaca": ["data.missing-column", "data.format=alpaca needs"],
    "model.chat_template=shop.jinja": ["template.unreadable", "shop.jinja"],
    "data.group=customer": ["data.missing-column", "data.group", "'customer'"],
    "data.facts=promises": ["data.missing-column", "data.facts", "'promises'"],
    **{
        f"{option}": ["config.no-effect", "has no effect for recipe=customer_chat", "leave"]
        for option in (
            *("data.text=question", "data.label=stars", "data.labels=[a,b]", "data.shots=4", "data.image=photo"),
            *("data.image_root=/tmp", "model.weights=/tmp/x.safetensors", "model.args={a: 1}"),
        )
    },
}


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chats(tmp_path_factory.mktemp("chats") / "chats.jsonl", 30)


@pytest.mark.parametrize("override", REFUSED)
def test_a_mistake_is_told_before_training_and_leaves_nothing(
    tmp_path: Path, llama: Path, chats: Path, override: str
) -> None:
    given = [] if override.startswith("model=") else [f"model.name={llama}"]
    more = ["data.max_length=64", *given, f"data.train={chats}", "trainer.max_steps=1"]
    code, *phrases = REFUSED[override]
    with user_error(code) as caught:
        chatted(tmp_path, *more, override)
    told = caught.value.message()
    for phrase in phrases:
        assert phrase in told, told
    left = {p.name for p in tmp_path.rglob("*") if p.is_file() and "cache" not in p.parts}
    assert left <= {"rejects.jsonl"}


def test_an_encoder_is_refused(tmp_path: Path, chats: Path, minilm: str) -> None:
    with user_error("model.wrong-kind", where="model.name", match="is not a causal language model"):
        chatted(tmp_path, f"model.name={minilm}", f"data.train={chats}")
    assert not (tmp_path / "run").exists()


def test_the_command_line_ends_with_2_and_leaves_no_folder(tmp_path: Path, chats: Path, tunebook: Tunebook) -> None:
    done = tunebook("train", "recipe=customer_chat", f"data.train={chats}", "data.text=question", "run_dir=deep/run")
    assert done.returncode == 2 and done.stderr.startswith("error: data.text has no effect for recipe=customer_chat.")
    assert "  where: " in done.stderr and "  fix:   " in done.stderr and "Traceback" not in done.stderr
    assert not any((tmp_path / "work").iterdir())
