"""Whole runs of marketing_copy: what they leave, whether the numbers are so, and who else can open it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from tests.briefed import BRIEF, TOKENS, briefed, briefs, evaluated, in_brackets, read, tiny_t5, write_csv
from tests.chatted import STARTER, tiny_llama, write_jsonl
from tests.conftest import Tunebook
from tests.training.test_resume import equal, last_state, weights
from tests.user_error import user_error
from tunebook.cli.predict import predict_command
from tunebook.cli.run_training import train_in
from tunebook.families.brief_to_text.data.template import SHIPPED
from tunebook.pipeline.stored import read_config
from tunebook.recipes.marketing_copy.compose import ROWS  # noqa: TID251 (core may not; this is the recipe's own test)
from tunebook.recipes.marketing_copy.compose import main as compose_command  # noqa: TID251
from tunebook.recipes.marketing_copy.compose import write as compose  # noqa: TID251
from tunebook.run_folder import RunFolder
from tunebook.training import checkpoints as checkpoints_module
from tunebook.training.checkpoints import read_checkpoint, step_checkpoints

SAMPLES = Path(__file__).parents[1] / "rows/marketing_copy"  # varied ones, written by hand
SHIPPED_ROWS = Path(__file__).parents[2] / "recipes/marketing_copy/samples"
FIELDS = ("name", "audience", "features", "tone")
KINDS = ("causal", "seq2seq")
FEW = ["trainer.max_steps=2", "evaluation.max_generations=4", "recipe.max_new_tokens=4"]


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_t5(tmp_path_factory.mktemp("base") / "my_t5")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "my_llama")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, t5: Path) -> dict[str, RunFolder]:
    """Both kinds of models on varied briefs, for a few steps."""
    folder = tmp_path_factory.mktemp("samples")
    rows = [f"data.{split}={SAMPLES / split}.jsonl" for split in ("train", "validation", "test")]
    rows += [f"recipe.fields=[{','.join(FIELDS)}]", "data.batch_size=16"]
    more = {
        "causal": [],
        "seq2seq": [f"model.name={t5}", "recipe.lowercase=true", "data.overlength=error", "optim.lr=0.03"],
    }
    return {kind: briefed(folder / kind, *BRIEF, *rows, *given) for kind, given in more.items()}


@pytest.fixture(scope="module")
def brackets(tmp_path_factory: pytest.TempPathFactory, t5: Path) -> RunFolder:
    """Adapters beside an encoder-decoder, on rows that hold briefs as E2E does."""
    folder = tmp_path_factory.mktemp("brackets")
    rows = write_csv(folder / "e2e.csv", in_brackets(briefs(40)))
    given = [f"data.train={rows}", "recipe.brief=mr", "recipe.target_column=ref", f"model.name={t5}"]
    return briefed(folder, *FEW, *given, "adapt=lora", "optim.lr=0.05", "optim.warmup=0")


@pytest.fixture(scope="module")
def choosing(tmp_path_factory: pytest.TempPathFactory, llama: Path) -> RunFolder:
    """Adapters beside a causal model that draws three candidates, with a template of its own."""
    folder = tmp_path_factory.mktemp("choosing")
    rows = write_jsonl(folder / "rows.jsonl", briefs(40))
    (folder / "own.jinja").write_text("{{ name }} / {{ features }} / {{ price }} =>\n", encoding="utf-8")
    given = [f"data.train={rows}", "recipe.fields=[name,features,price]", f"model.name={llama}"]
    given += [
        "recipe.limits={page: {max_characters: 2}}",
        "recipe.candidates=3",
        "recipe.decoding=sample",
        f"recipe.template={folder / 'own.jinja'}",
    ]
    return briefed(folder, *FEW, *given, "adapt=lora", "optim.lr=0.05", "optim.warmup=0")


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def predictions(run: RunFolder) -> list[dict[str, str]]:
    return table(run.predictions.read_text(encoding="utf-8"))


def metrics(run: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.metrics.read_text(encoding="utf-8"))
    return found


def manifest(run: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.bundle / "tunebook.json").read_text(encoding="utf-8"))
    return found


def samples(split: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def scored(run: RunFolder) -> list[dict[str, Any]]:
    """The sample rows that were written for, from the lines that are told."""
    rows = samples("test")
    return [rows[int(row["line"]) - 1] for row in predictions(run)]


def prompt_of(row: dict[str, Any]) -> str:
    """The prompt of a sample row, written down by hand."""
    lines = [f"{name}: {'; '.join(row[name]) if isinstance(row[name], list) else row[name]}" for name in FIELDS]
    lines += [f"channel: {row['channel']}"]
    lines += [f"must mention: {'; '.join(row['must_mention'])}"] * bool(row["must_mention"])
    lines += [f"must avoid: {'; '.join(row['must_avoid'])}"] * bool(row["must_avoid"])
    return "\n".join([*lines, "copy:"])


def opened(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer as anyone opens them."""
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = AutoModelForSeq2SeqLM if settings.get("is_encoder_decoder") else AutoModelForCausalLM
    return kind.from_pretrained(folder, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(folder)


def generated(model: Any, words: Any, prompt: str, **settings: Any) -> str:
    """What transformers' plain `generate` writes."""
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            written = model.generate(**words(prompt, return_tensors="pt"), **settings)[0]
        else:
            turns = [{"role": "user", "content": prompt}]
            inputs = words.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
            written = model.generate(**inputs, **settings)[0, inputs["input_ids"].shape[1] :]
    text: str = words.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text.strip()


def predicted(capsys: pytest.CaptureFixture[str], run: RunFolder, *arguments: str) -> list[dict[str, str]]:
    capsys.readouterr()
    predict_command([str(run.path), *arguments])
    return table(capsys.readouterr().out)


# What a run leaves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_of_a_run(runs: dict[str, RunFolder], kind: str) -> None:
    run = runs[kind]
    left = (
        "checkpoints",
        "config.yaml",
        "logs",
        "losses.csv",
        "metrics.json",
        "model",
        "predictions.csv",
        "record.json",
    )
    assert {p.name for p in run.path.iterdir()} - {".running"} == {*left, "report.html"}
    bundle = ("README.md", "config.json", "generation_config.json", "model.safetensors", "seen_texts.npy")
    own = ("tokenizer.json", "tokenizer_config.json", "tunebook.json")
    assert {p.name for p in run.bundle.iterdir()} - {"chat_template.jinja"} == {*bundle, *own}
    rows = predictions(run)
    columns = ["file", "line", "prompt", "reference", "answer", "answer_before_tuning", "answer_template"]
    assert list(rows[0]) == [*columns, "answer_nearest_training_brief", "facts_stated", "facts_required"]
    assert len(rows) == 10
    assert [row["prompt"] for row in rows] == [prompt_of(row) for row in scored(run)]
    told = [row["reference"] for row in rows]
    assert [json.loads(one) if one.startswith("[") else [one] for one in told] == [row["copy"] for row in scored(run)]
    report = run.report.read_text(encoding="utf-8")
    for phrase in ("Perplexity", "BLEU", "before tuning", "nearest training brief", "marketing_copy"):
        assert phrase in report, phrase
    assert not re.findall(r"(?:src|href)=[\"']?https?:", report), "it opens without a network"


def test_nothing_of_this_machine_is_in_a_bundle(
    runs: dict[str, RunFolder], brackets: RunFolder, choosing: RunFolder, t5: Path
) -> None:
    for made in (*runs.values(), brackets, choosing):
        for file in (p for p in made.bundle.rglob("*") if p.is_file()):
            content = file.read_bytes()
            for place in (made.path.parent, t5.parent, Path.home() / ".cache", STARTER.parent):
                assert str(place).encode() not in content, f"{file.name} names {place}"


# Others open it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_plain_transformers_writes_the_copy_of_the_table(runs: dict[str, RunFolder], kind: str) -> None:
    run = runs[kind]
    model, words = opened(run.bundle)
    assert model.generation_config.max_new_tokens == TOKENS
    written = [generated(model, words, prompt_of(row)) for row in scored(run)]
    assert [row["answer"] for row in predictions(run)] == written
    assert len(set(written)) > 1, "a model that says one thing of all briefs proves nothing"


@pytest.mark.parametrize("kind", KINDS)
def test_copies_that_nothing_closes_are_counted(runs: dict[str, RunFolder], kind: str) -> None:
    run, cut = runs[kind], 0
    model, words = opened(run.bundle)
    for row in scored(run):
        inputs = dict(words(prompt_of(row), return_tensors="pt"))
        if kind == "causal":
            turns = [{"role": "user", "content": prompt_of(row)}]
            inputs = words.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        with torch.no_grad():
            last = int(model.generate(**inputs)[0, -1])
        cut += last not in {model.generation_config.eos_token_id}
    told = metrics(run)
    assert told["test"]["unfinished"]["value"] == pytest.approx(cut / 10) and cut
    assert "unfinished" in told["baselines"]["before tuning"] and "unfinished" not in told["baselines"]["template"]
    note = f"{cut} of the 10 answers were truncated at recipe.max_new_tokens={TOKENS}"
    assert note in run.report.read_text(encoding="utf-8")


def blocks(run: RunFolder) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (run.bundle / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_tells_how_a_brief_becomes_copy(runs: dict[str, RunFolder], kind: str) -> None:
    run = runs[kind]
    card = (run.bundle / "README.md").read_text(encoding="utf-8")
    assert "tunebook chat" not in card and "parcel" not in card
    assert card.index("tunebook predict path/to/this/folder briefs.csv") < card.index("```python")
    assert SHIPPED.read_text(encoding="utf-8").strip() in card
    tag = "text2text-generation" if kind == "seq2seq" else "text-generation"
    assert f"pipeline_tag: {tag}\n" in card
    (code,) = blocks(run)
    code = code.replace("path/to/this/folder", str(run.bundle))
    row = next(row for row in scored(run) if row["must_mention"] and row["must_avoid"])
    fields = {name: row[name] for name in FIELDS}
    constraints = {name: row[name] for name in ("channel", "must_mention", "must_avoid")}
    filled = re.sub(r"^fields = .*$", lambda _: f"fields = {fields!r}", code, flags=re.MULTILINE)
    filled = re.sub(r"^constraints = .*$", lambda _: f"constraints = {constraints!r}", filled, flags=re.MULTILINE)
    scope: dict[str, Any] = {}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "README.md", "exec"), {})
        exec(compile(filled, "README.md", "exec"), scope)
    assert scope["prompt"] == prompt_of(row)
    assert generated(*opened(run.bundle), prompt_of(row)) in said.getvalue()


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers in an older way
def test_the_adapters_alone_make_the_merged_model_of_the_base(
    brackets: RunFolder, choosing: RunFolder, t5: Path, llama: Path
) -> None:
    for run, base, task in ((brackets, t5, "SEQ_2_SEQ_LM"), (choosing, llama, "CAUSAL_LM")):
        folder = run.bundle / "adapter"
        assert json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["task_type"] == task
        usage, adapter = blocks(run)
        assert f'"path/to/{base.name}"' in adapter, "the base model by its name, not by its place here"
        scope: dict[str, Any] = {}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(usage.replace("path/to/this/folder", str(run.bundle)), "README.md", "exec"), scope)
            exec(compile(adapter.replace(f"path/to/{base.name}", str(base)), "README.md", "exec"), scope)
        merged, words = opened(run.bundle)
        plain = opened(base)[0]
        inputs = dict(words("a lamp for the hall", return_tensors="pt"))
        if task == "SEQ_2_SEQ_LM":
            inputs["decoder_input_ids"] = torch.tensor([[words.pad_token_id, 40, 50]])
        with torch.no_grad():
            logits = [model(**inputs).logits for model in (merged, scope["model"].eval(), plain)]
        assert (logits[0] - logits[1]).abs().max() < 1e-3, task
        assert (logits[0] - logits[2]).abs().max() > 1e-2, "something was learned"


# Whether the numbers are so -------------------------------------------------------------------------------------


def perplexity_by_hand(folder: Path, known: Path, rows: Sequence[dict[str, Any]]) -> float:
    """From transformers' full logits, one copy after the other."""
    model, words = opened(folder)[0], AutoTokenizer.from_pretrained(known)
    total, count = 0.0, 0
    for row in rows:
        for copy in row["copy"]:
            if model.config.is_encoder_decoder:
                inputs = dict(words(prompt_of(row), return_tensors="pt"))
                labels = words(text_target=copy, return_tensors="pt")["input_ids"]
                assert labels[0, -1] == words.eos_token_id
                supervised = labels.numel()
            else:
                turns = [{"role": "user", "content": prompt_of(row)}, {"role": "assistant", "content": copy}]
                found = words.apply_chat_template(turns, return_assistant_tokens_mask=True, return_dict=True)
                ids, mask = torch.tensor([found["input_ids"]]), torch.tensor([found["assistant_masks"]])
                inputs, labels = {"input_ids": ids}, ids.masked_fill(mask == 0, -100)
                supervised = int((labels[:, 1:] != -100).sum())
            with torch.no_grad():
                total += float(model(**inputs, labels=labels).loss.double()) * supervised
            count += supervised
    return math.exp(total / count)


@pytest.mark.parametrize("kind", KINDS)
def test_perplexity_is_that_of_the_full_logits(runs: dict[str, RunFolder], kind: str, t5: Path) -> None:
    run, rows = runs[kind], samples("test")
    told = metrics(run)
    after = perplexity_by_hand(run.bundle, run.bundle, rows)
    assert told["test"]["perplexity"]["value"] == pytest.approx(after, rel=1e-5)
    assert told["test"]["perplexity"]["n"] == len(rows)
    before = perplexity_by_hand(STARTER if kind == "causal" else t5, run.bundle, rows)
    assert told["baselines"]["before tuning"]["perplexity"]["value"] == pytest.approx(before, rel=1e-5)
    assert after < 0.95 * before, "some steps of training are seen in it"


SYSTEMS = {
    "tuned": "answer",
    "before tuning": "answer_before_tuning",
    "template": "answer_template",
    "nearest training brief": "answer_nearest_training_brief",
}


def every_score(run: RunFolder) -> dict[str, dict[str, Any]]:
    told = metrics(run)
    return {"tuned": told["test"], **told["baselines"]}


@pytest.mark.parametrize("kind", KINDS)
def test_bleu_is_that_of_sacrebleu_with_all_references(runs: dict[str, RunFolder], kind: str) -> None:
    run = runs[kind]
    rows, references = predictions(run), [row["copy"] for row in scored(run)]
    most = max(map(len, references))
    assert min(map(len, references)) < most, "not all have equally many"
    streams = [[each[i] if i < len(each) else None for each in references] for i in range(most)]
    lower = kind == "seq2seq"
    for name, scores in every_score(run).items():
        outputs = [row[SYSTEMS[name]] for row in rows]
        expected = sacrebleu.corpus_bleu(outputs, streams, lowercase=lower, tokenize="13a").score
        assert scores["bleu"]["value"] == pytest.approx(expected, abs=1e-6), name
    assert every_score(run)["template"]["bleu"]["value"] > 1
    signature = str(metrics(run)["signatures"])
    assert f"case:{'lc' if lower else 'mixed'}" in signature and "tok:13a" in signature


def share(found: Sequence[bool]) -> float:
    return sum(found) / len(found)


def numbers(text: str) -> set[tuple[str, str]]:
    """Numbers that are no part of a word, each with its unit of time, if any."""
    return set(re.findall(r"(?<![A-Za-z\d])(\d+(?:[.,]\d+)*)((?: (?:minutes|hours|days|weeks|years))?)", text))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_brief_makes_checkable_is_counted_right(runs: dict[str, RunFolder], kind: str) -> None:
    run = runs[kind]
    rows, asked = predictions(run), scored(run)
    limits = {"ad_headline": 30, "email_subject": 60, "tweet": 280}
    assert set(every_score(run)) == set(SYSTEMS)
    for name, scores in every_score(run).items():
        both = [(row[SYSTEMS[name]], brief) for row, brief in zip(rows, asked, strict=True)]
        said = [
            re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", copy, re.IGNORECASE) is not None
            for copy, brief in both
            for phrase in brief["must_mention"]
        ]
        assert said and scores["must_mention_recall"]["value"] == pytest.approx(share(said)), name
        within = [len(copy) <= limits[b["channel"]] for copy, b in both if b["channel"] in limits]
        assert within and scores["within_limits"]["value"] == pytest.approx(share(within)), name
        known = [
            numbers(prompt_of(brief)) | {(number, "") for number, _ in numbers(prompt_of(brief))} for _, brief in both
        ]
        invented = [bool(numbers(copy) - here) for (copy, _), here in zip(both, known, strict=True)]
        assert scores["invented_numbers_share"]["value"] == pytest.approx(share(invented)), name
        assert scores["copied_whole"]["value"] == (1.0 if name == "nearest training brief" else 0.0)
    assert every_score(run)["template"]["must_mention_recall"]["value"] == 1
    assert every_score(run)["nearest training brief"]["invented_numbers_share"]["value"] > 0
    assert 0 < every_score(run)["template"]["within_limits"]["value"] < 1


# The forms of rows ----------------------------------------------------------------------------------------------


def columns_form(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lists = {"features", "copy", "must_mention"}
    return [{k: json.dumps(v) if k in lists else v for k, v in row.items()} for row in rows]


def barred_form(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Phrases between bars, and a row for each copy."""
    found = [{**row, "features": json.dumps(row["features"]), "copy": copy} for row in rows for copy in row["copy"]]
    return [{**row, "must_mention": "|".join(row["must_mention"])} for row in found]


def object_form(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    inside = ("name", "features", "price", "must_mention")
    return [{"text": json.dumps({k: row[k] for k in inside}), "copies": json.dumps(row["copy"])} for row in rows]


FORMS: dict[str, tuple[Any, list[str]]] = {
    "columns": (columns_form, ["recipe.fields=[name,features,price]"]),
    "bars": (barred_form, ["recipe.fields=[name,features,price]"]),
    "object": (object_form, ["recipe.brief=text", "recipe.target_column=copies"]),
}


def learned_pairs(folder: Path, *overrides: str) -> dict[str, set[tuple[str, str]]]:
    """Prompt and copy of all that would be supervised or scored, by split."""
    made = read(folder, *overrides)
    found: dict[str, set[tuple[str, str]]] = {}
    recipe: Any = made.recipe
    for split, rows in made.encoded.rows.items():
        found[split] = {
            (asked.content, answer.content)
            for several in recipe.training_conversations(rows)
            for asked, answer in several
        }
    return found


def test_every_form_of_rows_says_the_same(tmp_path: Path, llama: Path) -> None:
    rows = briefs(30)
    expected = {
        (
            f"name: {row['name']}\nfeatures: {'; '.join(row['features'])}\nprice: {row['price']}\n"
            + f"must mention: {'; '.join(row['must_mention'])}\n" * bool(row["must_mention"])
            + "copy:",
            copy,
        )
        for row in rows
        for copy in row["copy"]
    }
    for name, (form, given) in FORMS.items():
        file = write_csv(tmp_path / f"{name}.csv", form(rows))
        found = learned_pairs(tmp_path, f"data.train={file}", f"model.name={llama}", *given)
        assert found["train"] | found["validation"] | found["test"] == expected, name


def test_all_rows_of_a_brief_stay_in_one_split_and_are_one_in_the_scores(
    tmp_path: Path, brackets: RunFolder, t5: Path
) -> None:
    file = write_csv(tmp_path / "e2e.csv", in_brackets(briefs(40)))
    found = learned_pairs(
        tmp_path, f"data.train={file}", "recipe.brief=mr", "recipe.target_column=ref", f"model.name={t5}"
    )
    prompts = {split: {prompt for prompt, _ in both} for split, both in found.items()}
    assert len(set.union(*prompts.values())) == 40 == sum(map(len, prompts.values()))
    assert sum(map(len, found.values())) == 60
    rows = predictions(brackets)
    assert len({row["prompt"] for row in rows}) == len(rows) == 4
    copies = {prompt: {copy for p, copy in found["test"] if p == prompt} for prompt in prompts["test"]}
    for row in rows:
        told = json.loads(row["reference"]) if row["reference"].startswith("[") else [row["reference"]]
        assert set(told) == copies[row["prompt"]]
    assert metrics(brackets)["test"]["perplexity"]["n"] == len([1 for both in found["test"] for _ in [both]])


def test_bad_rows_are_rejected_with_reasons(tmp_path: Path, tunebook: Tunebook, llama: Path) -> None:
    good = columns_form(briefs(30))
    nothing = {**good[0], "name": "", "features": "", "price": "", "copy": "A lamp."}
    echo = {**good[0], "name": "grey lamp", "features": "[]", "price": "", "copy": "Grey lamp!"}
    silent = {**good[0], "must_mention": "5 years|oak", "copy": "It lasts 5 years."}
    file = write_csv(tmp_path / "rows.csv", [*good, nothing, echo, silent])
    given = ["recipe=marketing_copy", "trainer=cpu", f"data.train={file}", "recipe.fields=[name,features,price]"]
    done = tunebook("train", *given, f"model.name={llama}", "run_dir=run")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "3" in done.stderr and "data.max_rejects" in done.stderr
    for reason in ("has no usable brief: it is empty", "it is equal to the brief", "lacks 'oak'"):
        assert reason in done.stderr or reason in _rejects(tmp_path / "work"), reason
    made = read(tmp_path, *given[2:], f"model.name={llama}", "data.max_rejects=3")
    told = {json.loads(line)["line"]: json.loads(line)["reason"] for line in _lines(tmp_path / "rejects.jsonl")}
    assert set(told) == {32, 33, 34}
    assert "empty" in told[32] and "equal to the brief" in told[33] and "lacks 'oak', which it must" in told[34]
    assert sum(len(rows) for rows in made.encoded.rows.values()) == 30


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def _rejects(folder: Path) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in folder.rglob("rejects.jsonl"))


# predict --------------------------------------------------------------------------------------------------------


def test_predict_writes_the_copy_of_the_table_with_its_checks(
    runs: dict[str, RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = [{k: v for k, v in row.items() if k not in ("copy", "id")} for row in scored(runs["causal"])]
    rows = [{k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in waiting]
    rows[0] |= {"channel": "ad_headline", "must_mention": json.dumps(["painted river stones in a pouch"])}
    file = write_csv(tmp_path / "briefs.csv", rows)
    for kind, run in runs.items():
        found = predicted(capsys, run, str(file))
        assert list(found[0]) == ["file", "line", "brief", "copy", "clean", "problems", "score"]
        assert [row["copy"] for row in found[1:]] == [row["answer"] for row in predictions(run)[1:]], kind
        assert [row["line"] for row in found] == [str(line) for line in range(2, 12)]
        assert f"name: {waiting[0]['name']}; audience: " in found[0]["brief"]
        assert {row["score"] for row in found} == {""}, "nothing was chosen"
        for row in found:
            asked = [p for p in row["problems"].split("; ") if p and not p.startswith("cannot be met")]
            assert (row["clean"] == "yes") == (not asked)
        stopped = f"was truncated at recipe.max_new_tokens={TOKENS}"
        share_cut = metrics(run)["test"]["unfinished"]["value"]
        assert sum(stopped in row["problems"] for row in found[1:]) >= 10 * share_cut - 1
        assert 'does not say "painted river stones in a pouch"' in found[0]["problems"]
        assert "cannot be met: what has to be said is 31 characters long, and 30 are allowed" in found[0]["problems"]


def test_lines_are_briefs_where_a_column_held_them_whole(
    runs: dict[str, RunFolder],
    brackets: RunFolder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    rows = in_brackets(briefs(3, seed=9))
    lines = "".join(f"{row['mr']}\n" for row in rows)

    def typed(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    typed(lines)
    found = predicted(capsys, brackets)
    model, words = opened(brackets.bundle)
    prompts = [re.sub(r"(\w+)\[(.*?)\](?:, |$)", r"\1: \2\n", row["mr"]) + "copy:" for row in rows]
    assert [row["copy"] for row in found] == [generated(model, words, prompt) for prompt in prompts]
    assert {row["file"] for row in found} == {"stdin"}
    file = write_csv(tmp_path / "others.csv", [{"meaning": row["mr"]} for row in rows])
    assert [row["copy"] for row in predicted(capsys, brackets, str(file), "--text", "meaning")] == [
        row["copy"] for row in found
    ]
    for run, arguments, code, phrase in (
        (runs["causal"], [], "command.no-input", "no brief"),
        (runs["causal"], [str(file), "--text", "meaning"], "command.no-column", "several columns"),
        (brackets, [], "data.rejected-rows", "no usable brief"),
    ):
        typed("a lamp, as cheap as they come\n")
        with user_error(code) as caught:
            predict_command([str(run.path), *arguments])
        assert phrase in caught.value.message(), caught.value.message()


# Candidates -----------------------------------------------------------------------------------------------------


def broken(problems: str) -> int:
    kinds = ("does not say", "uses ", "has ", "stops at ")
    return sum(each.startswith(kinds) for each in problems.split("; "))


def copies_of(row: dict[str, str]) -> list[tuple[str, str, str]]:
    return [(row[f"copy{n}"], row[f"problems{n}"], row[f"score{n}"]) for n in ("", "_2", "_3")]


def test_the_best_candidate_stands_first(
    choosing: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_jsonl(tmp_path / "briefs.jsonl", [{**row, "max_characters": 12} for row in briefs(12, seed=5)])
    found = predicted(capsys, choosing, str(file))
    again = predicted(capsys, choosing, str(file))
    assert found == again, "one seed, one draw"
    one = ["copy", "clean", "problems", "score"]
    assert list(found[0]) == ["file", "line", "brief", *one, *(f"{c}_2" for c in one), *(f"{c}_3" for c in one)]
    ranks = [[broken(problems) for _, problems, _ in copies_of(row)] for row in found]
    distinct = [len({copy for copy, _, _ in copies_of(row)}) for row in found]
    assert max(distinct) == 3, "draws differ"
    for row, rank in zip(found, ranks, strict=True):
        if all(copy for copy, _, _ in copies_of(row)):
            assert rank[0] == min(rank), row
            scores = [float(score) for _, problems, score in copies_of(row) if problems == row["problems"]]
            assert scores[0] == max(scores) < 0, row
    assert len({tuple(rank) for rank in ranks}) > 1 and any(len(set(rank)) > 1 for rank in ranks)
    (page,) = predicted(
        capsys, choosing, str(write_jsonl(tmp_path / "page.jsonl", [{**briefs(1)[0], "channel": "Page"}]))
    )
    assert re.search(r"has \d+ characters, and 2 are allowed", page["problems"]), "the limits given are in the bundle"
    told = metrics(choosing)["test"]
    assert 0 <= told["self_bleu"]["value"] <= 100 and 0 < told["candidate_distinct_2"]["value"] <= 1


def test_candidates_of_beams_are_the_best_beams(tmp_path: Path, t5: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write_jsonl(tmp_path / "rows.jsonl", [{**row, "must_mention": []} for row in briefs(30)])
    given = [f"data.train={rows}", "recipe.fields=[name,features,price]", f"model.name={t5}", "adapt=none"]
    run = briefed(tmp_path, *FEW, *given, "recipe.candidates=3", "recipe.decoding=beam", "recipe.num_beams=3")
    asked = briefs(4, seed=3)
    file = write_jsonl(tmp_path / "new.jsonl", [{k: row[k] for k in ("name", "features", "price")} for row in asked])
    found = predicted(capsys, run, str(file))
    model, words = opened(run.bundle)
    assert model.generation_config.num_beams == 3
    for brief, row in zip(asked, found, strict=True):
        prompt = f"name: {brief['name']}\nfeatures: {'; '.join(brief['features'])}\nprice: {brief['price']}\ncopy:"
        with torch.no_grad():
            written = model.generate(**words(prompt, return_tensors="pt"), num_return_sequences=3)
        texts = [words.decode(one, skip_special_tokens=True).strip() for one in written]
        assert sorted(copy for copy, _, _ in copies_of(row)) == sorted(texts)


@pytest.mark.parametrize(
    ("given", "code", "phrase"),
    [
        (["recipe.candidates=3"], "generation.too-many-candidates", "gives one answer"),
        (
            ["recipe.candidates=5", "recipe.decoding=beam"],
            "generation.too-many-candidates",
            "5 candidates cannot",
        ),
        (["recipe.candidates=0"], "config.out-of-range", "at least 1"),
        (["recipe.decoding=sample", "recipe.temperature=0"], "generation.unusable-settings", "temperature"),
        (["recipe.decoding=beam", "recipe.num_beams=0"], "generation.unusable-settings", "num_beams"),
        (
            ["recipe.temperature=0.7"],
            "config.no-effect",
            "with recipe.decoding=greedy",
        ),
        (
            ["recipe.decoding=beam", "recipe.top_p=0.5"],
            "config.no-effect",
            "with recipe.decoding=beam",
        ),
        (
            ["recipe.decoding=sample", "recipe.num_beams=2"],
            "config.no-effect",
            "recipe.num_beams has no effect with recipe.decoding=sample",
        ),
        (["recipe.limits={tweet: {letters: 3}}"], "config.wrong-type", "recipe.limits="),
        (["recipe.limits={tweet: {max_words: many}}"], "config.wrong-type", "recipe.limits="),
        (["recipe.limits=short"], "config.wrong-type", "recipe.limits="),
        (["data.overlength=split_turns"], "config.no-effect", "are used whole"),
        (["data.facts=facts"], "config.no-effect", "data.facts"),
        (["data.format=messages"], "config.no-effect", "data.format"),
        (["data.text=body"], "config.no-effect", "data.text"),
        (["recipe.template=/none/such.jinja"], "template.unreadable", "recipe.template"),
        (["recipe.fields=[name]", "recipe.brief=name"], "config.conflict", "recipe.fields"),
        (["recipe.fields=[name,copy]"], "brief.column-used-twice", "recipe.fields"),
    ],
)
def test_what_cannot_be_is_refused_before_training(
    tmp_path: Path, t5: Path, given: list[str], code: str, phrase: str
) -> None:
    with user_error(code) as caught:
        read(tmp_path, f"model.name={t5}", *given)
    assert phrase in caught.value.message() and caught.value.where, caught.value.message()


# The template ---------------------------------------------------------------------------------------------------


def test_a_swapped_template_makes_the_prompts_and_lies_in_the_bundle(choosing: RunFolder) -> None:
    rows = briefs(40)
    expected = {f"{row['name']} / {'; '.join(row['features'])} / {row['price']} =>" for row in rows}
    assert {row["prompt"] for row in predictions(choosing)} <= expected
    kept = manifest(choosing)["generation"]["kept"]
    assert kept["template"] == "{{ name }} / {{ features }} / {{ price }} =>\n"
    assert manifest(choosing)["options"]["template"] == "own.jinja"


@pytest.mark.parametrize(
    ("text", "code", "phrase"),
    [
        ("{% for name in fields %}{{ name }}", "template.bad-syntax", ""),
        ("{{ name }}\n{{ pirce }}", "template.unknown-field", "pirce"),
        ("Write copy.", "template.ignores-brief", "the same prompt"),
        ("{{ name.__class__.__mro__ }}", "template.not-allowed", ""),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(tmp_path: Path, t5: Path, text: str, code: str, phrase: str) -> None:
    (tmp_path / "own.jinja").write_text(text, encoding="utf-8")
    with user_error(code) as caught:
        read(tmp_path, f"model.name={t5}", f"recipe.template={tmp_path / 'own.jinja'}")
    assert phrase in caught.value.message() and "own.jinja" in caught.value.message()
    assert "recipe.template" in str(caught.value.where)


# evaluate -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_evaluating_the_bundle_again_gives_the_same_numbers(
    runs: dict[str, RunFolder], tmp_path: Path, kind: str
) -> None:
    run = runs[kind]
    given = [f"bundle={run.path}", f"data.test={SAMPLES / 'test.jsonl'}", "evaluation.max_generations=10"]
    again = evaluated(tmp_path / "again", *given, "evaluation.resamples=20")
    told, before = metrics(again)["test"], metrics(run)["test"]
    assert set(before) - set(told) == {"copied_8_grams", "copied_whole"} & set(before), "no training rows are at hand"
    assert "copied_whole" in before
    for name in told:
        assert told[name]["value"] == pytest.approx(before[name]["value"], rel=1e-6, abs=1e-9), name
    assert [row["answer"] for row in predictions(again)] == [row["answer"] for row in predictions(run)]


def test_a_score_on_training_briefs_is_refused(runs: dict[str, RunFolder], tmp_path: Path) -> None:
    seen = samples("train")[0]
    other = {**seen, "channel": "tweet" if seen["channel"] != "tweet" else "product_page", "copy": ["Other words."]}
    other |= {"must_avoid": []}
    other |= {"copy": [" and ".join(["Words", *seen["must_mention"]])]}
    file = write_jsonl(tmp_path / "mixed.jsonl", [*samples("test")[:4], seen, other])
    given = [f"bundle={runs['causal'].path}", f"data.test={file}"]
    with user_error("data.seen-rows", where="mixed.jsonl:5, mixed.jsonl:6"):
        evaluated(tmp_path / "refused", *given)


# Without tuning, without weights --------------------------------------------------------------------------------


def small(tmp_path: Path, base: Path) -> list[str]:
    rows = write_jsonl(tmp_path / "rows.jsonl", briefs(30))
    return [f"data.train={rows}", "recipe.fields=[name,features,price]", f"model.name={base}", *FEW]


def test_a_model_that_is_not_tuned_is_scored_as_it_is(tmp_path: Path, t5: Path) -> None:
    made = briefed(tmp_path, *small(tmp_path, t5), "adapt=none")
    model, plain = opened(made.bundle)[0], opened(t5)[0]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))
    assert set(metrics(made)["baselines"]) == {"template", "nearest training brief"} and not made.checkpoints.exists()


def test_a_model_from_scratch_has_none_of_the_old_weights(tmp_path: Path, t5: Path) -> None:
    made = briefed(tmp_path, *small(tmp_path, t5), "adapt=scratch")
    model, plain = opened(made.bundle)[0], opened(t5)[0]
    assert (model.lm_head.weight - plain.lm_head.weight).abs().mean() > 0.1
    assert "before tuning" not in metrics(made)["baselines"]
    assert "no pre-trained weights" in made.report.read_text(encoding="utf-8")


# Interrupted ----------------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunFolder, RunFolder, Path]:
    """A whole run, the same as it was just after a checkpoint, and the file of its template."""
    monkeypatch.setattr(checkpoints_module, "_KEEP", 1000)
    template = tmp_path / "own.jinja"
    shutil.copy(SHIPPED, template)
    more = ["trainer.max_steps=5", "trainer.checkpoint_every=1", "data.batch_size=4", "model.dropout=0.1"]
    given = [one for one in small(tmp_path, t5) if "max_steps" not in one]
    whole = briefed(tmp_path, *given, *more, f"recipe.template={template}", "evaluation.zero_shot=false")
    checkpoint = step_checkpoints(whole.checkpoints)[1]
    run = RunFolder(tmp_path / "stopped")
    run.checkpoints.mkdir(parents=True)
    for file in (whole.config, whole.record):
        shutil.copy(file, run.path / file.name)
    shutil.copy(checkpoint, run.checkpoints)
    assert not read_checkpoint(checkpoint)["callbacks"]["Checkpoints"]["best_step"]
    shutil.copytree(whole.logs, run.logs)
    return whole, run, template


def test_an_encoder_decoder_goes_on_as_itself(stopped: tuple[RunFolder, RunFolder, Path]) -> None:
    whole, run, _ = stopped
    torch.manual_seed(987)
    train_in(read_config(run), run, resumed=True)
    assert equal(last_state(run), last_state(whole))
    assert weights(run) == weights(whole)
    assert run.predictions.read_bytes() == whole.predictions.read_bytes()
    # Stopped once more, after the bundle was written and before the scores were.
    before = metrics(run)
    for file in (run.metrics, run.predictions, run.report):
        file.unlink()
    train_in(read_config(run), run, resumed=True)
    assert metrics(run) == before


def test_another_template_than_before_is_noticed(stopped: tuple[RunFolder, RunFolder, Path]) -> None:
    _, run, template = stopped
    template.write_text(template.read_text(encoding="utf-8").replace("copy:", "advertisement:"), encoding="utf-8")
    with user_error("run.changed") as caught:
        train_in(read_config(run), run, resumed=True)
    assert "start a new run" in str(caught.value.fix)


def test_the_sample_briefs_are_those_that_their_script_composes(tmp_path: Path) -> None:
    compose(tmp_path / "composed", ROWS)
    for split in ROWS:
        shipped = SHIPPED_ROWS / f"{split}.jsonl"
        assert (tmp_path / "composed" / f"{split}.jsonl").read_bytes() == shipped.read_bytes()
    with pytest.raises(FileExistsError):
        compose(tmp_path / "composed", ROWS)
    compose(tmp_path / "others", {"train": 50}, seed=1)
    others = (tmp_path / "others" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    shipped_rows = [json.loads(line) for file in SHIPPED_ROWS.glob("*.jsonl") for line in file.read_text().splitlines()]
    known = {tuple(row["features"]) for row in shipped_rows}
    assert len(others) == 50 and sum(tuple(json.loads(line)["features"]) in known for line in others) < 5


def test_briefs_are_composed_whole_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test.jsonl").write_text("mine")
    (tmp_path / "file").write_text("")
    for words, said in (
        ([str(tmp_path)], "test.jsonl cannot be written: it is there already"),
        ([str(tmp_path / "file" / "folder")], "cannot be written: Not a directory"),
        ([str(tmp_path / "new"), "--rows", "0"], "--rows is 0, but must be 1 to 100000"),
    ):
        with pytest.raises(SystemExit) as ended:
            compose_command(words)
        assert ended.value.code == 2 and said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "test.jsonl"]
    assert (tmp_path / "test.jsonl").read_text() == "mine"
