"""`tunebook evaluate`: score a finished model on new rows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunebook.config.schema import Leaks
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows
    from tunebook.recipe import Recipe


def evaluate_command(config: Any, run_dir: str) -> float:
    """Write metrics.json, predictions.csv and report.html; returns the watched metric."""
    from omegaconf import OmegaConf

    from tunebook.bundle.manifest import find_bundle, read_manifest
    from tunebook.bundle.read import open_bundle
    from tunebook.cli.output import print_judged
    from tunebook.composing.own import family_of, own_config
    from tunebook.config.evaluate import EvaluateConfig
    from tunebook.config.schema import TrainerConfig
    from tunebook.data.reading import read_rows
    from tunebook.data.rejects import RejectLog
    from tunebook.errors import UserError
    from tunebook.pipeline.judge import judge_new
    from tunebook.plugins.answers import invalid_of
    from tunebook.plugins.measures import check_watch, named_metrics
    from tunebook.run_folder import make_run_folder, nothing_half_written, save_config
    from tunebook.training.devices import choose_accelerator

    folder = find_bundle(config.bundle)
    name = read_manifest(folder).recipe
    made = OmegaConf.to_object(own_config(config, name, family_of(name)))
    assert isinstance(made, EvaluateConfig)
    choose_accelerator(TrainerConfig(accelerator=made.accelerator))
    run = make_run_folder(run_dir)
    with nothing_half_written(run), tempfile.TemporaryDirectory(prefix="tunebook-evaluate-") as scratch:
        manifest, recipe, predictor = open_bundle(folder)
        family = recipe.family
        check_watch(recipe, named_metrics(recipe, manifest.row_labels))
        data = made.data
        rejects = RejectLog(run.rejects, data.max_rejects)
        # A label that the model does not know is a reject: no answer to that row could be right.
        rows = read_rows(
            data.test,
            "data.test",
            family.evaluate_columns(recipe, manifest, data),
            rejects,
            split="test",
            labels=manifest.labels,
            invalid=invalid_of(recipe),
        )
        content = family.bundle_content(recipe, manifest, Path(scratch), answered=True)
        if content is not None:
            rows = content.inspect(rows, rejects)
        rejects.write()
        rejects.check()
        rows, note = _unseen(recipe, rows, folder, data.leaks, rejects)
        rejects.write()
        if not len(rows):
            raise UserError(
                "There is no row to score.",
                code="data.no-usable-rows",
                where=str(data.test),
                fix="give data.test=<rows>",
            )
        save_config(made, run)
        predictor.truncated = 0
        facts = {
            "source": str(data.test),
            "rows read": f"{rejects.read}",
            "kept": f"{len(rows)}",
            "rejected": f"{rejects.count}",
            "dropped as seen in training": f"{rejects.dropped}",
        }
        if note:
            print(f"note: {note}")
        judged = judge_new(recipe, predictor, rows, content, made, run, facts, [note] if note else [])
        print_judged(judged)
    print(f"report: {run.report}")
    return judged.evidence.watched


def _unseen(recipe: Recipe[Any], rows: Rows, folder: Path, policy: Leaks, rejects: RejectLog) -> tuple[Rows, str]:
    """The rows that the model has not seen, and what to tell of the others.

    Raises:
        UserError: There are such rows, and nobody said what to do with them.
    """
    import numpy as np

    from tunebook.bundle.seen import seen_before
    from tunebook.config.schema import Leaks
    from tunebook.errors import UserError

    seen = seen_before(folder, recipe.family.keys(recipe, rows))
    if not len(seen):
        return rows, ""
    told = f"{len(seen)} of {len(rows)} rows were already used in training or model selection"
    if policy is Leaks.error:
        places = ", ".join(rows.where(int(i)) for i in seen[:3]) + (" ..." if len(seen) > 3 else "")
        raise UserError(
            f"{told}: its score on them says nothing.",
            code="data.seen-rows",
            where=places,
            fix="data.leaks=drop leaves them out, data.leaks=allow scores them anyway",
        )
    if policy is Leaks.allow:
        return rows, f"{told}; they were scored anyway (data.leaks=allow)."
    for i in seen:
        line = rows.column("line")[int(i)].as_py()
        rejects.drop(rows.column("file")[int(i)].as_py(), line, "", "the model was trained or chosen on it")
    return rows.take(np.setdiff1d(np.arange(len(rows)), seen)), f"{told}; they were left out (data.leaks=drop)."
