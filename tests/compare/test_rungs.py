"""Which rungs a ladder has, and which are left out before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hydra.errors import ConfigCompositionException

from tests.chatted import write_chats
from tests.conftest import write_reviews
from tests.diagnosed import write_patients, write_table
from tests.laddered import candidates_for, composed
from tests.user_error import user_error
from tunebook.compare.check import check_ladder
from tunebook.compare.rungs import planned_steps
from tunebook.compare.step import seeds_of
from tunebook.config.compare import CurveRung, Rung
from tunebook.config.schema import Method


def test_the_ladder_of_a_text_classifier_goes_from_the_cheapest_to_the_dearest(tmp_path: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 80)
    given = ["recipe=review_sentiment", "data.label=label", f"data.train={rows}", "seed=5", "adapt.unfreeze_epochs=0"]
    given += ["compare.shots=[4,64]", "compare.curve=[]"]
    candidates = candidates_for(tmp_path, *given, "compare.seeds=2", "compare.draws=3")
    steps, left_out = planned_steps(candidates)
    names = ["majority", "classical", "zero_shot", "few_shot_4_classical", "few_shot_4_head"]
    names += ["few_shot_4_contrastive", "head", "lora", "full", "scratch"]
    assert [step.name for step in steps] == names
    assert [step.runs for step in steps] == [1, 1, 1, 3, 3, 3, 2, 2, 2, 2]
    by_name = {step.name: step for step in steps}
    ways = [step for step in steps if step.way_of == "few_shot_4"]
    assert [(way.kind, way.config.adapt.method) for way in ways] == [
        ("classical", Method.full),
        ("train", Method.head),
        ("train", Method.contrastive),
    ]
    assert {way.config.data.shots for way in ways} == {4}
    assert (
        by_name["lora"].config.adapt.method is Method.lora and by_name["zero_shot"].config.adapt.method is Method.none
    )
    assert list(seeds_of(ways[0])) == [5, 6, 7]
    assert {step.config.data.split_seed for step in steps} == {5}
    labels = candidates.prepared.data.labels
    least = min(labels.counts["train"].values()) if labels else 0
    assert (
        list(left_out) == ["few_shot_64"] and left_out["few_shot_64"][1] == f"the class 'bad' has {least} training rows"
    )


def test_few_rows_are_learned_from_as_was_asked(tmp_path: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 80)
    given = ["recipe=review_sentiment", "data.label=label", f"data.train={rows}", "compare.rungs=[few_shot]"]
    given += ["compare.shots=[4]", "compare.curve=[]"]
    for more, names in (
        (["adapt=lora"], ["few_shot_4"]),
        (["compare.few_shot=[full]"], ["few_shot_4"]),
        (["compare.few_shot=[head,classical]"], ["few_shot_4_classical", "few_shot_4_head"]),
    ):
        candidates = candidates_for(tmp_path, *given, *more)
        steps, _ = planned_steps(candidates)
        assert [step.name for step in steps] == names
        assert all(bool(step.way_of) == (len(names) > 1) for step in steps), "one way has nothing to be chosen from"


def test_all_rows_of_the_curve_are_the_rung_itself(tmp_path: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 80)
    given = ["recipe=review_sentiment", "data.label=label", f"data.train={rows}", "compare.rungs=[full]"]
    candidates = candidates_for(tmp_path, *given, "compare.curve=[0.01,0.5,1.0]", "compare.draws=2")
    steps, left_out = planned_steps(candidates)
    count = len(candidates.prepared.encoded.rows["train"])
    assert [(step.curve, step.config.data.max_rows) for step in steps] == [
        (None, None),
        (2, 2),
        (round(count / 2), round(count / 2)),
        (count, None),
    ]
    assert steps[0].config == steps[-1].config
    assert not left_out


def test_models_that_write_have_no_head_and_count_shots_in_rows(tmp_path: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 24)
    given = ["recipe=customer_chat", f"data.train={rows}", "compare.shots=[4,500]"]
    candidates = candidates_for(tmp_path, *given, "compare.rungs=[majority,head,few_shot,lora]")
    steps, left_out = planned_steps(candidates)
    assert [step.name for step in steps] == ["majority", "few_shot_4", "lora"]
    assert steps[1].config.data.max_rows == 4 and not hasattr(steps[1].config.data, "shots")
    assert left_out["head"][1] == "A language model has no new head that could be trained alone"
    assert left_out["few_shot_500"][1] == f"there are {len(candidates.prepared.encoded.rows['train'])} training rows"


def test_images_have_no_zero_shot_and_convolutions_no_adapters(tmp_path: Path) -> None:
    for split, patients, seed in (("train", 12, 0), ("validation", 8, 100), ("test", 8, 200)):
        write_table(tmp_path / f"{split}.csv", write_patients(tmp_path / split, patients, seed))
    given = [f"data.{split}={tmp_path / split}.csv" for split in ("train", "validation", "test")]
    usual = ["recipe=medical_diagnosis", "recipe.size=32", *given, "data.group=patient"]
    candidates = candidates_for(tmp_path, *usual, "compare.rungs=[zero_shot,few_shot,head,lora]", "compare.shots=[4]")
    steps, left_out = planned_steps(candidates)
    assert [step.name for step in steps] == ["few_shot_4", "head"]
    assert "cannot predict before training" in left_out["zero_shot"][1]
    assert "made of convolutions alone" in left_out["lora"][1]


def test_findings_that_come_together_have_no_shots(tmp_path: Path) -> None:
    for split, patients, seed in (("train", 12, 0), ("validation", 8, 100), ("test", 8, 200)):
        write_table(tmp_path / f"{split}.csv", write_patients(tmp_path / split, patients, seed))
    given = [f"data.{split}={tmp_path / split}.csv" for split in ("train", "validation", "test")]
    usual = ["recipe=medical_diagnosis", "recipe.size=32", *given, "recipe.findings=[blob,bright]"]
    candidates = candidates_for(tmp_path, *usual, "compare.rungs=[few_shot]", "compare.shots=[4]")
    steps, left_out = planned_steps(candidates)
    assert not steps and "may have several findings" in left_out["few_shot_4"][1]


@pytest.mark.parametrize(
    ("override", "code", "where"),
    [
        ("compare.seeds=0", "config.out-of-range", "compare.seeds"),
        ("compare.draws=0", "config.out-of-range", "compare.draws"),
        ("compare.few_shot=[]", "config.out-of-range", "compare.few_shot"),
        ("compare.few_shot=[head] adapt=lora", "config.no-effect", "adapt"),
        ("compare.few_shot=[head,head]", "config.out-of-range", "compare.few_shot"),
        ("compare.rungs=[]", "compare.no-rungs", "compare.rungs"),
        ("compare.rungs=[full,full]", "config.duplicate", "compare.rungs"),
        ("compare.shots=[4,0]", "config.out-of-range", "compare.shots"),
        ("compare.shots=[4,8,4]", "config.duplicate", "compare.shots"),
        ("compare.curve=[0.5,1.0,0.5]", "config.duplicate", "compare.curve"),
        ("compare.curve=[0.5,1.5]", "config.out-of-range", "compare.curve"),
        ("data.shots=8", "config.conflict", "data.shots"),
        ("objective=dpo", "config.no-effect", "objective"),
        ("resume=somewhere", "config.conflict", "resume"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused(override: str, code: str, where: str) -> None:
    with user_error(code, where=where) as refused:
        check_ladder(composed("recipe=review_sentiment", *override.split()))
    assert refused.value.fix


@pytest.mark.parametrize("rung", ["majority", "classical", "zero_shot"])
def test_what_needs_no_training_rows_has_no_learning_curve(rung: str) -> None:
    with pytest.raises(ConfigCompositionException, match="curve_rung"):
        composed("recipe=review_sentiment", f"compare.curve_rung={rung}")


def test_a_curve_is_of_a_rung_that_is_run(tmp_path: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 80)
    given = ["recipe=review_sentiment", "data.label=label", f"data.train={rows}", "compare.rungs=[head]"]
    candidates = candidates_for(tmp_path, *given)
    steps, left_out = planned_steps(candidates)
    assert [step.name for step in steps] == ["head"]
    assert left_out["curve"][1] == "compare.curve_rung=full is not among the rungs"
    made = candidates.first.made
    made = replace(made, compare=replace(made.compare, curve_rung=CurveRung.head))
    candidates = replace(candidates, every=(replace(candidates.first, made=made),))
    steps, left_out = planned_steps(candidates)
    count = len(candidates.prepared.encoded.rows["train"])
    assert [step.curve for step in steps] == [None, *(round(share * count) for share in (0.1, 0.25, 0.5, 1.0))]
    assert not left_out


def test_a_first_look_runs_each_rung_once() -> None:
    quick = composed("recipe=review_sentiment", "compare=quick").compare
    assert (quick.shots, quick.seeds, quick.draws, quick.curve) == ([16], 1, 1, [])
    whole = composed("recipe=review_sentiment").compare
    assert (whole.shots, whole.seeds, whole.draws) == ([4, 8, 16, 64], 3, 3)
    assert whole.curve == [0.1, 0.25, 0.5, 1.0] and whole.rungs == quick.rungs == list(Rung)
