"""A finished model on new rows: read as in training, scored as after it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tunebook.bundle.read import open_bundle
from tunebook.bundle.seen import seen_before
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import Leaks
from tunebook.config.texts import takes_votes
from tunebook.data.content import Content
from tunebook.data.file_source import file_source
from tunebook.data.personal_rows import count_personal
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.data.subgroups import check_gap, scored_columns
from tunebook.data.text_template import empty_notes
from tunebook.errors import UserError
from tunebook.pipeline.judge import Judged, judge_new
from tunebook.plugins.answers import invalid_of
from tunebook.plugins.measures import check_watch, named_metrics
from tunebook.recipe import Recipe
from tunebook.run_folder import RunFolder, new_run_folder, save_config
from tunebook.training.devices import choose_accelerator


def evaluate(
    config: EvaluateConfig, folder: Path, run_dir: str, say: Callable[[str], None]
) -> tuple[RunFolder, Judged]:
    """Score a bundle on the rows that a config names.

    Args:
        config: The rows, and how to score.
        folder: The bundle.
        run_dir: Takes all files.
        say: Takes a line for whoever waits.
    """
    choose_accelerator(config)
    with new_run_folder(run_dir) as run, tempfile.TemporaryDirectory(prefix="tunebook-evaluate-") as scratch:
        manifest, recipe, predictor = open_bundle(folder)
        inputs = recipe.family.inputs
        check_watch(recipe, named_metrics(recipe, manifest.row_labels))
        data = config.data
        columns = [*inputs.evaluate_columns(recipe, manifest, data), *scored_columns(config.evaluation)]
        rejects = RejectLog(run.rejects, data.max_rejects, masking=file_source(columns) is None)
        spelled: dict[str, str] = {}
        # A label that the model does not know is a reject: no answer to that row could be right.
        rows = read_rows(
            data.test,
            "data.test",
            columns,
            rejects,
            split="test",
            labels=manifest.labels,
            invalid=invalid_of(recipe),
            delimiter=data.delimiter,
            spelled=spelled,
            vote=takes_votes(data),
        )
        content = inputs.bundle_content(recipe, manifest, Path(scratch), answered=True)
        if content is not None:
            rows = content.inspect(rows, rejects)
        rejects.write()
        rejects.check()
        rows, seen = _unseen(recipe, rows, content, folder, data.leaks, rejects)
        rejects.write()
        if not len(rows):
            raise UserError(
                "There is no row to score.",
                code="data.no-usable-rows",
                where=str(data.test),
                fix="give data.test=<rows>",
            )
        check_gap(rows, config.evaluation)
        save_config(config, run)
        predictor.truncated = 0
        personal = count_personal({"test": rows}, columns, content)
        facts = {
            "source": str(data.test),
            "rows read": f"{rejects.read}",
            "kept": f"{len(rows)}",
            "rejected": f"{rejects.count}",
            "dropped as seen in training": f"{rejects.dropped}",
            **rejects.unread.facts(),
            **personal.facts(),
        }
        notes = [*empty_notes(rejects.empty), *_spellings(spelled), *([seen] if seen else []), *personal.notes(None)]
        for note in notes:
            say(f"note: {note}")
        return run, judge_new(recipe, predictor, rows, content, config, run, facts, notes)


def _spellings(spelled: Mapping[str, str]) -> list[str]:
    """Say which labels were taken for others that are the same number."""
    pairs = [f"{value!r} as {label!r}" for value, label in sorted(spelled.items())]
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return [f"labels were read as the same numbers written otherwise: {', '.join(pairs[:3])}{more}"] if pairs else []


def _unseen(
    recipe: Recipe[Any], rows: Rows, content: Content | None, folder: Path, policy: Leaks, rejects: RejectLog
) -> tuple[Rows, str]:
    """The rows that the model has not seen, and a note on the others.

    Raises:
        UserError: There are such rows, and nobody said what to do with them.
    """
    try:
        exact = seen_before(folder, recipe.family.inputs.keys(recipe, rows))
        seen = np.union1d(exact, recipe.family.inputs.copies_seen(rows, content, folder))
    except UserError as error:
        if policy is not Leaks.allow:
            raise
        return rows, f"{error.what} They were scored anyway (data.leaks=allow)."
    if not len(seen):
        return rows, ""
    seen_rows = f"{len(seen)} of {len(rows)} rows were already used in training or model selection"
    if len(seen) > len(exact):
        seen_rows += f" ({len(seen) - len(exact)} of them as nearly equal copies)"
    if policy is Leaks.error:
        places = ", ".join(rows.where(int(i)) for i in seen[:3]) + (" ..." if len(seen) > 3 else "")
        raise UserError(
            f"{seen_rows}: scores on them are not evidence.",
            code="data.seen-rows",
            where=places,
            fix="data.leaks=drop leaves them out, data.leaks=allow scores them anyway",
        )
    if policy is Leaks.allow:
        return rows, f"{seen_rows}; they were scored anyway (data.leaks=allow)."
    for i in seen:
        line = rows.column("line")[int(i)].as_py()
        rejects.drop(rows.column("file")[int(i)].as_py(), line, "", "already used in training or model selection")
    return rows.take(np.setdiff1d(np.arange(len(rows)), seen)), f"{seen_rows}; they were left out (data.leaks=drop)."
