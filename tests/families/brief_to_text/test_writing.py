"""Recipes from briefs, in parts: what is found in a copy, what no copy can meet, and models with positions apart."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, BartConfig, BartForConditionalGeneration

from tests.briefed import briefed, briefs, read
from tests.chatted import STARTER, write_jsonl
from tests.user_error import user_error
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.families.brief_to_text.checks import CopyChecker, candidate_columns
from tunebook.families.brief_to_text.data.brief import Brief, content_text, flat_text
from tunebook.families.brief_to_text.data.content import BriefContent
from tunebook.families.brief_to_text.data.forms import BriefForm, brief_columns, brief_form
from tunebook.families.brief_to_text.data.template import PromptTemplate
from tunebook.families.brief_to_text.evidence import copy_measures
from tunebook.families.brief_to_text.options import BriefOptions
from tunebook.families.brief_to_text.rows import briefs_of, prompt_of
from tunebook.families.text_generation.completion import Completion

FIELDS: Any = (
    ("name", "Tollgate Pepper Mill"),
    ("features", ("turned walnut, 21 cm", "six settings")),
    ("price", "$58"),
)
MILL = Brief(FIELDS, must_mention=("21 cm",), must_avoid=("gourmet",), channel="ad_headline")
CLEAN = "21 cm of walnut, six settings"


def test_each_planted_mistake_is_told_alone_and_a_clean_copy_is_clean() -> None:
    planted = {
        "21 cm of walnut for just $49": "says $49, which is not in the brief",
        "A tall walnut pepper mill": 'does not say "21 cm"',
        "21 cm of turned walnut, with six settings": "has 41 characters, and 30 are allowed",
        "21 cm for the gourmet table": 'uses "gourmet", which the brief forbids',
        "21 cm of walnut by Peugeot": "names Peugeot, which is not in the brief",
    }
    checker = CopyChecker()
    assert checker.checked_row(MILL, [Completion(CLEAN)], 1)[1:] == [CLEAN, "yes", "", ""]
    for copy, problem in planted.items():
        assert checker.checked_row(MILL, [Completion(copy)], 1)[1:] == [copy, "no", problem, ""]
    every = "Gourmet walnut pepper mill by Peugeot for $49"
    assert len(checker.check(MILL, Completion(every)).problems) == len(planted)


def test_a_copy_that_was_cut_off_is_not_clean_and_stands_behind_whole_ones() -> None:
    checker = CopyChecker()
    half = Completion("21 cm of walnut, six set", -0.1, stopped_at=40)
    problem = "was truncated at recipe.max_new_tokens=40"
    assert checker.checked_row(MILL, [half], 1)[1:] == [half.text, "no", problem, ""]
    assert checker.ranked(MILL, [half, Completion(CLEAN, -0.9)]) == [Completion(CLEAN, -0.9), half]
    found = copy_measures(checker, [MILL, MILL], [[half], [Completion(CLEAN)]], None, BriefOptions())
    assert found["clean_share"].value() == 0.5 and found["must_mention_recall"].value() == 1


def test_candidates_are_told_in_order_with_their_scores() -> None:
    completions = [
        Completion("A gourmet mill", -0.1),
        Completion(CLEAN, -0.9),
        Completion("21 cm, six settings", -0.5),
        Completion("", -0.01),
    ]
    checker = CopyChecker()
    best = checker.ranked(MILL, completions)
    assert [completion.score for completion in best] == [-0.5, -0.9, -0.1, -0.01]
    row = dict(zip(["brief", *candidate_columns(4)], checker.checked_row(MILL, best, 4), strict=True))
    assert row["brief"] == (
        "name: Tollgate Pepper Mill; features: turned walnut, 21 cm, six settings; price: $58; channel: ad_headline; "
        "must mention: 21 cm; must avoid: gourmet"
    )
    assert (row["copy"], row["clean"], row["score"]) == ("21 cm, six settings", "yes", -0.5)
    assert (row["copy_3"], row["clean_3"], row["score_3"]) == ("A gourmet mill", "no", -0.1)


def test_the_limits_of_the_brief_go_before_those_given_and_these_before_the_channels() -> None:
    own = {"Ad headline": {"max_characters": 20, "max_words": 4}}
    long = "21 cm of walnut, six of them"
    assert CopyChecker().check(MILL, Completion(long)).clean
    assert CopyChecker(own).check(MILL, Completion(long)).problems == [
        "has 28 characters, and 20 are allowed",
        "has 7 words, and 4 are allowed",
    ]
    lenient = Brief(FIELDS, channel="ad_headline", max_characters=28, max_words=9)
    assert CopyChecker(own).check(lenient, Completion(long)).clean
    assert CopyChecker({"ad_headline": {"max_characters": None}}).check(MILL, Completion(f"{long} {long}")).clean


def test_what_no_copy_can_meet_is_told_with_every_copy() -> None:
    brief = Brief(FIELDS, must_mention=("hand-turned walnut",), must_avoid=("walnut",), max_words=1)
    _, _, clean, problems, _ = CopyChecker().checked_row(brief, [Completion("Hand-turned walnut")], 1)
    assert clean == "no"
    assert 'cannot be met: has to say "hand-turned walnut" but not "walnut"' in str(problems)
    assert "cannot be met: what has to be said is 2 words long, and 1 are allowed" in str(problems)


@pytest.mark.parametrize(
    "limits",
    ["short", [30], {"tweet": 30}, {"tweet": {"characters": 30}}, {"tweet": {"max_words": 0}}]
    + [{"tweet": {"max_words": value}} for value in ("many", 1.5, True, -2)],
)
def test_limits_that_are_none_are_refused(limits: Any) -> None:
    with user_error("config.wrong-type", match="Limits of channels are") as caught:
        CopyChecker(limits)
    assert "max_characters: 45" in str(caught.value.fix)


def test_limits_that_are_given_twice_for_one_channel_are_refused() -> None:
    with user_error("config.duplicate", match="tweet and X post are names of one channel"):
        CopyChecker({"tweet": {"max_words": 9}, "X post": {"max_words": 7}})
    post = Brief(FIELDS, channel="twitter")
    assert CopyChecker({"tweet": {"max_words": 5}}).check(post, Completion(CLEAN)).problems == [
        "has 6 words, and 5 are allowed"
    ]


@pytest.fixture(scope="module")
def bart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BART of fresh weights with 64 positions, whose start tokens its generation config alone names."""
    folder = tmp_path_factory.mktemp("base") / "my_bart"
    words = AutoTokenizer.from_pretrained(STARTER)
    parts = {f"{part}_{what}": n for part in ("encoder", "decoder") for what, n in (("layers", 1), ("ffn_dim", 32))}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    ids = {f"{name}_token_id": getattr(words, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    start = {"decoder_start_token_id": words.eos_token_id, "forced_bos_token_id": words.bos_token_id}
    torch.manual_seed(3)
    sizes: Any = {"vocab_size": len(words), "d_model": 32, "max_position_embeddings": 64, "init_std": 0.4}
    model = BartForConditionalGeneration(BartConfig(**sizes, **parts, **heads, **ids, **start))
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({k: v for k, v in config.items() if k not in start}), encoding="utf-8")
    own = folder / "generation_config.json"
    own.write_text(json.dumps({**json.loads(own.read_text(encoding="utf-8")), **start}), encoding="utf-8")
    return folder


def given(folder: Path, base: Path) -> list[str]:
    rows = write_jsonl(folder / "rows.jsonl", briefs(30))
    return [f"data.train={rows}", "recipe.fields=[name,features,price]", f"model.name={base}", "adapt=none"]


def test_an_encoder_has_its_positions_for_itself_and_starts_as_before(tmp_path: Path, bart: Path) -> None:
    run = briefed(tmp_path, *given(tmp_path, bart), "recipe.max_new_tokens=50", "evaluation.max_generations=3")
    report = run.report.read_text(encoding="utf-8")
    assert "too long" not in report, "a prompt of 40 tokens and a copy of 50 do not share 64 positions"
    model, words = AutoModelForSeq2SeqLM.from_pretrained(run.bundle).eval(), AutoTokenizer.from_pretrained(run.bundle)
    config = model.generation_config
    assert (config.decoder_start_token_id, config.forced_bos_token_id) == (words.eos_token_id, words.bos_token_id)
    rows = list(csv.DictReader(io.StringIO(run.predictions.read_text(encoding="utf-8"))))
    assert len(rows) == 3
    for row in rows:
        assert len(words(row["prompt"])["input_ids"]) > 64 - 50
        written = model.generate(**words(row["prompt"], return_tensors="pt"))[0]
        assert (
            words.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip() == row["answer"]
        )


def test_copy_for_which_the_decoder_has_no_positions_is_refused(tmp_path: Path, bart: Path) -> None:
    with user_error(
        "generation.no-room", where="recipe.max_new_tokens", match="the decoder has 64 positions"
    ) as caught:
        read(tmp_path, *given(tmp_path, bart), "recipe.max_new_tokens=64")
    assert caught.value.fix == "recipe.max_new_tokens=32"


def test_prompts_and_copy_that_are_too_long_are_rejected_or_stop_the_run(tmp_path: Path, bart: Path) -> None:
    rows = [*briefs(30), {**briefs(1)[0], "name": "lamp " * 90}, {**briefs(31)[30], "copy": ["short", "long " * 90]}]
    file = write_jsonl(tmp_path / "long.jsonl", rows)
    more = [f"data.train={file}", "recipe.fields=[name,features,price]", f"model.name={bart}"]
    more += ["recipe.max_new_tokens=20", "recipe.must_mention=null"]
    with user_error("data.too-long", where="long.jsonl:31") as caught:
        read(tmp_path, *more, "data.overlength=error")
    assert "A row is too long: the" in caught.value.message() and "long.jsonl:3" in caught.value.message()
    with user_error("data.rejected-rows", match="2"):
        read(tmp_path, *more)
    made = read(tmp_path, *more, "data.max_rejects=2")
    checked_row = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["line"] for row in checked_row] == [31, 32]
    assert "the prompt has" in checked_row[0]["reason"] and "the copy has" in checked_row[1]["reason"]
    recipe: Any = made.recipe
    copies = [
        m[-1].content
        for rows in made.encoded.rows.values()
        for several in recipe.training_conversations(rows)
        for m in several
    ]
    assert "short" in copies
    supervised = sum(len(examples) for examples in made.encoded.splits.values())
    assert supervised == len(copies) - 1, "of its copies one is left out"


def test_briefs_are_not_told_of_as_conversations(tmp_path: Path) -> None:
    made = read(tmp_path)
    assert str(made.recipe.family.stages.preview(made.recipe, made.encoded)[0]).startswith(
        "three prompts with their answers as the model reads"
    )
    checked_row = " ".join(made.encoded.facts)
    assert "train prompts with their answers over" in checked_row and "conversations" not in checked_row


# Documents ------------------------------------------------------------------------------------------------------


def test_documents_follow_the_brief_in_its_prompt_and_count_as_said(tmp_path: Path) -> None:
    form = BriefForm(("name",), context="prices")
    file = write_jsonl(
        tmp_path / "rows.jsonl",
        [
            {"name": "Lamp", "copy": "A lamp for £42.", "prices": ["Lamp: £42", "Rug: £9"]},
            {"name": "Rug", "copy": "A rug.", "prices": "Rug: £9"},
            {"name": "Mill", "copy": "A mill.", "prices": None},
            {"name": "Vase", "copy": "A vase.", "prices": {"a": 1}},
        ],
    )
    rejects = RejectLog(tmp_path / "rejects.jsonl", 1)
    rows = BriefContent(form).inspect(read_rows(str(file), "data.train", brief_columns(form), rejects), rejects)
    assert (len(rows), rejects.count) == (3, 1)
    briefs = briefs_of(rows)
    assert [brief.context for brief in briefs] == [("Lamp: £42", "Rug: £9"), ("Rug: £9",), ()]
    template = PromptTemplate.of(None, ["name"])
    lamp, _, mill = (prompt_of(template, brief, rows, number) for number, brief in enumerate(briefs))
    bare = template.render(briefs[0]).rstrip("\n")
    assert lamp == f"{bare}\n\n<document>\nLamp: £42\n</document>\n<document>\nRug: £9\n</document>"
    assert mill == template.render(briefs[2]).rstrip("\n")
    checker = CopyChecker()
    assert checker.check(briefs[0], Completion("A lamp for £42.")).clean
    assert checker.check(briefs[1], Completion("A rug for £42.")).problems == ["says £42, which is not in the brief"]
    same = Brief(briefs[0].fields)
    assert content_text(same) == content_text(briefs[0]) and flat_text(same) == flat_text(briefs[0])


def test_documents_cannot_be_a_field_too() -> None:
    with user_error("brief.column-used-twice", match="both a field of the brief and recipe.context"):
        brief_form(["name", "prices"], None, context="prices")
