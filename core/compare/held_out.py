"""How well a run's way of learning answers its own training rows, each by a model that has not seen it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.compare.choice import FEWEST
from tunebook.compare.run_state import RungRun
from tunebook.families.evidence import Evidence
from tunebook.families.prepared import Prepared
from tunebook.files import write_json
from tunebook.pipeline.judge import open_own_bundle
from tunebook.pipeline.tune import tune
from tunebook.pipeline.with_rows import with_rows
from tunebook.report.files import without_nan
from tunebook.run_folder import RunFolder
from tunebook.training.solve import folds

FOLDS = 3
"""Each costs a training: five would cost as much as they are worth on few rows."""
ENOUGH = 300
"""Held-out rows after which no further fold is answered: the standard error of their score is below three points."""


def cross_validate(run: RungRun, prepared: Prepared[Any]) -> None:
    """Write cross_validation.json: each metric on the held-out training rows of up to three folds, and what it took.

    The folds are those of the seed, and so the same for all ways of learning from the same rows. There are none, and no
    score, where a class has a single row or the rows are few.
    """
    started = time.monotonic()
    answered: list[Evidence] = []
    rows, held_out = prepared.encoded.rows, 0
    parts: Sequence[NDArray[np.int64]] = ()
    if len(rows["train"]) >= FEWEST:
        parts = folds(prepared.encoded.splits["train"].targets, prepared.config.seed, rows["train"].groups, FOLDS)
    for part in parts:
        if held_out >= ENOUGH:
            break
        kept = np.setdiff1d(np.arange(len(rows["train"])), part)
        split = {**rows, "train": rows["train"].take(kept), "test": rows["train"].take(np.sort(part), "test")}
        with TemporaryDirectory(prefix="tunebook-fold-", ignore_cleanup_errors=True) as scratch:
            fold = with_rows(prepared, split, Path(scratch))
            folder = RunFolder(Path(scratch) / "run")
            folder.path.mkdir()
            answered.append(_answers(run.planned.kind, fold, folder))
        held_out += len(part)
    scores = answered[0].together(answered[1:]) if answered else {}
    write_json(
        run.cross_validation_file,
        {
            "scores": without_nan(scores),
            "rows": held_out,
            "folds": len(answered),
            "seconds": round(time.monotonic() - started, 3),
        },
    )


def _answers(kind: str, fold: Prepared[Any], folder: RunFolder) -> Evidence:
    """The answers to the test rows of a fold, as a run of that kind gives them."""
    stages = fold.recipe.family.stages
    if kind != "train":
        found: Evidence = stages.comparison(fold.recipe).answer(kind, fold, folder)[0]
        return found
    model, fitted, config = tune(fold, folder, {}, lambda line: None, resumed=False, main=True)
    tuned = replace(fold, config=config)
    stages.write_bundle(tuned, model, fitted, folder, {"data": {}, "training": {}, "scores": {}})
    evidence: Evidence = stages.judge(tuned, open_own_bundle(fold.recipe, folder), folder)
    return evidence
