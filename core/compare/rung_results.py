"""One rung over all its finished runs: its score, what a typical run took, and what each test row got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from tunebook.compare.candidates import Candidates
from tunebook.compare.run_state import RungRun
from tunebook.compare.statistics.results import Cost, RungResult
from tunebook.compare.statistics.rung_score import score_of_rung
from tunebook.compare.step import Step
from tunebook.statistics.outcomes import Outcome, SumsOutcome
from tunebook.statistics.paired import observed


def rung_result(
    step: Step,
    runs: Sequence[RungRun],
    outcomes: tuple[Outcome, ...],
    candidates: Candidates,
    settings: Mapping[str, Any],
) -> RungResult:
    """Score a rung.

    Args:
        step: The rung.
        runs: Its finished runs.
        outcomes: What each of them answered on the test rows that all models are scored on.
        candidates: The models.
        settings: How intervals are made.

    Raises:
        UserError: Answers of a run are gone.
    """
    metric = candidates.metric
    first, rows = runs[0].scores()[metric], _rows(outcomes[0])
    n, by_seed = first["n"], [value_in(run.scores(), metric) for run in runs]
    if rows is not None and candidates.several:  # perhaps fewer than the run itself was scored on
        n, by_seed = rows, [observed([outcome]) for outcome in outcomes]
    elif rows not in (None, n):
        raise runs[0].damaged(runs[0].run.predictions)
    score = score_of_rung(outcomes, metric, n, higher_is_better=first["higher_is_better"], **settings)
    return RungResult(
        name=step.name,
        title=step.title,
        score=score,
        by_seed=tuple(value for value in by_seed if value is not None),
        cost=cost_of(runs),
        outcomes=outcomes,
        unfit=next((run.unfit for run in runs if run.unfit), ""),
        model=step.model,
    )


def _rows(outcome: Outcome) -> int | None:
    """Rows that count; None where the outcome does not say."""
    return outcome.rows if isinstance(outcome, SumsOutcome) else None


def cost_of(runs: Sequence[RungRun]) -> Cost:
    """What a typical run took."""
    record = runs[0].record()
    rows = [_train_rows(run) for run in runs]
    return Cost(
        seconds=float(median(run.seconds for run in runs)),
        peak_memory=float(median(run.peak_memory for run in runs)),
        device_memory=float(median(run.device_memory for run in runs)),
        trained_parameters=record.get("trained_parameters"),
        saved_bytes=max(saved_bytes(run) for run in runs),
        training_rows=round(median(rows)),
    )


def _train_rows(run: RungRun) -> int:
    record = run.record()
    untrained = run.planned.kind == "train" and run.planned.config["adapt"]["method"] == "none"
    return 0 if untrained else int(record["row_counts"]["train"])


def saved_bytes(run: RungRun) -> int:
    """Size of what answers: the bundle's weights, or what a baseline keeps."""
    folder = run.run.path / "baseline"
    files = folder.rglob("*") if folder.is_dir() else run.run.bundle.rglob("*.safetensors")
    return sum(file.stat().st_size for file in files if file.is_file())


def value_in(metrics: Mapping[str, Any], metric: str) -> float | None:
    """A metric's value; None where it is undefined."""
    value = metrics.get(metric, {}).get("value")
    return None if value is None else float(value)


def coverage(n: int, by_model: Mapping[str, Sequence[RungRun]], candidates: Candidates) -> list[str]:
    """How much more each of several models was scored on than what they are compared on, as a sentence.

    Args:
        n: What they are compared on.
        by_model: The finished runs of each.
        candidates: The models.
    """
    if not candidates.several:
        return []
    more: dict[str, int] = {}
    for label, runs in by_model.items():
        own = [run.scores().get(candidates.metric, {}).get("n", 0) for run in runs if run.planned.kind == "train"]
        more |= {label: max(own) - n} if max(own, default=0) > n else {}
    if not more:
        return []
    named = ", ".join(f"{label} on {count:,} more by itself" for label, count in more.items())
    what = "test rows" if n == len(candidates.test) else "answers"
    return [f"Models are compared on the {n:,} {what} that all of them were scored on ({named})."]
