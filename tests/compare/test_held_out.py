"""How a way of learning does on rows held out of a draw, and which way that chooses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

from tests.conftest import write_reviews
from tests.laddered import prepared_for
from tests.user_error import user_error
from tunebook.compare.choice import chosen_runs
from tunebook.compare.held_out import cross_validate
from tunebook.compare.plan import PlannedRun
from tunebook.compare.run_state import RungRun
from tunebook.families.prepared import Prepared


def a_run(folder: Path, kind: str = "majority", seed: int = 0) -> RungRun:
    folder.mkdir(parents=True, exist_ok=True)
    return RungRun.of(PlannedRun("few_shot_8_x", seed, kind, ".", "key", {}, held_out=True), folder)


def held_out(run: RungRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.cross_validation_file.read_text())
    return found


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared[Any]:
    rows = write_reviews(tmp_path / "rows.csv", 120)
    return prepared_for(tmp_path, "recipe=review_sentiment", "data.label=label", f"data.train={rows}")[1]


def targets(prepared: Prepared[Any]) -> Any:
    return prepared.encoded.splits["train"].targets


def test_each_training_row_is_answered_once_by_a_model_that_has_not_seen_it(
    tmp_path: Path, prepared: Prepared[Any]
) -> None:
    run = a_run(tmp_path / "run")
    cross_validate(run, prepared)
    target = targets(prepared)
    folds = StratifiedKFold(3, shuffle=True, random_state=prepared.config.seed)
    theirs = cross_val_predict(DummyClassifier(), np.zeros((len(target), 1)), target, cv=folds)
    found = held_out(run)
    assert found["folds"] == 3 and found["rows"] == len(target) and found["seconds"] > 0
    assert found["scores"]["accuracy"] == pytest.approx(accuracy_score(target, theirs))
    assert found["scores"]["macro_f1"] == pytest.approx(f1_score(target, theirs, average="macro"))


def test_a_model_is_scored_on_what_it_has_not_seen(tmp_path: Path) -> None:
    """Labels that are drawn by lot can be learned by heart, and not be foretold."""
    random = np.random.default_rng(0)
    lines = [f"{' '.join(f'w{word}' for word in random.integers(0, 900, 6))},{'ab'[i % 2]}" for i in range(120)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    given = ["recipe=review_sentiment", "data.label=label", f"data.train={tmp_path / 'rows.csv'}"]
    prepared = prepared_for(tmp_path, *given)[1]
    run = a_run(tmp_path / "run", "classical")
    cross_validate(run, prepared)
    assert held_out(run)["scores"]["accuracy"] < 0.75


def test_a_tuned_way_has_a_score_of_its_own_rows_and_leaves_no_files(
    tmp_path: Path, prepared: Prepared[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    config = replace(prepared.config, trainer=replace(prepared.config.trainer, max_epochs=1))
    run = a_run(tmp_path / "run", "train")
    cross_validate(run, replace(prepared, config=config))
    assert held_out(run)["folds"] == 3 and 0 <= held_out(run)["scores"]["accuracy"] <= 1
    assert [path.name for path in run.run.path.iterdir()] == ["cross_validation.json"]
    assert not list(scratch.glob("tunebook-fold-*"))


def test_rows_of_a_group_are_held_out_together(tmp_path: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 120)
    lines = rows.read_text().splitlines()
    table = [lines[0] + ",who"] + [f"{line},person{i % 12}" for i, line in enumerate(lines[1:])]
    rows.write_text("\n".join(table) + "\n")
    usual = ["recipe=review_sentiment", "data.label=label", f"data.train={rows}", "data.group=who"]
    prepared = prepared_for(tmp_path, *usual)[1]
    run = a_run(tmp_path / "run")
    cross_validate(run, prepared)
    target, groups = targets(prepared), prepared.encoded.rows["train"].groups
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=prepared.config.seed)
    theirs = cross_val_predict(DummyClassifier(), np.zeros((len(target), 1)), target, cv=folds, groups=groups)
    assert held_out(run)["scores"]["accuracy"] == pytest.approx(accuracy_score(target, theirs))


def with_scores(folder: Path, seed: int, value: float | None, rows: int = 10_000) -> RungRun:
    run = a_run(folder, seed=seed)
    found = {"scores": {"macro_f1": value}, "rows": rows, "seconds": 1.0}
    run.cross_validation_file.write_text(json.dumps(found))
    return run


def test_the_best_held_out_score_of_each_draw_chooses_and_of_equals_the_cheapest(tmp_path: Path) -> None:
    scores = {"classical": (0.5, 0.6, None), "head": (0.5, 0.7, None), "contrastive": (0.4, None, 0.1)}
    ways = {
        way: [with_scores(tmp_path / f"{way}-{seed}", seed, value) for seed, value in enumerate(values)]
        for way, values in scores.items()
    }
    assert [way for way, _ in chosen_runs(ways, "macro_f1", True).values()] == ["classical", "head", "contrastive"]
    assert [way for way, _ in chosen_runs(ways, "macro_f1", False).values()] == [
        "contrastive",
        "classical",
        "contrastive",
    ]
    none = chosen_runs(ways, "accuracy", True)
    assert [way for way, _ in none.values()] == ["classical"] * 3, "a metric that nobody has chooses the cheapest"


def test_nothing_is_held_out_of_rows_too_few_to_choose_by(tmp_path: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 60)
    prepared = prepared_for(tmp_path, "recipe=review_sentiment", "data.label=label", f"data.train={rows}")[1]
    assert len(targets(prepared)) < 64
    ways = {}
    for way in ("classical", "head", "contrastive"):
        run = a_run(tmp_path / way, "majority")
        cross_validate(run, prepared)
        assert (held_out(run)["folds"], held_out(run)["rows"], held_out(run)["scores"]) == (0, 0, {})
        ways[f"few_shot_4_{way}"] = [run]
    assert chosen_runs(ways, "macro_f1", True)[0][0] == "few_shot_4_contrastive"


@pytest.mark.parametrize(
    ("rows", "head", "pairs", "chosen"),
    [
        (25, 0.59, 0.5, "contrastive"),  # 0.5 / 5 = 0.1: a standard error
        (25, 0.61, 0.5, "head"),
        (400, 0.52, 0.5, "contrastive"),  # 0.5 / 20 = 0.025
        (400, 0.53, 0.5, "head"),
        (25, 0.5, 0.59, "contrastive"),
        (25, 0.5, None, "head"),
    ],
)
def test_what_few_held_out_rows_cannot_tell_apart_goes_to_pairs(
    tmp_path: Path, rows: int, head: float, pairs: float | None, chosen: str
) -> None:
    ways = {
        f"few_shot_5_{name}": [with_scores(tmp_path / name, 0, value, rows)]
        for name, value in (("classical", 0.3), ("head", head), ("contrastive", pairs))
    }
    assert chosen_runs(ways, "macro_f1", True)[0][0] == f"few_shot_5_{chosen}"


def test_a_damaged_cross_validation_is_named(tmp_path: Path) -> None:
    run = with_scores(tmp_path / "run", 0, 0.5)
    run.cross_validation_file.write_text('{"scores": [1]}')
    with user_error("compare.damaged-folder"):
        run.held_out("macro_f1")
