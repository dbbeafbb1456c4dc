"""A tuned model that answers: in order, within its room, with the losses of transformers, and only if it is whole."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.chatted import (
    QUICK,
    STARTER,
    chatted,
    composed,
    conversation,
    sentence,
    tiny_llama,
    write_chats,
    write_jsonl,
)
from tests.user_error import user_error
from tunebook.bundle.manifest import FILE
from tunebook.bundle.read import open_bundle
from tunebook.cli.predict import predict_command
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.text_generation.columns import prompt_columns
from tunebook.families.text_generation.data.content import ConversationContent
from tunebook.families.text_generation.data.message import Message
from tunebook.families.text_generation.data.packing import PackedItems, one_each
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.pipeline.prepare import make_recipe
from tunebook.run_folder import RunFolder

TOKENS = 10


@pytest.fixture(scope="module")
def template() -> ChatTemplate:
    return ChatTemplate.of(AutoTokenizer.from_pretrained(STARTER))


@pytest.fixture(scope="module")
def starter(template: ChatTemplate) -> TextGenerator:
    model = AutoModelForCausalLM.from_pretrained(STARTER, dtype=torch.float32)
    return TextGenerator(
        model, template, 300, Generation(max_new_tokens=TOKENS), recipe=make_recipe(composed(*QUICK, "run_dir=x"))
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("run")
    rows, model = write_chats(folder / "chats.jsonl", 40), tiny_llama(folder / "llama", positions=128)
    small = ["data.max_length=64", "trainer.max_steps=2", "recipe.max_new_tokens=4", "evaluation.max_generations=6"]
    return chatted(folder, f"data.train={rows}", f"model.name={model}", *small)


def questions(folder: Path, chats: Sequence[Sequence[dict[str, str]]]) -> Rows:
    """ValidatedData conversations that wait for an answer."""
    file = write_jsonl(folder / "waiting.jsonl", [{"messages": list(turns)} for turns in chats])
    rejects = RejectLog(folder / "rejects.jsonl", 0)
    rows = read_rows([str(file)], "files", prompt_columns([str(file)], None), rejects, split="rows")
    return ConversationContent(answered=False).inspect(rows, rejects)


def plainly(model: Any, prompt: Sequence[int], end: int) -> list[int]:
    ids = torch.tensor([prompt])
    with torch.no_grad():
        whole = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=TOKENS,
            do_sample=False,
            eos_token_id=end,
            pad_token_id=0,
        )
    return whole[0, len(prompt) :].tolist()  # type: ignore[no-any-return]


def test_answers_come_in_the_order_of_the_rows(starter: TextGenerator, tmp_path: Path) -> None:
    draw = random.Random(1)
    chats = [conversation(draw, draw.randint(1, 4))[:-1] for _ in range(40)]
    rows = questions(tmp_path, chats)
    counted: list[int] = []
    found = list(starter.answers(rows, advance=counted.append))
    assert [answer["prompt"] for answer in found] == [turns[-1]["content"] for turns in chats]
    assert sum(counted) == len(chats) and starter.columns == list(found[0])
    end, words = starter.template.end_of_turn_ids[0], starter.tokenizer
    for turns, answer in list(zip(chats, found, strict=True))[::8]:
        prompt = words.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        text = words.decode(plainly(starter.model, prompt, end), skip_special_tokens=True)
        assert answer["answer"] == text.strip()
    assert len({answer["answer"] for answer in found}) > 5


def test_answers_that_nothing_closes_are_told_and_counted(starter: TextGenerator, tmp_path: Path) -> None:
    draw = random.Random(1)
    chats = [conversation(draw, draw.randint(1, 4))[:-1] for _ in range(12)]
    writer = replace(starter, unfinished=0)
    end, words = writer.template.end_of_turn_ids[0], writer.tokenizer
    prompts = [words.apply_chat_template(turns, add_generation_prompt=True, return_dict=False) for turns in chats]
    expected = [plainly(writer.model, prompt, end)[-1] != end for prompt in prompts]
    assert 0 < sum(expected) < 12, "some are cut off and some are not"
    completions = writer.completions(prompts)
    assert [completion.stopped_at for (completion,) in completions] == [TOKENS if cut else None for cut in expected]
    list(writer.answers(questions(tmp_path, chats)))
    assert writer.unfinished == sum(expected)
    for turns in chats:
        list(writer.stream([Message(turn["role"], turn["content"]) for turn in turns]))  # type: ignore[arg-type]
    assert writer.unfinished == 2 * sum(expected)


def test_losses_are_those_of_transformers_whatever_the_batch(starter: TextGenerator, template: ChatTemplate) -> None:
    draw = random.Random(2)
    rows = [template.supervise(conversation(draw, draw.randint(1, 5))) for _ in range(37)]
    items = PackedItems(
        np.concatenate([row.ids for row in rows]),
        np.concatenate([row.supervised for row in rows]),
        np.cumsum([0, *map(len, rows)]),
        one_each(len(rows)),
    )
    losses, tokens = starter.losses(items)
    assert tokens.tolist() == [int(row.supervised.sum()) for row in rows] and len(set(map(len, rows))) > 20
    for row, loss, count in list(zip(rows, losses, tokens, strict=True))[::3]:
        ids = torch.from_numpy(row.ids.astype(np.int64))[None]
        labels = ids.masked_fill(~torch.from_numpy(row.supervised)[None], -100)
        with torch.no_grad():
            mean = float(starter.model(input_ids=ids, labels=labels).loss)
        assert loss / count == pytest.approx(mean, rel=1e-5)


def test_losses_are_taken_without_dropout(starter: TextGenerator, template: ChatTemplate, tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path, attention_dropout=0.9)
    model = AutoModelForCausalLM.from_pretrained(folder).train()
    row = template.supervise(conversation(random.Random(3), 4))
    items = PackedItems(row.ids, row.supervised, np.array([0, len(row)]), one_each(1))
    writer = TextGenerator(model, template, 256, recipe=starter.recipe)
    assert writer.losses(items)[0] == writer.losses(items)[0]


def test_earlier_turns_make_room_for_the_answer(starter: TextGenerator, template: ChatTemplate) -> None:
    """Room is what the model was trained on, or what its positions leave beside the answer."""
    draw = random.Random(4)
    turns = [Message(t["role"], t["content"]) for t in conversation(draw, 12, system="Be kind.")[:-1]]  # type: ignore[arg-type]
    whole = template.prompt(turns)
    for max_length, max_new, room in ((300, 10, 300), (100, 10, 100), (4096, 900, 124), (4096, 10, 1014)):
        writer = TextGenerator(
            starter.model, template, max_length, Generation(max_new_tokens=max_new), recipe=starter.recipe
        )
        assert writer.room == room
        asked = writer.encode_prompt(turns)
        assert len(asked) <= room and writer.truncated == (len(whole) > room)
        tail = len(asked) - len(template.prompt(turns[:1]))
        assert asked[-tail + 5 :].tolist() == whole[-tail + 5 :].tolist(), "what is kept are the last turns"
        assert "Be kind." in writer.tokenizer.decode(asked)


@pytest.mark.parametrize("max_new", [1017, 1024, 10**6])
def test_no_room_for_a_question_is_refused(starter: TextGenerator, template: ChatTemplate, max_new: int) -> None:
    writer = TextGenerator(starter.model, template, 300, Generation(max_new_tokens=max_new), recipe=starter.recipe)
    with user_error(
        "generation.no-room",
        where="recipe.max_new_tokens",
        match="leave no room for a question: the model has 1024 positions",
    ):
        writer.encode_prompt([Message("user", "Where is it?")])


def test_a_short_max_length_is_not_blamed_on_the_answers(starter: TextGenerator, template: ChatTemplate) -> None:
    writer = TextGenerator(starter.model, template, 6, Generation(max_new_tokens=4), recipe=starter.recipe)
    with pytest.raises(Unsupervisable, match="there is room for 6"):
        writer.encode_prompt([Message("user", "Where in the world is my parcel?")])


def test_a_question_that_cannot_be_asked_names_its_row(starter: TextGenerator, tmp_path: Path) -> None:
    draw = random.Random(5)
    long = [{"role": "user", "content": " ".join(sentence(draw) for _ in range(60))}]
    control = [{"role": "user", "content": "write \ufdd0 please"}]
    for bad, why in ((long, "the last question alone has"), (control, "contains a noncharacter")):
        rows = questions(tmp_path, [conversation(draw, 1)[:-1], bad])
        with user_error("data.too-long", where="waiting.jsonl:2") as caught:
            list(starter.answers(rows))
        assert why in caught.value.what and caught.value.where == "waiting.jsonl:2"


def test_decoding_leaves_out_control_tokens_and_outer_white_space(starter: TextGenerator) -> None:
    words = starter.tokenizer
    ids = words("  Your parcel,\n it is   late \n", add_special_tokens=False)["input_ids"]
    assert starter.decode([words.bos_token_id, *ids, words.eos_token_id]) == "Your parcel,\n it is   late"


def test_the_pieces_of_a_stream_are_the_answer(starter: TextGenerator) -> None:
    turns = [Message("user", "Where is my parcel? It is three days late.")]
    written = [completion.text for (completion,) in starter.completions([starter.encode_prompt(turns)])]
    assert "".join(starter.stream(turns)) == written[0] != ""


# Bundles --------------------------------------------------------------------------------------------------------


def copied(run: RunFolder, folder: Path) -> Path:
    shutil.copytree(run.bundle, folder)
    return folder


def changed_manifest(bundle: Path, **values: Any) -> None:
    manifest = json.loads((bundle / FILE).read_text(encoding="utf-8"))
    (bundle / FILE).write_text(json.dumps({**manifest, **values}), encoding="utf-8")


def changed_options(bundle: Path, **values: Any) -> None:
    options = json.loads((bundle / FILE).read_text(encoding="utf-8"))["options"]
    assert set(values) <= set(options)
    changed_manifest(bundle, options={**options, **values})


def test_a_bundle_opens_as_it_was_written(run: RunFolder) -> None:
    manifest, recipe, writer = open_bundle(run.bundle)
    assert recipe.options.name == "customer_chat" and manifest.max_length == 64
    assert (writer.max_length, writer.generation.max_new_tokens) == (64, 4)
    assert manifest.golden and manifest.labels == []


def swapped_weights(bundle: Path) -> str:
    tensors = load_file(bundle / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"] = -tensors["model.layers.0.mlp.up_proj.weight"] * 30
    save_file(tensors, bundle / "model.safetensors", metadata={"format": "pt"})
    return "bundle.changed-answers"


def another_template(bundle: Path) -> str:
    text = (bundle / "chat_template.jinja").read_text(encoding="utf-8")
    (bundle / "chat_template.jinja").write_text(
        text.replace("'<|' + message", "'please: <|' + message"), encoding="utf-8"
    )
    return "template.unsupervisable"


def missing_weights(bundle: Path) -> str:
    tensors = load_file(bundle / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, bundle / "model.safetensors", metadata={"format": "pt"})
    return "model.mismatch"


def length_in_words(bundle: Path) -> str:
    changed_options(bundle, max_new_tokens="many")
    return "config.wrong-type"


def no_length_at_all(bundle: Path) -> str:
    changed_options(bundle, max_new_tokens=0)
    return "bundle.damaged"


def another_head(bundle: Path) -> str:
    changed_manifest(bundle, head="softmax")
    return "bundle.mismatch"


DAMAGES = [swapped_weights, another_template, missing_weights, length_in_words, no_length_at_all, another_head]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_bundle_that_was_changed_is_refused(run: RunFolder, tmp_path: Path, damage: Any) -> None:
    bundle = copied(run, tmp_path / "bundle")
    code = damage(bundle)
    with user_error(code):
        open_bundle(bundle)


def test_predict_tells_of_conversations_whose_beginning_was_left_out(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(6)
    chats = [{"messages": conversation(draw, rounds)[:-1]} for rounds in (1, 9, 1, 9)]
    predict_command([str(run.path), str(write_jsonl(tmp_path / "waiting.jsonl", chats))])
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 5
    assert "note: 2 rows exceed the model's maximum length" in said.err


def test_unfinished_answers_are_counted_by_predict_and_the_report(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = [{"messages": [{"role": "user", "content": f"Where is parcel {number}?"}]} for number in range(6)]
    predict_command([str(run.path), str(write_jsonl(tmp_path / "waiting.jsonl", waiting))])
    model, words = AutoModelForCausalLM.from_pretrained(run.bundle), AutoTokenizer.from_pretrained(run.bundle)
    cut = 0
    for row in waiting:
        prompt = words.apply_chat_template(row["messages"], add_generation_prompt=True, return_dict=False)
        ids = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)))[0].tolist()
        cut += ids[-1] not in np.atleast_1d(model.generation_config.eos_token_id)
    told = f"note: {cut} of 6 answers were truncated at max_new_tokens (recipe.max_new_tokens in training)"
    assert cut and told in capsys.readouterr().err
    scores = json.loads(run.metrics.read_text(encoding="utf-8"))
    found = scores["test"]["unfinished"]
    assert 0 < found["value"] <= 1 and found["n"] >= 6 and found["low"] < found["high"]
    assert "unfinished" in scores["baselines"]["before tuning"]
    count = round(found["value"] * found["n"])
    note = f"{count} of the {found['n']} answers were truncated at recipe.max_new_tokens=4"
    assert note in run.report.read_text(encoding="utf-8")
