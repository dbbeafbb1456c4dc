"""Finished runs read back: the rungs that the statistics compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunebook.compare.candidates import Candidates
from tunebook.compare.choice import FewShot, as_ways, chosen_runs
from tunebook.compare.plan import Plan
from tunebook.compare.run_state import RungRun
from tunebook.compare.rung_results import coverage, rung_result
from tunebook.compare.statistics.results import RungResult
from tunebook.compare.statistics.rung_score import score_of_rung
from tunebook.compare.step import Step
from tunebook.errors import UserError
from tunebook.families.comparison import Comparison
from tunebook.families.evidence import resampling
from tunebook.families.prepared import Prepared
from tunebook.statistics.intervals import Score
from tunebook.statistics.outcomes import Outcome


@dataclass(frozen=True)
class CurveStep:
    """A size of the learning curve.

    Attributes:
        rows: Training rows.
        scores: The metric of each run.
        outcomes: What the test rows got in each.
        score: Over all its runs.
    """

    rows: int
    scores: tuple[float, ...]
    outcomes: tuple[Outcome, ...]
    score: Score


@dataclass(frozen=True)
class Finished:
    """What became of a comparison.

    Attributes:
        metric: What is compared by.
        rungs: Those with at least one finished run, in the order of the ladder.
        curve: The steps of the learning curve.
        missing: Rung or step without a result, or without one of its runs -> title and why.
        by_class: Rung -> class -> score.
        seeds: Rung or step -> the seeds of its finished runs.
        folders: Rung or step -> the folders of its finished runs.
        fingerprint: Of the test rows.
        measured: Rungs of which all time is known.
        failed: Rungs that were planned, of which no run is finished.
        few_shot: The ways of each few-shot rung that has several.
        notes: What a reader must know of how models are compared, in sentences.
    """

    metric: str
    rungs: tuple[RungResult, ...]
    curve: tuple[CurveStep, ...]
    missing: Mapping[str, tuple[str, str]]
    by_class: Mapping[str, Mapping[str, Score]]
    seeds: Mapping[str, tuple[int, ...]]
    folders: Mapping[str, tuple[str, ...]]
    fingerprint: str
    measured: Mapping[str, bool] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    few_shot: tuple[FewShot, ...] = ()
    notes: tuple[str, ...] = ()


def read_finished(
    steps: Sequence[Step],
    plan: Plan,
    folder: Path,
    candidates: Candidates,
    left_out: Mapping[str, tuple[str, str]],
) -> Finished:
    """Read the finished runs of a plan.

    Raises:
        UserError: No run is finished, or runs were scored on different test rows.
    """
    prepared, family, metric = candidates.prepared, candidates.first.family, candidates.metric
    runs = [RungRun.of(planned, folder) for planned in plan.runs]
    members = {step.name: [runs[number] for number in plan.members[step.name]] for step in steps}
    done = {name: [run for run in each if run.finished] for name, each in members.items()}
    by_model: dict[str, list[RungRun]] = {}
    for step in steps:
        own = step.model if step.kind == "train" else ""
        by_model.setdefault(candidates.labelled(own).label, []).extend(done[step.name])
    fingerprints = [check_same_rows(each) for each in by_model.values()]
    missing = {**left_out, **_failures(steps, members)}
    settings = resampling(prepared.config.evaluation, prepared.config.seed)
    rungs: dict[str, RungResult] = {}
    ways: dict[str, dict[str, RungResult]] = {}
    by_class, curve = {}, []
    scored = list({run.run.path: run.run for step in steps for run in done[step.name]}.values())
    for run in [run for each in done.values() for run in each]:
        _check_answers(run)
    outcomes = dict(zip((run.path for run in scored), family.outcomes(metric, scored, prepared), strict=True))
    for step in steps:
        finished = done[step.name]
        if not finished:
            continue
        known = tuple(o for run in finished if (o := outcomes[run.run.path]) is not None)
        if not known:
            missing[step.name] = (step.title, f"it has no {metric}")
            continue
        rung = rung_result(step, finished, known, candidates, settings)
        if step.curve is not None:
            curve.append(CurveStep(step.curve, rung.by_seed, known, rung.score))
            continue
        rungs[step.way_of or step.name] = rung  # of a way for its place alone
        if step.way_of:
            ways.setdefault(step.way_of, {})[step.name] = rung
        else:
            by_class[step.name] = _by_class(finished, prepared, family, settings)
    few_shot: list[FewShot] = []
    for name, results in ways.items():
        among = {way: done[way] for way in results}
        chosen = chosen_runs(among, metric, rungs[name].score.higher_is_better)
        few_shot.append(FewShot(name, as_ways(among, results, chosen, metric)))
        done[name] = [run for _, run in chosen.values()]
        known = tuple(o for run in done[name] if (o := outcomes[run.run.path]) is not None)
        rungs[name] = _chosen(rung_result(_step_of(name, steps), done[name], known, candidates, settings), few_shot[-1])
        by_class[name] = _by_class(done[name], prepared, family, settings)
    if not rungs:
        why = "\n".join(f"  {name}: {reason}" for name, (_, reason) in missing.items())
        raise UserError(
            f"No rung has a result.\n{why}",
            code="compare.no-results",
            where=str(folder),
            fix="see the rung.log files there",
        )
    return Finished(
        metric,
        tuple(rungs.values()),
        tuple(curve),
        missing,
        {name: scores for name, scores in by_class.items() if scores},
        {name: tuple(run.planned.seed for run in each) for name, each in done.items() if each},
        {name: tuple(run.planned.folder for run in each) for name, each in done.items() if each},
        prepared.encoded.rows["test"].fingerprint if candidates.several else next(iter(fingerprints), ""),
        {name: all(run.measured for run in each) for name, each in done.items()},
        tuple(step.name for step in steps if step.curve is None and not done[step.name] and not done.get(step.way_of)),
        tuple(few_shot),
        (*candidates.notes, *coverage(next(iter(rungs.values())).score.n, by_model, candidates)),
    )


def _step_of(rung: str, steps: Sequence[Step]) -> Step:
    """A few-shot rung whose way is chosen."""
    first = next(step for step in steps if step.way_of == rung)
    return replace(first, name=rung, title=first.rung_title)


def _chosen(rung: RungResult, few: FewShot) -> RungResult:
    """The chosen way at the price of all: they had to be tried."""
    costs = [way.result.cost for way in few.ways]
    cost = replace(
        rung.cost,
        seconds=sum(way.seconds + way.result.cost.seconds for way in few.ways),
        peak_memory=max(cost.peak_memory for cost in costs),
        device_memory=max(cost.device_memory for cost in costs),
    )
    return replace(rung, cost=cost)


def _check_answers(run: RungRun) -> None:
    """Refuse answers that are gone or no text, and scores that cannot be read."""
    run.scores()
    try:
        run.run.predictions.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise run.damaged(run.run.predictions) from error


def check_same_rows(runs: Sequence[RungRun]) -> str:
    """The fingerprint of the test rows of all runs.

    Raises:
        UserError: They were scored on different ones: no table can be built of them.
    """
    found: dict[str, RungRun] = {}
    for run in runs:
        found.setdefault(run.record()["rows"]["test"], run)
    if len(found) > 1:
        one, other = list(found.values())[:2]
        raise UserError(
            "Runs of this comparison were scored on different test rows.",
            code="compare.different-rows",
            where=f"{one.run.record} and {other.run.record}",
            fix="remove the folder of the one that is wrong, and run the command again",
        )
    return next(iter(found), "")


def _failures(steps: Sequence[Step], members: Mapping[str, Sequence[RungRun]]) -> dict[str, tuple[str, str]]:
    found = {}
    for step in steps:
        failed = [run for run in members[step.name] if not run.finished]
        if failed:
            share = f"{len(failed)} of {len(members[step.name])} runs" if len(members[step.name]) > 1 else "the run"
            reasons = [run.failure for run in failed if run.failure]
            are = "are" if len(failed) > 1 else "is"
            reason = f"{share} failed: {reasons[0]}" if reasons else f"{share} {are} not finished"
            found[step.name] = (step.title, reason)
    return found


def _by_class(
    runs: Sequence[RungRun], prepared: Prepared[Any], family: Comparison, settings: Mapping[str, Any]
) -> dict[str, Score]:
    """The score of each class over all runs of a rung."""
    found = [family.class_outcomes(run.run, prepared) for run in runs]
    rows = len(prepared.encoded.rows["test"])
    return {
        name: score_of_rung(
            tuple(each[name] for each in found), family.of_class, rows, higher_is_better=True, **settings
        )
        for name in found[0]
    }
