"""Evidence and comparison of a family whose metrics are formulas of sums over rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.user_error import user_error
from tunebook.config.score import ScoreConfig
from tunebook.data.rows import Rows
from tunebook.families.sums_comparison import SumsComparison
from tunebook.families.sums_evidence import SumsEvidence
from tunebook.run_folder import RunFolder
from tunebook.statistics.sums import RowSums, score

RIGHT = np.array([1.0, 0, 1, 1, 0, 1, 1, 1])


def rows_of(groups: Sequence[str] | None) -> Rows:
    columns: dict[str, Any] = {"text": [f"row {i}" for i in range(8)], "file": ["rows.csv"] * 8, "line": range(2, 10)}
    return Rows(pa.table({**columns, **({} if groups is None else {"group": list(groups)})}), "test")


def share(right: np.ndarray) -> RowSums:
    return RowSums("share", np.stack([right, np.ones(len(right))], axis=1), share=True)


@dataclass(frozen=True)
class Shares(SumsEvidence):
    """The share of rows that are right."""

    def measures(self) -> Mapping[str, Mapping[str, RowSums]]:
        return {"tuned": {"share": share(RIGHT)}, "never": {"share": share(RIGHT * 0)}}


class SharesCompared(SumsComparison):
    """Runs by the share of rows that are right."""

    def titles(self, prepared: Any) -> Mapping[str, str]:
        return {"majority": "never", "classical": "always"}

    def baseline(self, rung: str, prepared: Any) -> Shares:
        return evidence(None)

    def measures(self, lines: Sequence[Mapping[str, str]], prepared: Any) -> Mapping[str, RowSums]:
        return {"share": share(np.array([float(line["right"]) for line in lines]))}


def evidence(groups: Sequence[str] | None) -> Shares:
    recipe: Any = SimpleNamespace(watch="share", options=SimpleNamespace(name="shares"))
    return Shares(recipe, rows_of(groups), ScoreConfig(resamples=200), 3)


def test_scores_are_those_of_the_sums_and_differences_are_paired(tmp_path: Path) -> None:
    found = evidence(None)
    assert found.watched == RIGHT.mean() and list(found.models) == ["tuned", "never"]
    assert found.models["tuned"] == [score(share(RIGHT), resamples=200, seed=3)]
    assert found.differences["never"]["share"].value == RIGHT.mean()
    run = RunFolder(tmp_path)
    found.write(run, found.report(subtitle="starter_text"))
    written = json.loads(run.metrics.read_text(encoding="utf-8"))
    assert written["test"]["share"]["value"] == RIGHT.mean() and written["baselines"]["never"]["share"]["value"] == 0
    assert "starter_text" in run.report.read_text(encoding="utf-8")


def test_whole_groups_are_resampled_where_rows_have_any() -> None:
    groups = list("aabbccdd")
    grouped, alone = evidence(groups), evidence(None)
    expected = score(share(RIGHT), np.array(groups), resamples=200, seed=3)
    assert grouped.models["tuned"] == [expected] and expected.method != alone.models["tuned"][0].method
    assert grouped.differences["never"]["share"].method == "paired group bootstrap"


def test_runs_are_read_back_and_those_of_other_rows_refused(tmp_path: Path) -> None:
    prepared: Any = SimpleNamespace(encoded=SimpleNamespace(rows={"test": rows_of(None)}))
    compared, run = SharesCompared(("share",)), RunFolder(tmp_path)
    with run.predictions.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "line", "right"])
        writer.writerows(["rows.csv", line, int(right)] for line, right in zip(range(2, 10), RIGHT, strict=True))
    (outcome,) = compared.outcomes("share", [run], prepared)
    assert outcome is not None and outcome.units == 8
    assert outcome.scores(np.ones((1, 8), dtype=np.int64))[0] == pytest.approx(RIGHT.mean())
    made, told = compared.answer("majority", prepared, run)
    assert made.watched == RIGHT.mean() and told == {"trained_parameters": 0} and (tmp_path / "baseline").is_dir()
    run.predictions.write_text("file,line,right\nrows.csv,2,1\n", encoding="utf-8")
    with user_error("run.other-rows"):
        compared.outcomes("share", [run], prepared)
