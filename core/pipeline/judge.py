"""The one way from a model to what is known of it: bundle, test rows through what is read back, baselines, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunebook.bundle.manifest import read_manifest
from tunebook.config.evaluate import EvaluateConfig
from tunebook.data.content import Content
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.evidence import Evidence
from tunebook.families.prepared import Prepared
from tunebook.files import write_json
from tunebook.pipeline.facts import (
    card_facts,
    config_facts,
    data_facts,
    finished_record,
    learning_curve,
    training_facts,
)
from tunebook.pipeline.stored import resume_with
from tunebook.recipe import Recipe
from tunebook.run_folder import RunFolder
from tunebook.training.fit import Fitted


@dataclass(frozen=True)
class Judged:
    """What is known of a model, with the verdict of its report in words."""

    evidence: Evidence
    verdict: Sequence[str]


def judge(
    prepared: Prepared[Any], model: Any, fitted: Fitted | None, run: RunFolder, record: Mapping[str, Any]
) -> Judged:
    """Write the bundle, score what is read back from it, and report.

    What is reported is what will be used: the test rows go through the bundle, not through the model in memory. A run
    that was interrupted after its bundle was written goes on from there.

    Args:
        prepared: The rows.
        model: The plain model.
        fitted: How training went; None of a model that was not trained.
        run: Takes all files.
        record: What shaped the run.
    """
    config, recipe = prepared.config, prepared.recipe
    stages, facts = recipe.family.stages, data_facts(prepared)
    finished = finished_record(record, model, fitted)
    if not run.bundle.exists():
        card = {
            "data": card_facts(prepared),
            "training": training_facts(prepared, fitted),
            "scores": _validated(recipe, fitted),
        }
        stages.write_bundle(prepared, model, fitted, run, card)
    evidence = stages.judge(prepared, open_own_bundle(recipe, run), run)
    report = evidence.report(
        subtitle=f"{prepared.source.name}, adapt={config.adapt.method.name}",
        history=learning_curve(run),
        split_counts=stages.split_counts(prepared),
        data_facts={**facts, **evidence.facts},
        config_facts=config_facts(config),
        notes=[*prepared.data.notes, *evidence.all_notes],
    )
    write_json(run.record, finished)
    evidence.write(run, report)
    return Judged(evidence, report.verdict)


def open_own_bundle(recipe: Recipe[Any], run: RunFolder) -> Any:
    """The predictor of a run's own bundle, which an earlier process may have written.

    Raises:
        UserError: It is damaged, which the run's checkpoints can put right.
    """
    try:
        manifest = read_manifest(run.bundle)
        recipe.family.inputs.load_bundle_state(recipe, manifest)
        return recipe.family.stages.open_bundle(recipe, run.bundle, manifest)
    except UserError as error:
        fix = f"delete {run.bundle}, and resume: {resume_with(run.path)} writes it again"
        raise error.replace(fix=fix) from error


def judge_new(
    recipe: Recipe[Any],
    predictor: Any,
    rows: Rows,
    content: Content | None,
    config: EvaluateConfig,
    run: RunFolder,
    facts: Mapping[str, str],
    notes: Sequence[str],
) -> Judged:
    """Score a bundle's model on new rows and report."""
    evidence = recipe.family.stages.judge_new(recipe, predictor, rows, content, config)
    report = evidence.report(
        subtitle=f"{Path(config.bundle)} on {config.data.test}",
        data_facts={**facts, **evidence.facts},
        notes=[*notes, *evidence.all_notes],
    )
    evidence.write(run, report)
    return Judged(evidence, report.verdict)


def _validated(recipe: Recipe[Any], fitted: Fitted | None) -> list[str]:
    """The watched metric of the chosen checkpoint, for the model card."""
    if fitted is None:
        return []
    if fitted.solved:
        return [f"none was needed to choose a checkpoint: the final layer was {fitted.solved}"]
    return ["none: training ended before the first"] if fitted.best is None else [f"{recipe.watch}: {fitted.best:.4f}"]
