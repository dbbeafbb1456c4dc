"""After training an image classifier: calibration, operating points, the bundle, the test scores, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunebook.bundle.manifest import read_manifest
from tunebook.cli.output import print_scores
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import TrainerConfig
from tunebook.config.score import ScoreConfig
from tunebook.data.rows import IMAGE, Rows
from tunebook.errors import UserError
from tunebook.families.image_classification.batches import decoding_of, targets_of
from tunebook.families.image_classification.bundle import write_image_bundle
from tunebook.families.image_classification.columns import GROUP, subgroup_role
from tunebook.families.image_classification.data.content import ImageContent
from tunebook.families.image_classification.gallery import gallery
from tunebook.families.image_classification.metrics.operating import choose_points, parse_rule
from tunebook.families.image_classification.metrics.report import (
    FEW,
    FindingEvidence,
    findings_report,
    point_in_words,
    scores_in_words,
    subgroups_to_json,
)
from tunebook.families.image_classification.metrics.temperature import fit_temperature
from tunebook.families.image_classification.predictions_csv import write_image_predictions
from tunebook.families.image_classification.predictor import ImageClassifier
from tunebook.families.image_classification.preprocessing import ImageItems
from tunebook.families.image_classification.scores import score_findings
from tunebook.files import write_json, write_text
from tunebook.pipeline.facts import (
    config_facts,
    data_without_folders,
    finished_record,
    learning_curve,
    training_facts,
)
from tunebook.pipeline.run_folder import RunFolder
from tunebook.progress import counting
from tunebook.report.files import by_name, write_metrics
from tunebook.report.report import render
from tunebook.statistics.findings import FindingPredictions
from tunebook.training.devices import choose_accelerator

if TYPE_CHECKING:
    from tunebook.data.content import Content
    from tunebook.families.image_classification.recipe import ImageClassification
    from tunebook.pipeline.prepare import Prepared
    from tunebook.training.fit import Fitted


def finding_predictions(
    classifier: ImageClassifier,
    rows: Rows,
    items: ImageItems,
    probabilities: NDArray[np.float64],
    subgroups: Sequence[str],
) -> FindingPredictions:
    """What the model believes of each finding, with the identity of each row."""
    columns = list(classifier.findings.columns)
    named = {name: subgroup_role(i) for i, name in enumerate(subgroups)}
    return FindingPredictions(
        findings=classifier.findings.names,
        target=classifier.findings.flags(items.targets),
        probabilities=probabilities[:, columns],
        files=rows.texts("file"),
        lines=[int(line) for line in rows.column("line").to_pylist()],
        images=rows.texts(IMAGE),
        groups=np.array(rows.texts(GROUP)) if GROUP in rows.roles else None,
        subgroups={name: np.array(rows.texts(role)) for name, role in named.items() if role in rows.roles},
    )


def _logits(classifier: ImageClassifier, items: ImageItems, what: str, device: str, progress: bool) -> Any:
    with counting(what, len(items), progress) as advance:
        return classifier.logits(items, device, advance)


def finish(
    recipe: ImageClassification[Any],
    prepared: Prepared,
    model: Any,
    fitted: Fitted | None,
    run: RunFolder,
    record: dict[str, Any],
    facts: Mapping[str, str],
) -> float:
    """Write the bundle, score what is read back from it, and report; returns the watched test metric."""
    config = prepared.config
    device = choose_accelerator(config.trainer)
    finished = finished_record(record, model, fitted)
    notes = list(prepared.checked.notes)
    if not run.bundle.exists():
        made, told = _calibrated(recipe, prepared, model, device)
        card = {
            "data": data_without_folders(facts),
            "training": training_facts(prepared, fitted),
            "scores": [] if fitted is None or fitted.best is None else [f"{recipe.watch}: {fitted.best:.4f}", *told],
        }
        points = [point_in_words(point) for point in made.points]
        write_image_bundle(run.bundle, made, recipe, prepared.source, config, card, points, _seen(prepared))
    classifier = recipe.open_bundle(run.bundle, read_manifest(run.bundle))
    few = {p.finding: min(p.n_positive, p.n_negative) for p in classifier.points}
    notes += [
        f"the operating points of {finding!r} were chosen by {count} validation rows that have it, or have it not: "
        "on other rows they may do quite differently"
        for finding, count in few.items()
        if count < FEW
    ]
    notes.append(f"logits are divided by the temperature {classifier.temperature:.3f}, fitted on the validation rows")
    rows = prepared.encoded.rows["test"]
    items: Any = prepared.encoded.splits["test"].items
    targets: Any = prepared.encoded.splits["train"].items.targets  # type: ignore[attr-defined]
    write_json(run.record, finished)
    counts = prepared.checked.labels.counts if prepared.checked.labels else {}
    return _report(
        recipe,
        classifier,
        rows,
        items,
        config.evaluation,
        config.seed,
        run,
        device,
        subgroups=recipe.image_options.subgroups,
        train_targets=targets,
        progress=config.trainer.progress,
        subtitle=f"{prepared.source.name}, adapt={config.adapt.method.name}",
        notes=notes,
        data_facts=facts,
        config_facts=config_facts(config),
        history=learning_curve(run),
        split_counts={split: dict(each) for split, each in counts.items()},
    )


def _calibrated(
    recipe: ImageClassification[Any], prepared: Prepared, model: Any, device: str
) -> tuple[ImageClassifier, list[str]]:
    """The model with a temperature and operating points from the validation rows, and what to tell of them."""
    options, config = recipe.image_options, prepared.config
    findings = recipe.findings(prepared.labels)
    rules = [parse_rule(name, text) for name, text in recipe.points.items()]
    classifier = ImageClassifier(
        model,
        recipe.head(prepared.labels),
        tuple(prepared.labels),
        findings,
        prepared.encoded.tokenizer,
        decoding_of(options),
        point=options.point,
    )
    rows = prepared.encoded.rows["validation"]
    items: Any = prepared.encoded.splits["validation"].items
    logits = _logits(classifier, items, "validation rows", device, config.trainer.progress)
    told = []
    if options.calibrate:
        fit = fit_temperature(logits, items.targets, findings.several)
        # A bound says more of the few rows than of the model: leave its probabilities as they are.
        classifier.temperature = 1.0 if fit.note else fit.value
        told.append(f"temperature: {classifier.temperature:.3f}" + (f" ({fit.note})" if fit.note else ""))
    believed = finding_predictions(classifier, rows, items, classifier.probabilities(logits), ())
    classifier.points = tuple(choose_points(rules, believed))
    return classifier, told


def check_rules(points: Mapping[str, str], point: str | None) -> None:
    """Refuse operating points that cannot be, whatever the findings."""
    for name, text in points.items():
        parse_rule(name, text)
    if point is not None and point not in points:
        known = f"choose from: {', '.join(points)}" if points else 'recipe.points={screening: "sensitivity 0.95"}'
        raise UserError(f"there is no operating point {point!r}", where="recipe.point", fix=known)


def _seen(prepared: Prepared) -> list[str]:
    return [
        digest for split in ("train", "validation") for digest in prepared.recipe.keys(prepared.encoded.rows[split])
    ]


def evaluate(
    recipe: ImageClassification[Any],
    classifier: ImageClassifier,
    rows: Rows,
    content: Content | None,
    config: EvaluateConfig,
    run: RunFolder,
    facts: Mapping[str, str],
    notes: Sequence[str],
) -> float:
    """Score a bundle's model on new rows and report; returns the watched metric."""
    assert isinstance(content, ImageContent)
    items = ImageItems.of(rows, content, targets_of(rows, classifier.labels, classifier.findings.several))
    device = choose_accelerator(TrainerConfig(accelerator=config.accelerator))
    subtitle = f"{Path(config.bundle)} on {config.data.test}"
    alone = [] if GROUP in rows.roles else [content.ungrouped.replace("lie on two sides of a split", "count twice")]
    return _report(
        recipe,
        classifier,
        rows,
        items,
        config.evaluation,
        config.seed,
        run,
        device,
        subgroups=recipe.image_options.subgroups if config.data.subgroups is None else config.data.subgroups,
        subtitle=subtitle,
        notes=[*notes, *alone],
        data_facts=facts,
    )


def _report(
    recipe: ImageClassification[Any],
    classifier: ImageClassifier,
    rows: Rows,
    items: ImageItems,
    config: ScoreConfig,
    seed: int,
    run: RunFolder,
    device: str,
    *,
    subgroups: Sequence[str],
    train_targets: NDArray[np.int64] | None = None,
    progress: bool = True,
    **told: Any,
) -> float:
    """Answer the rows, score the answers and report."""
    logits = _logits(classifier, items, "test rows", device, progress)
    probabilities = classifier.probabilities(logits)
    believed = finding_predictions(classifier, rows, items, probabilities, subgroups)
    pictures = gallery(classifier, believed, items, device)
    evidence = score_findings(recipe, classifier, believed, items, probabilities, config, seed, train_targets, pictures)
    return write_evidence(recipe, classifier, evidence, items, probabilities, run, **told)


def write_evidence(
    recipe: ImageClassification[Any],
    classifier: ImageClassifier,
    evidence: FindingEvidence,
    items: ImageItems,
    probabilities: NDArray[np.float64],
    run: RunFolder,
    name: str = "tuned",
    **told: Any,
) -> float:
    """Write metrics.json, predictions.csv and report.html, of a model of that name; returns the watched metric."""
    report = findings_report(recipe.name, evidence, watch=recipe.watch, cautions=recipe.cautions, name=name, **told)
    more = {
        "findings": {finding: by_name(scores) for finding, scores in evidence.by_finding.items()},
        "operating_points": [
            {
                **point.point.to_json(),
                **by_name([point.sensitivity, point.specificity, point.ppv, point.npv, point.answered]),
            }
            for point in evidence.at_points
        ],
        "subgroups": subgroups_to_json(evidence.subgroups),
        "temperature": classifier.temperature,
    }
    write_metrics(run.metrics, evidence.scores, evidence.baselines, (), evidence.differences, more)
    write_image_predictions(run.predictions, classifier, evidence.predictions, items, probabilities)
    write_text(run.report, render(report))
    print_scores({name: evidence.scores, **evidence.baselines}, report.verdict)
    for scored in evidence.at_points:
        print(scores_in_words(scored))
    print(
        f"report: {run.report}\nmodel:  {run.bundle}" if run.bundle.exists() else "",
        end="\n" if run.bundle.exists() else "",
    )
    return next(score.value for score in evidence.scores if score.name == recipe.watch)
