"""Whole runs of customer_chat: what they leave, whether the numbers are so, and who else can open it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
import torch
from rouge_score.rouge_scorer import RougeScorer
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.chatted import STARTER, chatted, evaluated, tiny_llama, write_chats, write_jsonl
from tests.conftest import Tunebook
from tests.user_error import user_error
from tunebook.cli.predict import predict_command
from tunebook.run_folder import RunFolder

SAMPLES = Path(__file__).parents[2] / "recipes/customer_chat/samples"
TOKENS = 14
BRIEF = ["trainer.max_steps=3", "recipe.max_new_tokens=4", "evaluation.max_generations=8", "data.max_length=96"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The starter on the samples, for a few steps."""
    steps = ["trainer.max_steps=5", "trainer.validate_every=1.0", "data.group=customer"]
    return chatted(
        tmp_path_factory.mktemp("samples"), *steps, "evaluation.max_generations=12", f"recipe.max_new_tokens={TOKENS}"
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model whose tokenizer says that a text ends elsewhere than a turn does."""
    folder = tiny_llama(tmp_path_factory.mktemp("base") / "my_llama")
    words = AutoTokenizer.from_pretrained(folder, eos_token="<|endoftext|>")
    words.save_pretrained(folder)
    assert words.eos_token == "<|endoftext|>"
    return folder


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory, base: Path) -> RunFolder:
    folder = tmp_path_factory.mktemp("lora")
    rows = write_chats(folder / "chats.jsonl", 40)
    more = ["adapt=lora", "optim.lr=0.05", "optim.warmup=0"]
    return chatted(folder, f"data.train={rows}", f"model.name={base}", *BRIEF, *more)


def opened(run: RunFolder) -> tuple[Any, Any]:
    return AutoModelForCausalLM.from_pretrained(run.bundle).eval(), AutoTokenizer.from_pretrained(run.bundle)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def predictions(run: RunFolder) -> list[dict[str, str]]:
    return table(run.predictions.read_text(encoding="utf-8"))


def metrics(run: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.metrics.read_text(encoding="utf-8"))
    return found


def samples(split: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def asked(run: RunFolder) -> list[list[dict[str, str]]]:
    """The turns before each written answer, from the file and the line that are told of it."""
    rows = samples("test")
    return [rows[int(row["line"]) - 1]["messages"][: int(row["turn"]) - 1] for row in predictions(run)]


def predicted(capsys: pytest.CaptureFixture[str], run: RunFolder, *arguments: str) -> list[dict[str, str]]:
    capsys.readouterr()
    predict_command([str(run.path), *arguments])
    return table(capsys.readouterr().out)


# What a run leaves ----------------------------------------------------------------------------------------------


def test_the_files_of_a_run(run: RunFolder) -> None:
    names = {
        "checkpoints",
        "config.yaml",
        "logs",
        "losses.csv",
        "metrics.json",
        "model",
        "predictions.csv",
        "report.html",
        "record.json",
    }
    assert {p.name for p in run.path.iterdir()} - {".running"} == names
    assert {p.name for p in run.bundle.iterdir()} == {
        *("README.md", "chat_template.jinja", "config.json", "generation_config.json", "model.safetensors"),
        *("seen_texts.npy", "tokenizer.json", "tokenizer_config.json", "tunebook.json"),
    }
    with run.losses.open(newline="", encoding="utf-8") as stream:
        losses = list(csv.DictReader(stream))
    assert len(losses) == len(samples("test"))
    surprise = sum(float(row["loss"]) for row in losses) / sum(int(row["tokens"]) for row in losses)
    test = json.loads(run.metrics.read_text())["test"]
    assert math.exp(surprise) == pytest.approx(test["perplexity"]["value"])
    answers = predictions(run)
    assert len(answers) >= 12
    columns = ["file", "line", "turn", "prompt", "reference", "answer", "answer_before_tuning"]
    assert list(answers[0]) == [*columns, "facts_stated", "facts_required"]
    said = [turns[-1]["content"] for turns in asked(run)]
    assert [row["prompt"] for row in answers] == said
    truth = [samples("test")[int(r["line"]) - 1]["messages"][int(r["turn"]) - 1]["content"] for r in answers]
    assert [row["reference"] for row in answers] == truth


def test_whole_conversations_are_answered(run: RunFolder) -> None:
    rows, answers = samples("test"), predictions(run)
    for line in {int(row["line"]) for row in answers}:
        turns = [number for number, turn in enumerate(rows[line - 1]["messages"], 1) if turn["role"] == "assistant"]
        assert [int(row["turn"]) for row in answers if int(row["line"]) == line] == turns


def test_facts_are_asked_of_the_first_turn_whose_answer_states_them(run: RunFolder) -> None:
    rows, answers = samples("test"), predictions(run)
    for line in {int(row["line"]) for row in answers}:
        mine = [row for row in answers if int(row["line"]) == line]
        left, expected = list(rows[line - 1]["facts"]), []
        for row in mine:
            here = [fact for fact in left if fact.lower() in row["reference"].lower()]
            left = [fact for fact in left if fact not in here]
            expected.append(str(len(here)))
        assert [row["facts_required"] for row in mine] == expected


def test_nothing_of_this_machine_is_in_a_bundle(run: RunFolder, lora: RunFolder, base: Path) -> None:
    for made in (run, lora):
        for file in (p for p in made.bundle.rglob("*") if p.is_file()):
            content = file.read_bytes()
            for place in (made.path.parent, base.parent, Path.home() / ".cache", STARTER.parent):
                assert str(place).encode() not in content, f"{file.name} names {place}"
    assert not lora.adapter.exists(), "it lies in the bundle"


def test_nothing_can_be_run_by_opening_a_run_folder(run: RunFolder, lora: RunFolder) -> None:
    for file in (p for made in (run, lora) for p in made.path.rglob("*") if p.is_file()):
        if file.suffix == ".ckpt":
            torch.load(file, weights_only=True)
        else:
            assert file.read_bytes()[:1] != b"\x80" and file.suffix not in (".pt", ".bin", ".pkl"), file


def test_the_report_shows_what_was_asked_and_written(run: RunFolder) -> None:
    report = run.report.read_text(encoding="utf-8")
    for phrase in ("Perplexity", "BLEU", "chrF", "before tuning", "customer_chat", "evaluation.max_generations"):
        assert phrase in report, phrase
    assert not re.findall(r"(?:src|href)=[\"']?https?:", report), "it opens without a network"


# Whether the numbers are so -------------------------------------------------------------------------------------


def perplexity_by_hand(folder: Path, conversations: Sequence[Any], known: str | Path) -> tuple[float, int]:
    """From transformers' full logits and its own mask of the answers, one conversation after the other."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    words = AutoTokenizer.from_pretrained(known)
    total, count = 0.0, 0
    for turns in conversations:
        found = words.apply_chat_template(turns, return_assistant_tokens_mask=True, return_dict=True)
        ids, mask = torch.tensor([found["input_ids"]]), torch.tensor([found["assistant_masks"]])
        labels = ids.masked_fill(mask == 0, -100)
        supervised = int((labels[:, 1:] != -100).sum())
        with torch.no_grad():
            total += float(model(input_ids=ids, labels=labels).loss.double()) * supervised
        count += supervised
    return math.exp(total / count), count


def test_perplexity_is_that_of_the_full_logits(run: RunFolder) -> None:
    conversations = [row["messages"] for row in samples("test")]
    told = metrics(run)
    by_hand, count = perplexity_by_hand(run.bundle, conversations, run.bundle)
    assert told["test"]["perplexity"]["value"] == pytest.approx(by_hand, rel=1e-5)
    assert told["test"]["perplexity"]["n"] == len(conversations)
    before, _ = perplexity_by_hand(STARTER, conversations, run.bundle)
    assert told["baselines"]["before tuning"]["perplexity"]["value"] == pytest.approx(before, rel=1e-5)
    assert by_hand < 0.9 * before, "some steps of training are seen in it"
    assert re.search(f"{count:,}".replace(",", r"\D?"), run.report.read_text(encoding="utf-8")), "supervised tokens"


def test_scores_of_answers_are_those_of_sacrebleu_and_rouge_score(run: RunFolder) -> None:
    rows, told = predictions(run), metrics(run)["test"]
    outputs, references = [row["answer"] for row in rows], [row["reference"] for row in rows]
    assert told["bleu"]["value"] == pytest.approx(sacrebleu.corpus_bleu(outputs, [references]).score, abs=1e-6)
    assert told["chrf"]["value"] == pytest.approx(sacrebleu.corpus_chrf(outputs, [references]).score, abs=1e-6)
    kinds = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
    scorer = RougeScorer(list(kinds.values()))
    each = [scorer.score(reference, output) for output, reference in zip(outputs, references, strict=True)]
    for ours, theirs in kinds.items():
        expected = sum(score[theirs].fmeasure for score in each) / len(each)
        assert told[ours]["value"] == pytest.approx(expected, abs=1e-6), ours
    assert told["chrf"]["value"] > 0 and told["rouge_1"]["value"] > 0


# Others open it -------------------------------------------------------------------------------------------------


def generated(model: Any, words: Any, turns: Sequence[dict[str, str]]) -> tuple[str, int]:
    """The answer of transformers' plain `generate`, and how many tokens it made."""
    inputs = words.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        written = model.generate(**inputs)[0, inputs["input_ids"].shape[1] :]
    return words.decode(written, skip_special_tokens=True).strip(), len(written)


def test_plain_transformers_writes_the_answers_of_the_table(run: RunFolder) -> None:
    model, words = opened(run)
    assert model.generation_config.eos_token_id == words.convert_tokens_to_ids("<|end|>")
    assert model.generation_config.max_new_tokens == TOKENS
    written = [generated(model, words, turns) for turns in asked(run)]
    assert [row["answer"] for row in predictions(run)] == [text for text, _ in written]
    assert min(tokens for _, tokens in written) < TOKENS, "none was stopped by its end of turn"
    before = AutoModelForCausalLM.from_pretrained(STARTER, dtype=torch.float32).eval()
    before.generation_config.max_new_tokens = TOKENS
    texts = [generated(before, words, turns)[0] for turns in asked(run)]
    assert [row["answer_before_tuning"] for row in predictions(run)] == texts
    assert texts != [text for text, _ in written]


def test_generation_stops_at_the_end_of_turn_where_the_tokenizer_names_another(lora: RunFolder) -> None:
    config = json.loads((lora.bundle / "generation_config.json").read_text(encoding="utf-8"))
    model, words = opened(lora)
    assert words.eos_token == "<|endoftext|>"
    stops = config["eos_token_id"] if isinstance(config["eos_token_id"], list) else [config["eos_token_id"]]
    assert words.convert_tokens_to_ids("<|end|>") in stops
    assert not config.get("do_sample") and model.generation_config.max_new_tokens == 4


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers in an older way
def test_the_adapters_alone_make_the_merged_model_of_the_base(lora: RunFolder, base: Path) -> None:
    from peft import PeftModel

    merged, words = opened(lora)
    plain = AutoModelForCausalLM.from_pretrained(base).eval()
    ids = words("where is my parcel, it is late", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        of_base, of_merged = plain(ids).logits, merged(ids).logits
        adapted = PeftModel.from_pretrained(plain, lora.bundle / "adapter").eval()
        of_adapted = adapted(ids).logits
    assert (of_adapted - of_merged).abs().max() < 1e-4
    assert (of_base - of_merged).abs().max() > 1e-2
    assert {p.name for p in (lora.bundle / "adapter").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}


def blocks(run: RunFolder) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (run.bundle / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_code_of_the_model_card_runs_as_it_is_written(run: RunFolder, lora: RunFolder, base: Path) -> None:
    (code,) = blocks(run)
    code, said = code.replace("path/to/this/folder", str(run.bundle)), io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "README.md", "exec"), {})
    model, words = opened(run)
    assert said.getvalue().strip() == generated(model, words, [{"role": "user", "content": "Where is my parcel?"}])[0]
    usage, adapter = blocks(lora)
    assert f'"path/to/{base.name}"' in adapter, "the base model by its name, not by its place here"
    scope: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(usage.replace("path/to/this/folder", str(lora.bundle)), "README.md", "exec"), scope)
        exec(compile(adapter.replace(f"path/to/{base.name}", str(base)), "README.md", "exec"), scope)
    assert type(scope["model"]).__name__ == "PeftModelForCausalLM"


# predict and evaluate -------------------------------------------------------------------------------------------


def test_every_form_that_waits_for_an_answer_gets_the_same(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = zip(asked(run), [row["answer"] for row in predictions(run)], strict=True)
    questions, answers = zip(*((turns[0]["content"], answer) for turns, answer in both if len(turns) == 1), strict=True)
    assert len(questions) >= 3
    forms: dict[str, Any] = {
        "messages": lambda q: {"messages": [{"role": "user", "content": q}]},
        "sharegpt": lambda q: {"conversations": [{"from": "human", "value": q}]},
        "alpaca": lambda q: {"instruction": q},
        "prompt": lambda q: {"prompt": q},
    }
    for name, form in forms.items():
        file = write_jsonl(tmp_path / f"{name}.jsonl", [form(question) for question in questions])
        found = predicted(capsys, run, str(file))
        assert [row["answer"] for row in found] == list(answers), name
        assert [row["prompt"] for row in found] == list(questions), name
        assert [(row["file"], row["line"]) for row in found][-1] == (file.name, str(len(questions))), name
    assert not any("\n" in question for question in questions)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("".join(f"{q}\n" for q in questions).encode())))
    found = predicted(capsys, run)
    assert [row["answer"] for row in found] == list(answers)
    assert {row["file"] for row in found} == {"stdin"}


def test_later_turns_are_answered_as_in_the_report(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_jsonl(tmp_path / "waiting.jsonl", [{"messages": turns} for turns in asked(run)])
    output = tmp_path / "answers.jsonl"
    predict_command([str(run.path), str(file), "-o", str(output)])
    found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["answer"] for row in found] == [row["answer"] for row in predictions(run)]


def test_predict_says_which_conversation_waits_for_no_answer(run: RunFolder, tmp_path: Path) -> None:
    with user_error("data.rejected-rows") as caught:
        predict_command([str(run.path), str(SAMPLES / "test.jsonl")])
    told = caught.value.message()
    assert "test.jsonl:1" in told and "there is nothing to answer" in told and "--max-rejects" in told
    for rows, code in (
        ({"prompt": "hi", "messages": []}, "conversation.ambiguous-format"),
        ({"text": "hi"}, "conversation.unknown-format"),
    ):
        file = write_jsonl(tmp_path / "rows.jsonl", [rows])
        with user_error(code, where=str(file)) as caught:
            predict_command([str(run.path), str(file)])
        assert "data.format" not in caught.value.message(), "predict has no such option"
    with user_error("command.no-column", where="--text", match="fixes the name of its column"):
        predict_command([str(run.path), str(SAMPLES / "test.jsonl"), "--text", "messages"])


def test_evaluating_the_bundle_again_gives_the_same_numbers(run: RunFolder, tmp_path: Path) -> None:
    given = [f"bundle={run.path}", f"data.test={SAMPLES / 'test.jsonl'}", "data.group=customer"]
    again = evaluated(tmp_path / "again", *given, "evaluation.resamples=50", "evaluation.max_generations=12")
    told, before = metrics(again)["test"], metrics(run)["test"]
    assert told["perplexity"]["value"] == pytest.approx(before["perplexity"]["value"], rel=1e-6)
    for name in ("bleu", "chrf", "rouge_l", "fact_recall"):
        assert told[name]["value"] == pytest.approx(before[name]["value"], abs=1e-9), name
    assert [row["answer"] for row in predictions(again)] == [row["answer"] for row in predictions(run)]


def test_a_score_on_training_rows_is_refused(run: RunFolder, tmp_path: Path, tunebook: Tunebook) -> None:
    seen, new = samples("train")[:2], samples("test")[:6]
    file = write_jsonl(tmp_path / "mixed.jsonl", [*new, *seen])
    done = tunebook("evaluate", f"bundle={run.path}", f"data.test={file}", "run_dir=scored")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "2 of 8 rows were already used in training or model selection" in done.stderr
    assert "mixed.jsonl:7, mixed.jsonl:8" in done.stderr
    assert not any((tmp_path / "work").iterdir())
    dropped = [f"bundle={run.path}", f"data.test={file}", "data.leaks=drop", "evaluation.max_generations=6"]
    kept = evaluated(tmp_path / "kept", *dropped, "evaluation.resamples=50")
    by_hand, _ = perplexity_by_hand(run.bundle, [row["messages"] for row in new], run.bundle)
    assert metrics(kept)["test"]["perplexity"]["value"] == pytest.approx(by_hand, rel=1e-5)


# Without tuning, without weights --------------------------------------------------------------------------------


def test_a_model_that_is_not_tuned_is_scored_as_it_is(tmp_path: Path, base: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 40)
    made = chatted(tmp_path, f"data.train={rows}", f"model.name={base}", *BRIEF, "adapt=none")
    model, plain = opened(made)[0], AutoModelForCausalLM.from_pretrained(base)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))
    assert not metrics(made)["baselines"] and not made.checkpoints.exists()
    page = made.report.read_text(encoding="utf-8")
    assert ">untuned</th>" in page and ">tuned<" not in page
    assert evaluated(
        tmp_path / "on-its-own", f"bundle={made.path}", f"data.test={rows}", "evaluation.max_generations=6"
    ).report.exists()


def test_a_model_from_scratch_has_none_of_the_old_weights(tmp_path: Path, base: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 40)
    made = chatted(tmp_path, f"data.train={rows}", f"model.name={base}", *BRIEF, "adapt=scratch")
    model, plain = opened(made)[0], AutoModelForCausalLM.from_pretrained(base)
    distance = (model.get_input_embeddings().weight - plain.get_input_embeddings().weight).abs().mean()
    assert distance > 0.01
    assert not metrics(made)["baselines"]
    assert "no pre-trained weights" in made.report.read_text(encoding="utf-8")


def test_answers_of_one_conversation_have_no_interval_and_end_no_run(tmp_path: Path, base: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 40)
    made = chatted(tmp_path, f"data.train={rows}", f"model.name={base}", *BRIEF, "evaluation.max_generations=1")
    assert metrics(made)["test"]["chrf"]["low"] is None and made.report.is_file()
