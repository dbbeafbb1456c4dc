"""The models of a comparison with their rows, and the test rows that all of them are scored on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from tunebook.config.compare import CompareConfig
from tunebook.config.schema import TrainConfig
from tunebook.config.score import BASELINE
from tunebook.data.rows import Rows, named_places
from tunebook.errors import UserError
from tunebook.families.comparison import Comparison, ComparisonOfModels
from tunebook.families.prepared import Prepared


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


@dataclass(frozen=True)
class Candidate:
    """A model of a comparison.

    Attributes:
        label: What it is called in names of rungs; "" where it is the only one.
        made: The config of the comparison with this model.
        prepared: The rows as it takes them.
    """

    label: str
    made: CompareConfig
    prepared: Prepared[Any]

    @property
    def base(self) -> TrainConfig:
        """What its runs have in common."""
        return train_config(self.made)

    @property
    def family(self) -> Comparison:
        """Its family's part of `compare`."""
        found: Comparison = self.prepared.recipe.family.stages.comparison(self.prepared.recipe)
        return found


@dataclass(frozen=True)
class Candidates:
    """All models of a comparison.

    Attributes:
        every: In the order of `compare.models`, or the only one.
        metric: What they are compared by.
        test: The test rows that all of them are scored on.
        notes: What a reader must know of the two, in sentences.
    """

    every: tuple[Candidate, ...]
    metric: str
    test: Rows
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, every: Sequence[Candidate], metric: str) -> Candidates:
        """Choose a metric and test rows by which the models can be compared.

        Args:
            every: The models.
            metric: What is to be compared by.

        Raises:
            UserError: They have no such test rows.
        """
        first, family = every[0], every[0].family
        if len(every) == 1:
            return cls(tuple(every), metric, first.prepared.encoded.rows["test"])
        models = {each.label: each.prepared for each in every}
        _check_same_data(models)
        if not isinstance(family, ComparisonOfModels):
            _check_same_test(models)
            return cls(tuple(every), metric, first.prepared.encoded.rows["test"])
        shared, notes = family.between_models(metric), list[str]()
        if shared != metric:
            notes.append(family.why_between_models(metric))
        test, about_rows = family.common_rows(shared, models)
        return cls(tuple(every), shared, test, (*notes, *about_rows))

    @property
    def first(self) -> Candidate:
        """The one that baselines and the learning curve go with."""
        return self.every[0]

    @property
    def several(self) -> bool:
        """Whether there are several."""
        return len(self.every) > 1

    @property
    def models(self) -> Mapping[str, Prepared[Any]]:
        """The rows as each model takes them, by its label."""
        return {each.label: each.prepared for each in self.every}

    def labelled(self, label: str) -> Candidate:
        """The one of this label, the first where it is empty."""
        return next((each for each in self.every if each.label == label), self.first)

    @cached_property
    def prepared(self) -> Prepared[Any]:
        """The rows of the first model, with the test rows that all are scored on."""
        first = self.first.prepared
        if not self.several:
            return first
        return replace(first, encoded=replace(first.encoded, rows={**first.encoded.rows, "test": self.test}))


def _check_same_data(models: Mapping[str, Prepared[Any]]) -> None:
    """Refuse models whose pages choose other rows or splits."""
    read = {label: prepared.data.test.fingerprint for label, prepared in models.items()}
    (first, one), *others = read.items()
    for label, other in others:
        if other != one:
            raise UserError(
                f"{first} and {label} have different test rows: their pages set data or seeds differently.",
                code="compare.different-rows",
                where="compare.models",
                fix="set the keys of data and seed on the command line, for all models alike",
            )


def _check_same_test(models: Mapping[str, Prepared[Any]]) -> None:
    """Refuse models of which one cannot answer what another can."""
    answered = {label: set(prepared.encoded.rows["test"].places) for label, prepared in models.items()}
    every = sorted(set().union(*answered.values()))
    lacking = {label: [place for place in every if place not in each] for label, each in answered.items()}
    told = [f"{label} cannot answer {named_places(rows)}" for label, rows in lacking.items() if rows]
    if told:
        raise UserError(
            f"The models would be scored on different test rows: {'; '.join(told)}.",
            code="compare.different-rows",
            where="compare.models",
            fix="data.overlength=truncate cuts texts that are too long; or leave these rows out",
        )
