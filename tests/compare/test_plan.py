"""Keys of runs: equal where the run would be, another where anything that shapes it is."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import write_reviews
from tests.laddered import candidates_for, prepared_for
from tunebook.compare import plan as planning
from tunebook.compare.plan import Plan, make_plan, read_plan
from tunebook.compare.rungs import planned_steps

USUAL = [
    "recipe=review_sentiment",
    "data.label=label",
    "compare.rungs=[majority,full]",
    "compare.seeds=2",
    "compare.curve=[]",
]


MORE = ["compare.seeds=3", "compare.few_shot=[full]"]


def plan_for(folder: Path, rows: Path, *more: str) -> Plan:
    candidates = candidates_for(folder, *USUAL, f"data.train={rows}", *more)
    return make_plan(planned_steps(candidates)[0], candidates.models)


def keys(plan: Plan) -> list[str]:
    return [run.key for run in plan.runs]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_reviews(tmp_path / "rows.csv", 60)


def test_a_plan_is_the_same_each_time_and_survives_its_file(tmp_path: Path, rows: Path) -> None:
    first, again = plan_for(tmp_path, rows), plan_for(tmp_path, rows, "logger=csv")
    assert first.key == again.key and keys(first) == keys(again)
    assert first.members == {"majority": (0,), "full": (1, 2)}
    assert len(set(keys(first))) == 3
    first.write(tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == first


def test_whole_curve_steps_are_the_runs_of_the_rung(tmp_path: Path, rows: Path) -> None:
    plan = plan_for(tmp_path, rows, "compare.curve=[0.5,1.0]", "compare.draws=1")
    assert [len(numbers) for numbers in plan.members.values()] == [1, 2, 1, 2]
    whole = next(name for name in reversed(plan.members))
    assert plan.members[whole] == plan.members["full"] and len(plan.runs) == 4


def test_every_rung_has_its_first_run_before_any_has_a_second(tmp_path: Path, rows: Path) -> None:
    plan = plan_for(tmp_path, rows, "compare.rungs=[majority,few_shot,full]", "compare.shots=[2]", *MORE)
    assert [(run.step, run.seed) for run in plan.runs] == [
        *(("majority", 0), ("few_shot_2", 0), ("full", 0)),
        *(("few_shot_2", 1), ("full", 1), ("few_shot_2", 2), ("full", 2)),
    ]


def test_another_option_is_another_comparison_and_more_rungs_are_not(tmp_path: Path, rows: Path) -> None:
    first = plan_for(tmp_path, rows)
    slower = plan_for(tmp_path, rows, "optim.lr=1e-4")
    assert first.key != slower.key and not set(keys(first)) & set(keys(slower))
    more = plan_for(tmp_path, rows, "compare.rungs=[majority,head,full]", "compare.seeds=3")
    assert first.key == more.key and set(keys(first)) < set(keys(more))


def test_intervals_are_bounded_anew_without_another_run(tmp_path: Path, rows: Path) -> None:
    first = plan_for(tmp_path, rows)
    wider = plan_for(tmp_path, rows, "evaluation.confidence=0.99", "evaluation.resamples=77")
    assert first.key == wider.key and keys(first) == keys(wider)


def test_changed_rows_are_another_run_in_the_same_folder(tmp_path: Path, rows: Path) -> None:
    first = plan_for(tmp_path, rows)
    with rows.open("a", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerow(["one more row with words of its own", "good"])
    second = plan_for(tmp_path, rows)
    assert first.key == second.key and not set(keys(first)) & set(keys(second))


def test_rows_that_no_draw_took_count_too(tmp_path: Path, rows: Path) -> None:
    first = plan_for(tmp_path, rows, "data.max_rows=4")
    text = rows.read_text(encoding="utf-8")
    rows.write_text(text.replace("w", "v"), encoding="utf-8")
    assert not set(keys(first)) & set(keys(plan_for(tmp_path, rows, "data.max_rows=4")))


def test_another_version_is_another_run(tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = plan_for(tmp_path, rows)
    monkeypatch.setattr(planning, "__version__", "99")
    assert not set(keys(first)) & set(keys(plan_for(tmp_path, rows)))


def test_weights_count_and_not_where_they_lie(tmp_path: Path, rows: Path) -> None:
    _, prepared = prepared_for(tmp_path, *USUAL, f"data.train={rows}")
    other = replace(prepared.source, folder=_copied(prepared.source.folder, tmp_path / "same"))
    assert planning.content_digest(prepared) == planning.content_digest(replace(prepared, source=other))
    weights = tmp_path / "same" / "model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    assert planning.content_digest(prepared) != planning.content_digest(replace(prepared, source=other))


def _copied(folder: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, to))
