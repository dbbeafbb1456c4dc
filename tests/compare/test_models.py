"""Several models in one comparison: what they are called, their configs, their rungs, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

from tests.chatted import byte_gpt2, tiny_llama, write_jsonl
from tests.conftest import write_reviews
from tests.diagnosed import write_patients, write_table
from tests.laddered import candidates_for, composed, composed_models
from tests.user_error import user_error
from tunebook.compare.models import labels_of
from tunebook.compare.plan import Plan, make_plan
from tunebook.compare.rungs import planned_steps
from tunebook.config.schema import Method
from tunebook.data.rows import Rows

REVIEWS = ["recipe=review_sentiment", "data.label=label"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of 64 positions; another one than the starter."""
    return tiny_llama(tmp_path_factory.mktemp("models") / "my tiny", positions=64)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of one's own for a model, which sets more than its name; as an override that Hydra finds it by."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "model").mkdir()
    text = "# @package _global_\nmodel: {name: starter_text, dropout: 0.2}\ndata: {max_length: 48, batch_size: 5}\n"
    (folder / "model" / "short.yaml").write_text(text, encoding="utf-8")
    return f"hydra.searchpath=['file://{folder}']"


def test_models_are_called_by_their_option_or_folder() -> None:
    named = ["smollm2_135m", "/models/smollm2_135m/", "a/My model (new)", "b/my-model-new", "c/..."]
    known = ["smollm2_135m"]
    labels = ["smollm2_135m", "smollm2_135m_2", "My-model-new", "my-model-new_2", "model"]
    assert labels_of(named, known) == labels


def test_the_page_of_a_model_sets_all_that_it_says_and_what_was_typed_goes_first(tiny: Path, page: str) -> None:
    given = [page, *REVIEWS, "data.batch_size=7", f"compare.models=[starter_text,short,'{tiny}']"]
    base, models = composed_models(*given)
    assert list(models) == ["starter_text", "short", "my-tiny"]
    starter, short, local = models.values()
    assert (starter.model.name, starter.model.dropout) == ("starter_text", None) and starter == base
    assert (short.model.name, short.model.dropout) == ("starter_text", 0.2)
    assert local.model.name == str(tiny)
    lengths = [getattr(made.data, "max_length", None) for made in models.values()]
    assert lengths == [None, 48, None]
    assert [made.data.batch_size for made in models.values()] == [7, 7, 7], "what is typed goes before any page"
    assert composed_models(page, *REVIEWS, "compare.models=[short]")[1][""].data.batch_size == 5


def test_one_model_is_what_choosing_it_is() -> None:
    _, one = composed_models(*REVIEWS, "compare.models=[minilm]")
    _, chosen = composed_models(*REVIEWS, "model=minilm")
    assert list(one) == list(chosen) == [""]
    assert one[""].model == chosen[""].model and chosen[""].compare.models == []


@pytest.mark.parametrize(
    ("overrides", "code", "match"),
    [
        (["compare.models=[starter_txt,minilm]"], "config.unknown-option", "did you mean starter_text"),
        (
            ["compare.models=[starter_text,./gone,other]"],
            "config.unknown-option",
            "There are no models './gone', 'other'",
        ),
        (["compare.models=[starter_text,starter_text]"], "config.duplicate", "twice: 'starter_text'"),
        (["compare.models=[starter_text,minilm]", "model=minilm"], "config.conflict", "model has no effect"),
        (["compare.models=[starter_text,minilm]", "model.name=x"], "config.conflict", "model.name has no effect"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(overrides: list[str], code: str, match: str) -> None:
    with user_error(code, match=match):
        composed(*REVIEWS, *overrides)


def test_all_known_models_are_named(tiny: Path, page: str) -> None:
    with user_error("config.unknown-option", where="compare.models", match="short, smollm2_135m") as refused:
        composed(page, *REVIEWS, "compare.models=[nothing]")
    assert "starter_text" in (refused.value.fix or "")


def test_a_folder_by_two_paths_is_one_model(tiny: Path) -> None:
    with user_error("config.duplicate", match="under two names"):
        composed(*REVIEWS, f"compare.models=['{tiny}','{tiny.parent}/../{tiny.parent.name}/{tiny.name}']")


def plan_for(folder: Path, *more: str) -> Plan:
    candidates = candidates_for(folder, *REVIEWS, f"data.train={folder / 'rows.csv'}", "compare.curve=[]", *more)
    return make_plan(planned_steps(candidates)[0], candidates.models)


def test_what_needs_a_model_is_run_once_with_each_and_the_rest_once(tmp_path: Path, tiny: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 80)
    given = [*REVIEWS, f"data.train={rows}", f"compare.models=[starter_text,'{tiny}']", "compare.shots=[4]"]
    given += ["compare.rungs=[majority,classical,zero_shot,few_shot,lora]", "compare.few_shot=[classical,head]"]
    candidates = candidates_for(tmp_path, *given, "compare.curve=[0.5,1.0]", "compare.curve_rung=lora", "compare=quick")
    steps, left_out = planned_steps(candidates)
    count = len(candidates.prepared.encoded.rows["train"])
    assert not left_out
    assert [(step.name, step.folder, step.model) for step in steps] == [
        ("majority", "majority", ""),
        ("classical", "classical", ""),
        ("zero_shot · starter_text", "zero_shot-starter_text", "starter_text"),
        ("zero_shot · my-tiny", "zero_shot-my-tiny", "my-tiny"),
        ("few_shot_4_classical · starter_text", "few_shot_4_classical", "starter_text"),
        ("few_shot_4_head · starter_text", "few_shot_4_head-starter_text", "starter_text"),
        ("few_shot_4_classical · my-tiny", "few_shot_4_classical", "my-tiny"),
        ("few_shot_4_head · my-tiny", "few_shot_4_head-my-tiny", "my-tiny"),
        ("lora · starter_text", "lora-starter_text", "starter_text"),
        ("lora · my-tiny", "lora-my-tiny", "my-tiny"),
        (f"curve_{round(count / 2)}", f"curve_{round(count / 2)}", "starter_text"),
        (f"curve_{count}", f"curve_{count}", "starter_text"),
    ]
    assert [step.config.model.name for step in steps if step.rung.name == "lora"] == [
        *("starter_text", str(tiny)),
        *("starter_text", "starter_text"),
    ]
    assert {step.way_of for step in steps} == {"", "few_shot_4 · starter_text", "few_shot_4 · my-tiny"}
    assert steps[-1].title == f"{count} rows · starter_text (100%), adapt=lora"
    assert steps[5].rung_title == "few-shot with 4 rows of each class · starter_text"
    plan = make_plan(steps, candidates.models)
    assert len(plan.runs) == 10, "the way without a model and all rows of the curve are run once"
    assert plan.members["few_shot_4_classical · my-tiny"] == plan.members["few_shot_4_classical · starter_text"]
    assert plan.members[f"curve_{count}"] == plan.members["lora · starter_text"]
    assert all(step.config.adapt.method is Method.lora for step in steps[-2:])


def test_few_rows_learned_without_a_model_are_one_rung(tmp_path: Path, tiny: Path) -> None:
    write_reviews(tmp_path / "rows.csv", 80)
    given = ["compare=quick", f"compare.models=[starter_text,'{tiny}']", "compare.rungs=[few_shot]"]
    plan = plan_for(tmp_path, *given, "compare.few_shot=[classical]", "compare.shots=[4]", "compare.curve=[]")
    assert list(plan.members) == ["few_shot_4"] and len(plan.runs) == 1


def test_other_models_are_another_comparison(tmp_path: Path, tiny: Path) -> None:
    write_reviews(tmp_path / "rows.csv", 80)
    given = ["compare=quick", "compare.rungs=[majority,lora]"]
    alone, one = plan_for(tmp_path, *given), plan_for(tmp_path, *given, "compare.models=[starter_text]")
    both = plan_for(tmp_path, *given, f"compare.models=[starter_text,'{tiny}']")
    turned = plan_for(tmp_path, *given, f"compare.models=['{tiny}',starter_text]")
    assert alone == one, "one model is the given model"
    assert len({alone.key, both.key, turned.key}) == 3
    assert {run.key for run in alone.runs} < {run.key for run in both.runs}, "but its runs are the same runs"


def test_an_adaptation_that_a_model_cannot_do_is_left_out_with_its_name(tmp_path: Path) -> None:
    for split, patients, seed in (("train", 12, 0), ("validation", 8, 100), ("test", 8, 200)):
        write_table(tmp_path / f"{split}.csv", write_patients(tmp_path / split, patients, seed))
    weights, page = tmp_path / "vit.safetensors", tmp_path / "conf" / "model" / "vit.yaml"
    save_file(timm.create_model("test_vit").state_dict(), weights)
    page.parent.mkdir(parents=True)
    page.write_text(f"name: test_vit\nweights: {weights}\n", encoding="utf-8")
    given = [f"data.{split}={tmp_path / split}.csv" for split in ("train", "validation", "test")]
    given += [f"hydra.searchpath=['file://{tmp_path / 'conf'}']", "recipe=medical_diagnosis", "recipe.size=32"]
    given += ["data.group=patient", "compare.models=[starter_image,vit]", "compare.rungs=[head,lora]"]
    steps, left_out = planned_steps(candidates_for(tmp_path, *given, "compare.curve=[]"))
    assert [step.name for step in steps] == ["head · starter_image", "head · vit", "lora · vit"]
    assert list(left_out) == ["lora · starter_image"]
    assert "made of convolutions alone" in left_out["lora · starter_image"][1]


def test_a_model_that_the_rows_do_not_suit_is_named(tmp_path: Path, tiny: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 80)
    given = [*REVIEWS, f"data.train={rows}", f"compare.models=[starter_text,'{tiny}']"]
    with user_error("config.out-of-range", where="data.max_length", match="my-tiny: data.max_length=100 does not fit"):
        candidates_for(tmp_path, *given, "data.max_length=100")
    with user_error("model.missing-config", match="empty: This folder holds no model"):
        (tmp_path / "empty").mkdir()
        candidates_for(tmp_path, *given[:-1], f"compare.models=[starter_text,'{tmp_path / 'empty'}']")


def test_test_rows_that_one_classifier_cannot_answer_are_refused(tmp_path: Path, tiny: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 80)
    test = write_reviews(tmp_path / "test.csv", 20, seed=1)
    with test.open("a", encoding="utf-8") as stream:
        stream.write(f"{' '.join(f'lamp{i}' for i in range(70))},good\n")
    given = [*REVIEWS, f"data.train={rows}", f"data.test={test}", f"compare.models=[starter_text,'{tiny}']"]
    long = [*given, "data.overlength=reject", "data.max_rejects=80"]
    with user_error("compare.different-rows", match="my-tiny cannot answer test.csv:4, test.csv:22") as refused:
        candidates_for(tmp_path, *long)
    assert "starter_text cannot" not in refused.value.what and "data.overlength=truncate" in (refused.value.fix or "")
    assert len(candidates_for(tmp_path, *given).test) == 21, "cut texts are the same rows"


def chat(*turns: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": turn} for i, turn in enumerate(turns)]


def test_losses_are_compared_on_rows_of_which_every_model_has_all_answers(tmp_path: Path) -> None:
    rows = [{"messages": chat(f"where is parcel {i}", f"on its way {i}")} for i in range(30)]
    half = {"messages": chat("hello", "good day", "courier " * 90, "yes")}
    train = write_jsonl(tmp_path / "train.jsonl", rows)
    test = write_jsonl(tmp_path / "test.jsonl", [rows[0] | {"messages": chat("how", "so")}, half])
    small = byte_gpt2(tmp_path / "small")
    given = ["recipe=customer_chat", f"data.train={train}", f"data.test={test}", "model.chat_template=plain"]
    given += ["data.max_rejects=9", f"compare.models=[starter_text,'{small}']", "recipe.max_new_tokens=6"]
    by_answers = candidates_for(tmp_path, *given)
    assert by_answers.metric == "chrf" and not by_answers.notes and lines(by_answers.test) == [1, 2]
    by_losses = candidates_for(tmp_path, *given, "compare.metric=perplexity")
    assert by_losses.metric == "bits_per_byte" and lines(by_losses.test) == [1]
    assert "instead of perplexity" in by_losses.notes[0]
    assert by_losses.notes[1].startswith("1 of 2 test rows is left out: the models are scored on other bytes")
    assert by_losses.notes[1].endswith("of the answers in test.jsonl:2.")
    assert lines(by_losses.first.prepared.encoded.rows["test"]) == [1, 2], "its own runs have all rows"
    write_jsonl(test, [half])
    with user_error("compare.different-rows", where="compare.models", match="no test row that all models"):
        candidates_for(tmp_path, *given, "compare.metric=bits_per_byte")


def test_answers_that_each_model_draws_for_itself_are_counted_before_anything_runs(tmp_path: Path) -> None:
    rows = [{"messages": chat(f"where is parcel {i}", f"on its way {i}")} for i in range(40)]
    train = write_jsonl(tmp_path / "train.jsonl", rows[:20])
    test = write_jsonl(tmp_path / "test.jsonl", [*rows[20:], {"messages": chat("courier " * 90, "yes")}])
    given = ["recipe=customer_chat", f"data.train={train}", f"data.test={test}", "model.chat_template=plain"]
    given += ["data.max_rejects=9", "recipe.max_new_tokens=6"]
    given += [f"compare.models=[starter_text,'{byte_gpt2(tmp_path / 'small')}']"]
    few = candidates_for(tmp_path, *given, "evaluation.max_generations=8")
    drawn = [
        {asked.lines[i] for i in range(len(asked))}
        for each in few.every
        for asked in [each.prepared.recipe.evaluation_prompts(each.prepared.encoded.rows["test"], 8)]
    ]
    common = len(drawn[0] & drawn[1])
    assert len(few.notes) == 2 and common < 8 == len(drawn[0])
    assert few.notes[1].startswith(f"Of up to 8 answers that each model generates, {common} are to questions")
    (every,) = candidates_for(tmp_path, *given, "evaluation.max_generations=null").notes
    assert every == "1 of 21 test rows is left out: small cannot be scored on test.jsonl:21."


def lines(rows: Rows) -> list[int]:
    return rows.lines
