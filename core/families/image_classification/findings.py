"""Which outputs of an image model are findings, and which one means that there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.data.labels import Labels
from tunebook.errors import UserError
from tunebook.families.image_classification.columns import check_choice
from tunebook.families.image_classification.recipe import ImageClassification

# What data sets call an image without a finding.
_NEGATIVE = ("normal", "no_finding", "healthy", "benign", "negative", "none", "control", "0", "0.0")


@dataclass(frozen=True)
class Findings:
    """The findings among the labels.

    Attributes:
        names: Their names.
        columns: Output of each.
        negative: Label of an image without any; None where there is no such label.
        several: Whether an image may have more than one.
        note: What a reader must know of how they were determined.
    """

    names: tuple[str, ...]
    columns: tuple[int, ...]
    negative: str | None
    several: bool
    note: str = ""

    @property
    def summary(self) -> str:
        """Which labels are findings, for people."""
        none = f" ({self.negative} means none)" if self.negative is not None else ""
        return f"{', '.join(self.names)}{none}" + (f"; {self.note}" if self.note else "")

    def flags(self, target: NDArray[np.int64]) -> NDArray[np.int64]:
        """1 where a row has a finding, ``[rows, findings]``.

        Args:
            target: Label numbers ``[rows]``, or flags ``[rows, labels]``.
        """
        if self.several:
            chosen: NDArray[np.int64] = target[:, list(self.columns)]
            return chosen
        flags: NDArray[np.int64] = (target[:, None] == np.array(self.columns)).astype(np.int64)
        return flags


def find_findings(labels: Sequence[str], several: bool, negative: str | None) -> Findings:
    """Separate findings from the label that means none.

    Args:
        labels: Names of all outputs.
        several: Whether each output is a finding of its own.
        negative: The label that means none; None: the usual words, else of two labels the first.

    Raises:
        UserError: ``negative`` is none of the labels, or goes with findings that are not labels.
    """
    every = tuple(range(len(labels)))
    if several:
        if negative is not None:
            raise UserError(
                "recipe.negative names a label, and recipe.findings are columns of their own",
                code="config.conflict",
                where="recipe.negative",
                fix="leave it out: an image without any finding has 0 in all of them",
            )
        return Findings(tuple(labels), every, None, True)
    if negative is not None and negative not in labels:
        raise UserError(
            f"there is no label {negative!r}",
            code="config.unknown-choice",
            where="recipe.negative",
            fix=f"choose from: {', '.join(labels)}",
        )
    usual = [label for label in labels if label.strip().casefold().replace(" ", "_") in _NEGATIVE]
    chosen = negative or (usual[0] if len(usual) == 1 else None)
    guessed = negative is None and chosen in ("0", "0.0")
    note = f"{chosen} is taken as no finding; recipe.negative changes that" if guessed else ""
    if chosen is None and len(labels) == 2:
        chosen = labels[0]
        note = f"{labels[1]!r} is taken as the finding and {chosen!r} as none; recipe.negative changes that"
    columns = tuple(i for i in every if labels[i] != chosen)
    return Findings(tuple(labels[i] for i in columns), columns, chosen, False, note)


def findings_of(recipe: ImageClassification[Any], labels: Sequence[str]) -> Findings:
    """Which labels of a recipe's model are findings."""
    options = recipe.options
    return find_findings(labels, several=options.findings is not None, negative=options.negative)


def check_point(point: str | None, findings: Findings) -> None:
    """Refuse an operating point that is to give the answer where it decides about one of several findings.

    Raises:
        UserError: As it says.
    """
    if point is not None and not findings.several and len(findings.names) != 1:
        raise UserError(
            f"an operating point decides about one finding; here {len(findings.names)} exclude each other",
            code="config.conflict",
            where="recipe.point",
            fix="leave it out; `predict` reports each finding at every point anyway",
        )


def check_labels(recipe: ImageClassification[Any], labels: Labels) -> None:
    """Options that name labels must name some of these; and validation rows must be able to choose.

    Raises:
        UserError: It is not so.
    """
    check_point(recipe.options.point, findings_of(recipe, labels.names))
    check_choice(labels, recipe.options)
