"""`tunebook evaluate`: score a finished model on new rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunebook.config import Leaks
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows


def evaluate_command(config: Any, run_dir: str) -> float:
    """Write metrics.json, predictions.csv and report.html; returns the watched metric."""
    from omegaconf import OmegaConf

    from tunebook.bundle.manifest import find_bundle
    from tunebook.bundle.read import open_bundle
    from tunebook.commands.summary import print_scores
    from tunebook.config import EvaluateConfig, TrainerConfig
    from tunebook.data.columns import Column
    from tunebook.data.reading import read_rows
    from tunebook.data.rejects import RejectLog
    from tunebook.errors import UserError
    from tunebook.run_folder import make_run_folder, nothing_half_written, save_config
    from tunebook.tasks.text_evidence import Evidence, predict_rows
    from tunebook.training.devices import choose_accelerator

    made = OmegaConf.to_object(config)
    assert isinstance(made, EvaluateConfig)
    folder = find_bundle(made.bundle)
    device = choose_accelerator(TrainerConfig(accelerator=made.accelerator))
    run = make_run_folder(run_dir)
    with nothing_half_written(run):
        manifest, recipe, classifier = open_bundle(folder)
        data = made.data
        columns = [
            Column("text", data.text or manifest.columns["text"], "data.text", "text"),
            Column("label", data.label or manifest.columns["label"], "data.label", "label"),
        ]
        if data.group is not None:
            columns.append(Column("group", data.group, "data.group", "any"))
        rejects = RejectLog(run.rejects, data.max_rejects)
        # A label that the model does not know is a reject: no answer to that row could be right.
        rows = read_rows(data.test, "data.test", columns, rejects, split="test", labels=manifest.labels)
        rejects.check()
        rows, note = _unseen(rows, folder, data.leaks, rejects)
        rejects.write()
        if not len(rows):
            raise UserError("There is no row to score.", where=str(data.test), mend="give data.test=<rows>")
        save_config(made, run)
        classifier.truncated = 0
        tuned = predict_rows(classifier, rows, "test rows", True, device)
        evidence = Evidence(recipe, tuned, {}, made.evaluation, made.seed)
        facts = {
            "source": str(data.test),
            "rows read": f"{rejects.read}",
            "kept": f"{len(rows)}",
            "rejected": f"{rejects.count}",
            "dropped as seen in training": f"{rejects.dropped}",
        }
        if classifier.truncated:
            facts[f"texts over {classifier.max_length} tokens"] = f"{classifier.truncated} (cut)"
            print(f"note: {classifier.truncated} texts are over {classifier.max_length} tokens and were cut")
        report = evidence.report(
            subtitle=f"{Path(made.bundle)} on {data.test}", data_facts=facts, notes=[note] if note else []
        )
        evidence.write(run, report)
    if note:
        print(f"note: {note}")
    print_scores(evidence.models, report.verdict)
    print(f"report: {run.report}")
    return evidence.watched


def _unseen(rows: Rows, folder: Path, policy: Leaks, rejects: RejectLog) -> tuple[Rows, str]:
    """The rows that the model has not seen, and what to tell of the others.

    Raises:
        UserError: There are such rows, and nobody said what to do with them.
    """
    import numpy as np

    from tunebook.bundle.seen import seen_before
    from tunebook.config import Leaks
    from tunebook.errors import UserError

    seen = seen_before(folder, rows.texts("text"))
    if not len(seen):
        return rows, ""
    told = f"{len(seen)} of {len(rows)} rows have a text that the model was trained or chosen on"
    if policy is Leaks.error:
        places = ", ".join(rows.where(int(i)) for i in seen[:3]) + (" ..." if len(seen) > 3 else "")
        raise UserError(
            f"{told}: its score on them says nothing.",
            where=places,
            mend="data.leaks=drop leaves them out, data.leaks=allow scores them all the same",
        )
    if policy is Leaks.allow:
        return rows, f"{told}; they were scored all the same (data.leaks=allow)."
    for i in seen:
        line = rows.column("line")[int(i)].as_py()
        rejects.drop(rows.column("file")[int(i)].as_py(), line, "text", "the model was trained or chosen on it")
    return rows.take(np.setdiff1d(np.arange(len(rows)), seen)), f"{told}; they were left out (data.leaks=drop)."
