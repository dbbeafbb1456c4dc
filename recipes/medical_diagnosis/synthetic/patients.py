"""Who the patients are. Site, sex and number of pictures are drawn apart from the findings: they predict nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from .picture import FINDINGS, Order

SITES = ("A", "B", "C")
MOST_PICTURES = 4


class Stream(IntEnum):
    """One stream of random numbers for each purpose, so that no draw shifts another.

    What is drawn of the body never depends on whether there is a finding: at prevalence 0 every patient is
    there as a healthy twin, to the last pixel outside of the finding.
    """

    person = 0
    state = 1
    anatomy = 2
    finding = 3
    pose = 4
    noise = 5
    split = 6


@dataclass(frozen=True)
class Patient:
    """What all pictures of a patient share, apart from the anatomy."""

    number: int
    site: str
    sex: str
    pictures: int
    findings: tuple[str, ...]


def patient(order: Order, number: int) -> Patient:
    """The patient of this number, whoever else is drawn."""
    person = order.draw(Stream.person, number)
    site = SITES[person.choice(len(SITES), p=[0.4, 0.35, 0.25])]
    sex = "FM"[person.integers(2)]
    pictures = int(person.integers(1, MOST_PICTURES + 1))
    state = order.draw(Stream.state, number)
    ill, names = state.random() < order.prevalence, FINDINGS[order.kind]
    first = state.integers(len(names))
    further = state.random(len(names)) < 0.15
    findings = tuple(name for i, name in enumerate(names) if ill and (i == first or further[i]))
    return Patient(number, site, sex, pictures, findings)
