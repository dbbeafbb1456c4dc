"""`tunebook evaluate`: score a finished model on new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any


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
        rejects.write()
        rejects.check()
        if not len(rows):
            raise UserError("There is no row to score.", where=str(data.test), mend="give data.test=<rows>")
        save_config(made, run)
        tuned = predict_rows(classifier, rows, "test rows", True, device)
        evidence = Evidence(recipe, tuned, {}, made.evaluation, made.seed)
        facts = {
            "source": str(data.test),
            "rows read": f"{rejects.read}",
            "kept": f"{len(rows)}",
            "rejected": f"{rejects.count}",
        }
        report = evidence.report(subtitle=f"{Path(made.bundle)} on {data.test}", data_facts=facts)
        evidence.write(run, report)
    print_scores(evidence.models, report.verdict)
    print(f"report: {run.report}")
    return evidence.watched
