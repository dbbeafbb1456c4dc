"""The rungs of a ladder: what each is, with which options it runs, and which make no sense here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunebook.compare.candidates import Candidate, Candidates
from tunebook.compare.few_shot import alone, few_shot_steps, said_once
from tunebook.compare.step import Step, with_method, with_model
from tunebook.config.compare import Rung
from tunebook.config.schema import Method
from tunebook.data.splits import shots_of
from tunebook.errors import UserError

if TYPE_CHECKING:
    from tunebook.families.comparison import Comparison
    from tunebook.families.prepared import Prepared

METHODS = {
    Rung.zero_shot: Method.none,
    Rung.head: Method.head,
    Rung.lora: Method.lora,
    Rung.full: Method.full,
    Rung.scratch: Method.scratch,
}
BASELINES = (Rung.majority, Rung.classical)
_TITLES = {
    Rung.zero_shot: "the model before any training",
    Rung.head: "the frozen model with a tuned head",
    Rung.lora: "low-rank adapters (LoRA)",
    Rung.full: "all weights tuned",
    Rung.scratch: "all weights from scratch",
}


def planned_steps(candidates: Candidates) -> tuple[list[Step], dict[str, tuple[str, str]]]:
    """The rungs to run, cheapest first, and those left out.

    Returns:
        Steps, and the name of each left out with its title and the reason.
    """
    left_out: dict[str, tuple[str, str]] = {}
    steps, wanted = [], candidates.first.made.compare
    possible = [*_rungs(candidates), *_curve(candidates.first)]
    if wanted.curve and Rung[wanted.curve_rung.name] not in wanted.rungs:
        name = wanted.curve_rung.name
        left_out["curve"] = ("the learning curve", f"compare.curve_rung={name} is not among the rungs")
    for step in possible:
        candidate = candidates.labelled(step.model)
        try:
            _check_rows(step, candidate.prepared, candidate.family)
            candidate.family.refuse(candidate.prepared, step.config)
        except UserError as error:
            left_out[step.name] = (step.title, error.what.rstrip("."))
            continue
        steps.append(step)
    return [alone(step, steps) for step in steps], said_once(left_out, possible, steps)


def _rungs(candidates: Candidates) -> Iterator[Step]:
    """Each rung, of what needs a model once for each of them."""
    first = candidates.first
    wanted, titles = first.made.compare, first.family.titles(first.prepared)
    for rung in (rung for rung in Rung if rung in wanted.rungs):
        if rung in BASELINES:
            yield Step(rung.name, titles[rung.name], rung, with_method(first.base, Method.full), 1, kind=rung.name)
        elif rung is Rung.few_shot:
            yield from few_shot_steps(candidates.every)
        else:
            runs = 1 if rung is Rung.zero_shot else wanted.seeds
            for each in candidates.every:
                name, title = (with_model(called, each.label) for called in (rung.name, _TITLES[rung]))
                yield Step(name, title, rung, with_method(each.base, METHODS[rung]), runs, model=each.label)


def _curve(candidate: Candidate) -> Iterator[Step]:
    """Steps of the learning curve of a rung; all rows are the rung itself, with its own seeds."""
    base, wanted, row = candidate.base, candidate.made.compare, candidate.family.row
    rung = Rung[wanted.curve_rung.name]
    if rung not in wanted.rungs:
        return
    rows = len(candidate.prepared.encoded.rows["train"])
    method = METHODS.get(rung, base.adapt.method)
    for share in sorted(wanted.curve):
        count = max(2, round(share * rows))
        tuned = with_method(base, method)
        if count < rows:
            tuned = replace(tuned, data=replace(tuned.data, max_rows=count))
        title = f"{with_model(f'{count} {row}s', candidate.label)} ({share:.0%}), adapt={method.name}"
        runs = wanted.draws if count < rows else wanted.seeds
        yield Step(f"curve_{count}", title, rung, tuned, runs, curve=count, model=candidate.label)


def _check_rows(step: Step, prepared: Prepared[Any], family: Comparison) -> None:
    """Refuse more rows than there are."""
    data, labels = step.config.data, prepared.data.labels
    shots = shots_of(data)
    train = len(prepared.encoded.rows["train"])
    if shots is not None and labels is not None and prepared.data.train.roles.count("label"):
        least = min(labels.names, key=lambda name: labels.counts["train"][name])
        if labels.counts["train"][least] < shots:
            raise UserError(
                f"the class {least!r} has {labels.counts['train'][least]} training {family.row}s",
                code="data.too-few-rows",
            )
    elif shots is not None:
        raise UserError(
            f"a {family.row} may have several findings, so that there are no {family.row}s of one class",
            code="data.several-labels",
        )
    elif step.rung is Rung.few_shot and (data.max_rows or 0) > train:
        raise UserError(f"there are {train} training {family.row}s", code="data.too-few-rows")
    elif data.max_rows is not None and labels is not None and data.max_rows < len(labels.names):
        raise UserError(
            f"{data.max_rows} {family.row}s are fewer than there are classes ({len(labels.names)})",
            code="data.too-few-rows",
        )
