"""Few-shot rungs: the ways of learning from few rows, and those of them that can be run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunebook.compare.candidates import Candidate
from tunebook.compare.step import Step, with_method, with_model
from tunebook.config.compare import LadderConfig, Rung, Way
from tunebook.config.schema import Method, TrainConfig
from tunebook.families.comparison import Comparison


def few_shot_steps(candidates: Sequence[Candidate]) -> Iterator[Step]:
    """Each number of rows, learned from in each way: by each model, and once for all by what needs none."""
    first = candidates[0]
    wanted, ways = first.made.compare, few_shot_ways(first.base, first.made.compare, first.family)
    for k in sorted(wanted.shots):
        if ways == [Way.classical]:
            yield from _ways(k, ways, replace(first, label=""), first)
            continue
        for candidate in candidates:
            yield from _ways(k, ways, candidate, first)


def _ways(k: int, ways: Sequence[Way], candidate: Candidate, first: Candidate) -> Iterator[Step]:
    """One number of rows; a way without a model is that of the first one, and so one run for all of them."""
    family, draws, model = candidate.family, first.made.compare.draws, candidate.label
    drawn: dict[str, Any] = {"shots": k, "max_rows": None} if family.per_class else {"max_rows": k}
    title = with_model(f"few-shot with {k} {family.row}s" + (" of each class" if family.per_class else ""), model)
    rung = with_model(f"few_shot_{k}", model)
    for way in ways:
        kind = "classical" if way is Way.classical else "train"
        base = first.base if kind == "classical" else candidate.base
        tuned = with_method(base, Method.full if kind == "classical" else Method[way.name])
        few = replace(tuned, data=replace(base.data, **drawn))
        how = "" if way is Way.full else ", classical" if kind == "classical" else f", adapt={way.name}"
        name = with_model(f"few_shot_{k}_{way.name}", model)
        yield Step(name, title + how, Rung.few_shot, few, draws, kind=kind, way_of=rung, model=model)


def few_shot_ways(base: TrainConfig, wanted: LadderConfig, family: Comparison) -> Sequence[Way]:
    """How few-shot rungs learn: as was asked for, else as ``adapt`` was set, else in all ways of the family."""
    method = Method.full if base.adapt.method is Method.none else base.adapt.method
    if wanted.few_shot is not None:
        return [way for way in Way if way in wanted.few_shot]
    if method is not Method.full or not family.few_shot:
        return [Way[method.name]]
    return [Way[name] for name in family.few_shot]


def alone(step: Step, steps: Sequence[Step]) -> Step:
    """A way without another is the few-shot rung itself."""
    others = [other for other in steps if other.way_of == step.way_of]
    return replace(step, name=step.way_of, way_of="") if step.way_of and len(others) == 1 else step


def said_once(
    left_out: Mapping[str, tuple[str, str]], candidates: Sequence[Step], steps: Sequence[Step]
) -> dict[str, tuple[str, str]]:
    """What is left out, with the ways of a few-shot rung as one where all of them are for one reason."""
    ways = {step.name: step for step in candidates if step.way_of}
    kept = {step.way_of for step in steps}
    found: dict[str, tuple[str, str]] = {}
    for name, (title, reason) in left_out.items():
        rung = ways[name].way_of if name in ways else ""
        same = {left_out[each][1] for each, way in ways.items() if way.way_of == rung and each in left_out} == {reason}
        if rung and rung not in kept and same:
            found[rung] = (ways[name].rung_title, reason)
        else:
            found[name] = (title, reason)
    return found
