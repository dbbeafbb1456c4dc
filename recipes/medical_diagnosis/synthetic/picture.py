"""What is drawn: a picture, its findings, and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tunebook import UserError

FINDINGS = {"xray": ("nodule", "opacity", "effusion"), "smear": ("parasite", "blast")}
"""The findings of each kind of picture."""

SMALLEST, LARGEST = 32, 1024


@dataclass(frozen=True)
class Finding:
    """One finding at a known place. A picture may hold several of one name."""

    name: str
    row: float
    """Centre, in pixels from the top: 0 is the middle of the first row."""
    column: float
    """Centre, in pixels from the left."""
    size: float
    """Diameter in pixels; of an effusion, the height of the fluid."""
    contrast: float
    """How much it changes at its strongest, before noise: of an X-ray, the share of the full range of grey that
    it adds; of a smear, the share of green light that it takes away (of a blast: that its nucleus takes away over
    the nucleus of an ordinary white cell)."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture with all that is known of it."""

    pixels: npt.NDArray[Any]
    """``[size, size]`` uint8, or uint16 in 0..4095, of an X-ray; ``[size, size, 3]`` uint8 of a smear."""
    patient: int
    number: int
    """Counts the pictures of this patient from 0."""
    site: str
    sex: str
    findings: tuple[Finding, ...]

    def has(self, name: str) -> bool:
        """Whether the picture shows at least one finding of this name."""
        return any(finding.name == name for finding in self.findings)


@dataclass(frozen=True)
class Order:
    """What to draw; checked when it is made.

    Raises:
        UserError: A value that no picture can be drawn with.
    """

    kind: str
    """xray or smear."""
    size: int = 64
    """Height and width in pixels."""
    difficulty: float = 0.5
    """0: findings are obvious; 1: hardly anyone sees them. Changes nothing but the findings."""
    prevalence: float = 0.4
    """Share of patients with a finding. A patient who has one keeps it at every higher prevalence."""
    bits: int = 8
    """8, or 16 for an X-ray: a 12-bit detector's values in 16-bit pixels."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in FINDINGS:
            raise UserError(
                f"There is no picture type {self.kind!r}",
                code="synthetic.out-of-range",
                where="kind",
                fix="use xray or smear",
            )
        _check(SMALLEST <= self.size <= LARGEST, "size", self.size, f"use {SMALLEST} to {LARGEST} pixels")
        _check(0 <= self.difficulty <= 1, "difficulty", self.difficulty, "use 0 (obvious) to 1 (hardly visible)")
        _check(0 <= self.prevalence <= 1, "prevalence", self.prevalence, "use a share of the patients, 0 to 1")
        _check(self.seed >= 0, "seed", self.seed, "use 0 or more")
        _check(self.bits in (8, 16), "bits", self.bits, "use 8 or 16")
        if self.kind == "smear" and self.bits != 8:
            raise UserError(
                "A smear has 8 bits a colour",
                code="synthetic.out-of-range",
                where=f"bits={self.bits}",
                fix="use bits=8, or an xray",
            )

    def draw(self, *stream: int) -> np.random.Generator:
        """The random numbers of one purpose, untouched by how many others were drawn."""
        return np.random.default_rng([self.seed, list(FINDINGS).index(self.kind), *stream])

    def contrast(self, easy: float, hard: float) -> float:
        """Contrast at this difficulty: falls by equal factors, as seeing does, from ``easy`` to ``hard``."""
        return float(easy * (hard / easy) ** self.difficulty)


def _check(good: bool, name: str, value: object, fix: str) -> None:
    if not good:
        raise UserError(f"{name} cannot be {value}", code="synthetic.out-of-range", where=name, fix=fix)
