"""What a comparison reports: compare.json, the table on the terminal, the page."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tunebook import __version__
from tunebook.compare.candidates import Candidates
from tunebook.compare.choice import FewShot
from tunebook.compare.read_runs import Finished
from tunebook.compare.statistics.amounts import show_bytes, show_count, show_time
from tunebook.compare.statistics.comparison import Comparison, compare_rungs
from tunebook.compare.statistics.cost import PointCost, cost_of_points
from tunebook.compare.statistics.label_budget import LabelBudget, label_budget
from tunebook.compare.statistics.points import point_of
from tunebook.compare.statistics.results import Cost, RungResult
from tunebook.compare.statistics.verdict import ladder_verdict
from tunebook.compare.step import with_model
from tunebook.config.compare import Rung
from tunebook.report.files import by_name, without_nan
from tunebook.report.report import show_interval, show_number
from tunebook.statistics.intervals import Score
from tunebook.terminal import in_markup


@dataclass(frozen=True)
class Summary:
    """Conclusions from the finished runs.

    Attributes:
        comparison: The paired differences of all rungs.
        added: Cost of an added point, for each rung over the one before it.
        budget: The learning curve; None without one.
        verdict: The conclusions as sentences.
        counted: What was scored: test rows, or answers (to turns of conversations, to briefs of several copies).
    """

    comparison: Comparison
    added: Mapping[str, PointCost]
    budget: LabelBudget | None
    verdict: Sequence[str]
    counted: str


def summarize(finished: Finished, candidates: Candidates) -> Summary:
    """Compare the rungs and draw conclusions."""
    made, rows = candidates.first.made, len(candidates.test)
    settings: dict[str, Any] = {
        "confidence": made.evaluation.confidence,
        "resamples": made.evaluation.resamples,
        "seed": made.seed,
    }
    comparison = compare_rungs(finished.rungs, **settings)
    added = {each.rung: each for each in cost_of_points(finished.rungs, comparison)}
    budget = _budget(finished, settings)
    counted = "test rows" if finished.rungs[0].score.n == rows else "answers"
    verdict = [*ladder_verdict(finished.rungs, comparison, counted), *finished.notes, *_of_one_run(finished)]
    if finished.failed:
        verdict.append(f"Not compared, because runs failed or are unfinished: {', '.join(finished.failed)}.")
    if budget is not None:
        rung = with_model(made.compare.curve_rung.name, candidates.first.label)
        verdict.append(f"Learning curve of {rung}: {budget.words}")
    return Summary(comparison, added, budget, verdict, counted)


def _of_one_run(finished: Finished) -> list[str]:
    """Warn if the variation between seeds is unknown."""
    drawn = any(rung.cost.trained_parameters and rung.name != Rung.classical.name for rung in finished.rungs)
    if not drawn or any(len(rung.by_seed) > 1 for rung in finished.rungs):
        return []
    return [
        "Each rung was run once, so the variation between seeds is unknown: compare.seeds=3 compare.draws=3 adds "
        "further runs."
    ]


def _budget(finished: Finished, settings: Mapping[str, Any]) -> LabelBudget | None:
    """The learning curve, where there is one of several steps."""
    steps = [step for step in finished.curve if len(step.scores) == len(step.outcomes)]
    if len(steps) < 2:
        return None
    score = max(steps, key=lambda step: step.rows).score
    return label_budget(
        [step.rows for step in steps],
        [step.scores for step in steps],
        score=score,
        point=point_of(score),
        higher_is_better=score.higher_is_better,
        outcomes=[step.outcomes for step in steps],
        **settings,
    )


def as_json(finished: Finished, summary: Summary, candidates: Candidates) -> dict[str, Any]:
    """All figures of a comparison as plain values; what is undefined is null."""
    made, prepared = candidates.first.made, candidates.prepared
    record: dict[str, Any] = {
        "recipe": prepared.recipe.options.name,
        **_models_json(candidates),
        "metric": finished.metric,
        "higher_is_better": finished.rungs[0].score.higher_is_better,
        "test_rows": len(prepared.encoded.rows["test"]),
        "test_fingerprint": finished.fingerprint,
        "split_seed": prepared.config.data.split_seed,
        "confidence": made.evaluation.confidence,
        "tunebook": __version__,
        "rungs": [_rung_json(rung, finished, summary) for rung in finished.rungs],
        "few_shot": [_few_shot_json(few, finished) for few in finished.few_shot],
        "without_result": [
            {"name": name, "title": title, "reason": reason} for name, (title, reason) in finished.missing.items()
        ],
        "comparison": asdict(summary.comparison),
        "per_class": {
            rung: {name: next(iter(by_name([score]).values())) for name, score in scores.items()}
            for rung, scores in finished.by_class.items()
        },
        "curve": None if summary.budget is None else asdict(summary.budget),
        "curve_runs": [{"rows": step.rows, "scores": list(step.scores)} for step in finished.curve],
        "verdict": list(summary.verdict),
    }
    plain: dict[str, Any] = without_nan(json.loads(json.dumps(record, default=_listed)))
    return plain


def _models_json(candidates: Candidates) -> dict[str, Any]:
    """The model; or the label of each that rungs are named by, with its name and the test rows of its own runs."""
    if not candidates.several:
        return {"model": candidates.first.prepared.source.name}
    return {
        "models": [
            {
                "label": each.label,
                "name": each.prepared.source.name,
                "test_rows": len(each.prepared.encoded.rows["test"]),
            }
            for each in candidates.every
        ]
    }


def _listed(value: Any) -> Any:
    """Arrays and tuples of numpy as lists."""
    return value.tolist()


def _rung_json(rung: RungResult, finished: Finished, summary: Summary) -> dict[str, Any]:
    added = summary.added.get(rung.name)
    return {
        "name": rung.name,
        "title": rung.title,
        **({"model": rung.model} if rung.model else {}),
        "score": next(iter(by_name([rung.score]).values())),
        "by_seed": list(rung.by_seed),
        "seeds": list(finished.seeds[rung.name]),
        "cost": {**asdict(rung.cost), "whole": finished.measured[rung.name]},
        "added_point": None if added is None else asdict(added),
        "runs": list(finished.folders[rung.name]),
        **({"unfit": rung.unfit} if rung.unfit else {}),
    }


def _few_shot_json(few: FewShot, finished: Finished) -> dict[str, Any]:
    ways = [
        {
            "name": way.result.name,
            "score": next(iter(by_name([way.result.score]).values())),
            "by_seed": list(way.result.by_seed),
            "seeds": list(finished.seeds[way.result.name]),
            "held_out": list(way.held_out),
            "chosen": way.chosen,
            "cost": asdict(way.result.cost),
            "cross_validation_seconds": way.seconds,
            "runs": list(finished.folders[way.result.name]),
        }
        for way in few.ways
    ]
    return {"name": few.name, "ways": ways}


def chosen_in_words(few: FewShot) -> str:
    """How often each way was chosen."""
    if all(value is None for way in few.ways for value in way.held_out):
        way = max(few.ways, key=lambda way: way.chosen)
        return f"{few.name}: {way.called(few.name)}, as its rows are too few for cross-validation to choose by"
    draws = sum(way.chosen for way in few.ways)
    names = [(way.called(few.name), way.chosen) for way in few.ways if way.chosen]
    if draws == 1:
        return f"{few.name}: cross-validation on its rows chose {names[0][0]}"
    return f"{few.name}: cross-validation on its rows chose " + ", ".join(
        f"{name} in {n} of {draws}" for name, n in names
    )


def print_comparison(finished: Finished, summary: Summary) -> None:
    """The ladder as a table, what has no result and why, and the verdict."""
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if number else "left", no_wrap=number < 2)
    for rung in finished.rungs:
        mark = "bold" if rung.name == summary.comparison.recommended else ""
        table.add_row(*(in_markup(cell) for cell in cells(rung, finished)), style=mark)
    console.print(f"{finished.metric} on {finished.rungs[0].score.n} {summary.counted}")
    console.print(table)
    for name, (_, reason) in finished.missing.items():
        console.print(in_markup(f"{name}: {reason}"))
    for few in finished.few_shot:
        console.print(in_markup(chosen_in_words(few)))
    for added in summary.added.values():
        if added.seconds is not None:
            gain = f"{added.points:+.1f} points, {added_in_words(added)}"
            console.print(in_markup(f"{added.rung} over {added.before}: {gain}"))
    for sentence in summary.verdict:
        console.print(in_markup(sentence))


COLUMNS = ("rung", "score", "seeds", "time", "memory", "trained", "saved")


def cells(rung: RungResult, finished: Finished) -> list[str]:
    """A rung in words, by `COLUMNS`."""
    cost = rung.cost
    least, most = min(rung.by_seed), max(rung.by_seed)
    count = len(rung.by_seed)
    return [
        rung.name,
        shown_score(rung.score),
        f"{show_number(least)} to {show_number(most)} ({count})" if count > 1 else "1 run",
        ("" if finished.measured[rung.name] else "over ") + show_time(cost.seconds),
        _memory(cost),
        "" if cost.trained_parameters is None else show_count(cost.trained_parameters),
        show_bytes(cost.saved_bytes),
    ]


def _memory(cost: Cost) -> str:
    """Most memory, that of a GPU beside it."""
    own = f"{show_number(round(cost.peak_memory))} MiB"
    return f"{own}, GPU {show_number(round(cost.device_memory))} MiB" if cost.device_memory else own


def shown_score(score: Score) -> str:
    """A score with its interval."""
    if not score.defined:
        return "undefined"
    return f"{show_number(score.value)} ({show_interval(score.low, score.high)})"


def added_in_words(added: PointCost) -> str:
    """What a point more than on the rung before took: time, and labelled rows."""
    if added.seconds is None:
        return added.reason or ""
    time = ("-" if added.seconds < 0 else "") + show_time(abs(added.seconds))
    rows = ""
    if added.labels:
        count = f"{abs(added.labels):.2g}" if abs(added.labels) < 10 else show_number(round(abs(added.labels)))
        rows = f" and {count} {'rows' if added.labels > 0 else 'rows less'}"
    return f"{time}{rows} a point"
