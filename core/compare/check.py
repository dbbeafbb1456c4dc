"""Mistakes in what is to be compared, found before anything is read."""

from __future__ import annotations

from tunebook.config.compare import CompareConfig
from tunebook.config.schema import Method, Objective
from tunebook.data.splits import shots_of
from tunebook.errors import UserError


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
