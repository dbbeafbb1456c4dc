"""The page of a comparison: the verdict, quality against cost, the ladder, the curve, the classes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.compare.candidates import Candidates
from tunebook.compare.choice import FEWEST
from tunebook.compare.facts import all_facts
from tunebook.compare.statistics.amounts import show_time
from tunebook.compare.statistics.figures import label_curve, ladder_figure, quality_against_cost
from tunebook.compare.summary import COLUMNS, Summary, added_in_words, as_json, cells, summarize
from tunebook.files import write_text
from tunebook.pipeline.facts import config_facts, data_facts
from tunebook.report.report import (
    Cell,
    Figure,
    Report,
    Section,
    Table,
    Text,
    render,
    show_interval,
    show_name,
    show_number,
    show_p,
)
from tunebook.report.tables import facts_tables
from tunebook.report.verdicts import capital
from tunebook.statistics.intervals import Score

if TYPE_CHECKING:
    from tunebook.compare.read_runs import Finished
    from tunebook.families.prepared import Prepared


def write_comparison(folder: Path, finished: Finished, candidates: Candidates) -> Summary:
    """Write compare.json and report.html."""
    summary = summarize(finished, candidates)
    content = as_json(finished, summary, candidates)
    write_text(folder / "compare.json", json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(folder / "report.html", render(comparison_page(finished, summary, candidates)))
    return summary


def comparison_page(finished: Finished, summary: Summary, candidates: Candidates) -> Report:
    """Build the page."""
    prepared = candidates.prepared
    metric, rungs = capital(show_name(finished.metric)), finished.rungs
    sections: list[Section] = [
        _ladder(finished, summary),
        Figure(f"{metric} and its interval", ladder_figure(rungs, summary.comparison), _DOTS),
        Figure(f"{metric} against cost", quality_against_cost(rungs, summary.comparison), _COST),
    ]
    if finished.few_shot:
        sections.append(_ways(finished))
    if summary.budget is not None:
        sections.append(Figure("Learning curve", label_curve(summary.budget), summary.budget.words))
    if summary.added:
        sections.append(_points(summary))
    if finished.missing:
        rows: list[list[Cell]] = [[name, title, reason] for name, (title, reason) in finished.missing.items()]
        sections.append(Table("Without a result", ["rung", "what", "why"], rows))
    sections += _classes(finished, prepared)
    sections.append(_pairs(summary))
    sections.append(Text("How it was compared", _how(candidates)))
    data = all_facts(candidates, lambda each: data_facts(each.prepared))
    sections += facts_tables(data, all_facts(candidates, lambda each: config_facts(each.made)))
    names = ", ".join(each.label or prepared.source.name for each in candidates.every)
    subtitle = f"{prepared.recipe.options.name}, {names}"
    return Report("Comparison of methods", subtitle, list(summary.verdict), sections)


_DOTS = "Bars are intervals over test rows; rings, where there are any, are single seeds or draws."
_SIDE_BY_SIDE = 6  # rungs that a printed page has room for
_COST = "Time is that of one run in its own process: reading data, training, scoring, reporting."


def _ladder(finished: Finished, summary: Summary) -> Table:
    rows: list[list[Cell]] = []
    for rung in finished.rungs:
        rows.append([rung.name, rung.title, rung.score, *(_whole(cell) for cell in cells(rung, finished)[2:])])
    first = finished.rungs[0].score
    note = (
        f"{capital(show_name(finished.metric))} is the mean over seeds; below it its {100 * first.confidence:g} % "
        f"interval over {first.n} {summary.counted}. Next to it the minimum and maximum of the runs. Time and memory "
        "are the median over runs, each in its own process, after the libraries are loaded."
    )
    return Table("The ladder", ["rung", "what", show_name(finished.metric), *COLUMNS[2:]], rows, note)


def _ways(finished: Finished) -> Table:
    """Each way of learning from few rows."""
    rows: list[list[Cell]] = []
    for few in finished.few_shot:
        for way in few.ways:
            held_out = ", ".join("none" if value is None else show_number(value) for value in way.held_out)
            taken = show_time(way.result.cost.seconds)
            chosen = f"{way.chosen} of {len(way.held_out)}"
            rows.append([way.result.name, way.result.score, held_out, chosen, taken, show_time(way.seconds)])
    note = (
        "Each way learned from the same rows in each draw. In each draw the way was chosen that did best on those rows "
        "alone, in cross-validation, but contrastive where it was within a standard error of the best or the rows "
        f"were fewer than {FEWEST}, too few to choose by; the test rows had no say in it. The ladder has the chosen "
        "ones, at the price of all."
    )
    name = show_name(finished.metric)
    columns = ["way", name, f"{name} on held-out rows of the draw", "chosen", "time", "time of cross-validation"]
    return Table("Few-shot: how the way was chosen", columns, rows, note)


def _points(summary: Summary) -> Table:
    """The gain of each rung over the one before, and its cost."""
    rows: list[list[Cell]] = [
        [each.rung, each.before, f"{each.points:+.1f}", added_in_words(each)] for each in summary.added.values()
    ]
    note = (
        "A point is 0.01 of a metric from 0 to 1, 1 of one from 0 to 100, 1 % of one without an upper bound. Time is "
        "that of a run, rows are labelled training rows; no cost where the difference is not significant."
    )
    return Table("Cost of an added point", ["rung", "over", "points", "cost"], rows, note)


def _whole(cell: str) -> str:
    """A cell that breaks nowhere but before brackets and after commas."""
    return re.sub(r"(?<!,) (?!\()", "\N{NO-BREAK SPACE}", cell)


def _classes(finished: Finished, prepared: Prepared[Any]) -> list[Section]:
    """Per rung the score of each class."""
    if not finished.by_class:
        return []
    rungs = list(finished.by_class)
    names = list(dict.fromkeys(name for scores in finished.by_class.values() for name in scores))
    counts = prepared.data.labels.counts["test"] if prepared.data.labels else {}
    of_class = show_name(next(iter(next(iter(finished.by_class.values())).values())).name)
    note = "The mean over seeds, with an interval over test rows. Differences between rungs are not tested here."
    tables: list[Section] = []
    for start in range(0, len(rungs), _SIDE_BY_SIDE):
        some = rungs[start : start + _SIDE_BY_SIDE]
        rows: list[list[Cell]] = []
        for name in names:
            scores: list[Score | None] = [finished.by_class[rung].get(name) for rung in some]
            rows.append([name, counts.get(name, 0), *scores])
        title = f"{of_class} of each class" + (f": {some[0]} to {some[-1]}" if len(rungs) > len(some) else "")
        tables.append(Table(title, ["class", "test rows", *some], rows, note))
    return tables


def _pairs(summary: Summary) -> Table:
    """All paired comparisons."""
    rows: list[list[Cell]] = []
    for pair in summary.comparison.pairs:
        d = pair.difference
        rows.append(
            [
                f"{pair.first} over {pair.second}",
                f"{show_number(d.value)} ({show_interval(d.low, d.high)})",
                show_p(pair.p_holm),
                "yes" if pair.shown else "no",
                show_number(pair.smallest),
            ]
        )
    columns = ["rungs", "difference", "p (Holm)", "significant", "smallest detectable"]
    tested = f"All {len(rows)} pairs were tested, and p is corrected for that. " if len(rows) > 1 else ""
    note = f"{tested}A difference of the smallest detectable size is found with a power of 80 % on as many test rows."
    return Table("Each pair on the same rows", columns, rows, note)


def _how(candidates: Candidates) -> list[str]:
    """How the runs were made."""
    made, prepared = candidates.first.made, candidates.prepared
    rows, split_seed = len(prepared.encoded.rows["test"]), prepared.config.data.split_seed
    scored = "The runs of all models are compared on" if candidates.several else "Every run was scored on"
    sentences = [
        f"{scored} the same {rows} test rows. Splits were made with seed {split_seed} for all runs; the "
        "seeds of runs change initial weights, data order and, in few-shot runs, the rows drawn.",
        "Every tuned run, few-shot runs included, chose its best epoch on the validation rows; the classical rung "
        "chose its penalty on them.",
    ]
    if made.optim.lr is not None:
        sentences.append(f"optim.lr={made.optim.lr:g} was set for every tuned rung.")
    return [*sentences, *prepared.data.notes]
