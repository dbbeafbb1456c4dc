"""The rungs of a ladder: what each is, with which options it runs, and which make no sense here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from tunebook.compare.few_shot import alone, few_shot_steps, said_once
from tunebook.compare.step import Step, with_method
from tunebook.config.compare import CompareConfig, Rung
from tunebook.config.schema import Method, Objective, TrainConfig
from tunebook.config.score import BASELINE
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


def train_config(config: CompareConfig) -> TrainConfig:
    """What every run has in common: the same splits whatever its seed, and no baseline of its own."""
    own = TrainConfig(**{f.name: getattr(config, f.name) for f in fields(TrainConfig)})
    split_seed = config.seed if own.data.split_seed is None else own.data.split_seed
    baselines: dict[str, Any] = {f.name: False for f in fields(own.evaluation) if f.metadata.get(BASELINE)}
    return replace(
        own,
        data=replace(own.data, split_seed=split_seed),
        evaluation=replace(own.evaluation, **baselines),
        trainer=replace(own.trainer, progress=False),
    )


def check_ladder(config: CompareConfig) -> None:
    """Refuse ladders that cannot be run.

    Raises:
        UserError: As it says.
    """
    wanted = config.compare
    for key, least in (("seeds", 1), ("draws", 1)):
        if getattr(wanted, key) < least:
            value = getattr(wanted, key)
            raise UserError(
                f"compare.{key} must be at least {least}, not {value}.",
                code="config.out-of-range",
                where=f"compare.{key}",
                fix=f"compare.{key}=3",
            )
    if config.objective.name is not Objective.sft:
        raise UserError(
            f"A comparison has no rungs that learn by objective={config.objective.name.name}.",
            code="config.no-effect",
            where="objective",
            fix="leave it out, or use tunebook train",
        )
    if not wanted.rungs:
        raise UserError(
            "compare.rungs names no rung.",
            code="compare.no-rungs",
            where="compare.rungs",
            fix="leave it out for all of them",
        )
    if len(set(wanted.rungs)) < len(wanted.rungs):
        raise UserError(
            "compare.rungs names a rung twice.", code="config.duplicate", where="compare.rungs", fix="name each once"
        )
    if wanted.few_shot is not None and len(set(wanted.few_shot)) != max(1, len(wanted.few_shot)):
        raise UserError(
            "compare.few_shot names no way, or one twice.",
            code="config.out-of-range",
            where="compare.few_shot",
            fix="compare.few_shot=[classical,head], or leave it out",
        )
    method = config.adapt.method
    unused = wanted.few_shot is not None and method.name not in {way.name for way in wanted.few_shot}
    if unused and method not in (Method.full, Method.none):
        raise UserError(
            f"adapt={method.name} has no effect: compare.few_shot says how few-shot rungs learn.",
            code="config.no-effect",
            where="adapt",
            fix="leave one of the two out",
        )
    for key, of in (("shots", wanted.shots), ("curve", wanted.curve)):
        if twice := [each for number, each in enumerate(of) if each in of[:number]]:
            raise UserError(
                f"compare.{key} names {twice[0]:g} twice.",
                code="config.duplicate",
                where=f"compare.{key}",
                fix="name each once",
            )
    if bad := [k for k in wanted.shots if k < 1]:
        raise UserError(
            f"A few-shot rung needs at least 1 row, not {bad[0]}.",
            code="config.out-of-range",
            where="compare.shots",
            fix="compare.shots=[4,16]",
        )
    if bad_share := [s for s in wanted.curve if not 0 < s <= 1]:
        raise UserError(
            f"A share of the training rows must be above 0 and at most 1, not {bad_share[0]:g} does not.",
            code="config.out-of-range",
            where="compare.curve",
            fix="compare.curve=[0.1,0.25,0.5,1.0]",
        )
    if (shots := shots_of(config.data)) is not None:
        raise UserError(
            "The few-shot rungs set data.shots themselves.",
            code="config.conflict",
            where="data.shots",
            fix=f"compare.shots=[{shots}]",
        )
    if config.resume is not None:
        raise UserError(
            "A comparison resumes by itself: run the same command again.",
            code="config.conflict",
            where="resume",
            fix="leave resume= out",
        )


def planned_steps(
    config: CompareConfig, prepared: Prepared[Any], family: Comparison
) -> tuple[list[Step], dict[str, tuple[str, str]]]:
    """The rungs to run, cheapest first, and those left out.

    Returns:
        Steps, and the name of each left out with its title and the reason.
    """
    left_out: dict[str, tuple[str, str]] = {}
    steps = []
    candidates = [*_rungs(config, prepared, family), *_curve(config, prepared, family)]
    if config.compare.curve and _curve_rung(config) not in config.compare.rungs:
        name = config.compare.curve_rung.name
        left_out["curve"] = ("the learning curve", f"compare.curve_rung={name} is not among the rungs")
    for step in candidates:
        try:
            _check_rows(step, prepared, family)
            family.refuse(prepared, step.config)
        except UserError as error:
            left_out[step.name] = (step.title, error.what.rstrip("."))
            continue
        steps.append(step)
    return [alone(step, steps) for step in steps], said_once(left_out, candidates, steps)


def _rungs(config: CompareConfig, prepared: Prepared[Any], family: Comparison) -> Iterator[Step]:
    base, wanted = train_config(config), config.compare
    titles = family.titles(prepared)
    for rung in (rung for rung in Rung if rung in wanted.rungs):
        if rung in BASELINES:
            yield Step(rung.name, titles[rung.name], rung, with_method(base, Method.full), 1, kind=rung.name)
        elif rung is Rung.few_shot:
            yield from few_shot_steps(base, wanted, family)
        else:
            runs = 1 if rung is Rung.zero_shot else wanted.seeds
            yield Step(rung.name, _TITLES[rung], rung, with_method(base, METHODS[rung]), runs)


def _curve(config: CompareConfig, prepared: Prepared[Any], family: Comparison) -> Iterator[Step]:
    """Steps of the learning curve of a rung; all rows are the rung itself, with its own seeds."""
    base, wanted, rung = train_config(config), config.compare, _curve_rung(config)
    if rung not in wanted.rungs:
        return
    rows = len(prepared.encoded.rows["train"])
    method = METHODS.get(rung, base.adapt.method)
    for share in sorted(wanted.curve):
        count = max(2, round(share * rows))
        tuned = with_method(base, method)
        if count < rows:
            tuned = replace(tuned, data=replace(tuned.data, max_rows=count))
        title = f"{count} {family.row}s ({share:.0%}), adapt={method.name}"
        runs = wanted.draws if count < rows else wanted.seeds
        yield Step(f"curve_{count}", title, rung, tuned, runs, curve=count)


def _curve_rung(config: CompareConfig) -> Rung:
    return Rung[config.compare.curve_rung.name]


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
