"""Where BLEU and ROUGE-L disagree most, and what each of them sees there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.overlap import ORDERS, bleu, bleu_of_sums, rouge
from tunebook.statistics.sums import RowSums

_BLEU = (
    "BLEU counts n-grams of one to four words exactly, with punctuation, and penalises an answer shorter than the "
    "reference"
)
_ROUGE = (
    "ROUGE-L counts the words in the same order as in the reference, whatever is between them, and ignores case and "
    "punctuation"
)


@dataclass(frozen=True)
class RowDisagreement:
    """The row that BLEU and ROUGE-L place furthest apart among all rows."""

    row: int
    of: int
    """Number of rows."""
    bleu: float
    """BLEU of this row alone (effective order), 0 to 100."""
    rouge_l: float
    """0 to 1."""
    bleu_place: float
    """1 is the best; rows of equal value share the mean of their places."""
    rouge_place: float
    length: int
    """Words and marks of the answer, as BLEU counts them."""
    reference_length: int
    """Those of the reference nearest in length."""
    matches: tuple[int, ...]
    """Runs of one, two, three and four that a reference has."""
    runs: tuple[int, ...]
    """Runs of one to four in the answer."""

    def explain(self) -> list[str]:
        """Say in a few sentences what each measure saw."""
        matches = f"{self.matches[0]} of its {self.runs[0]} words and marks"
        if self.runs[-1]:
            matches += f" and {self.matches[-1]} of its {self.runs[-1]} runs of four"
        short = ""
        if 0 < self.length < self.reference_length:
            penalty = np.exp(1 - self.reference_length / self.length)
            short = f" It is {self.length} long, the reference {self.reference_length}: brevity penalty {penalty:.2f}."
        return [
            f"Of {self.of} answers this one has rank {self.bleu_place:g} by BLEU ({self.bleu:.1f}), "
            f"rank {self.rouge_place:g} by ROUGE-L ({self.rouge_l:.3f}).",
            f"{_BLEU}: here {matches} are in a reference.{short}",
            f"{_ROUGE}.",
        ]


@dataclass(frozen=True)
class SystemDisagreement:
    """Two systems that BLEU and ROUGE-L put in opposite order."""

    by_bleu: str
    """The system that BLEU ranks first."""
    by_rouge: str
    """The system that ROUGE-L ranks first."""
    bleu: tuple[float, float]
    """BLEU of the two, 0 to 100, in this order."""
    rouge_l: tuple[float, float]
    """ROUGE-L of the two, 0 to 1, in this order."""
    length_ratio: tuple[float, float]
    """Words and marks of the two over those of the references, in this order."""

    def explain(self) -> list[str]:
        """Say in a few sentences what each measure saw."""
        return [
            f"BLEU ranks {self.by_bleu} above {self.by_rouge} ({self.bleu[0]:.1f} and {self.bleu[1]:.1f}), ROUGE-L the "
            f"reverse ({self.rouge_l[0]:.3f} and {self.rouge_l[1]:.3f}).",
            f"{_BLEU}: the answers of {self.by_bleu} are {self.length_ratio[0]:.2f} times as long as the references, "
            f"those of {self.by_rouge} {self.length_ratio[1]:.2f} times.",
            f"{_ROUGE}.",
        ]


def disagreeing_row(
    answers: GeneratedAnswers, lowercase: bool = False, tokenize: str = "13a"
) -> RowDisagreement | None:
    """Find the row whose places by BLEU and by ROUGE-L are furthest apart; of equal ones the first.

    None where the two place all rows alike, or one of them is undefined.
    """
    by_bleu, by_rouge = bleu(answers, lowercase, tokenize), rouge(answers)["rouge_l"]
    if by_bleu.reason or by_rouge.reason:
        return None
    values = bleu_of_sums(by_bleu.sums, effective_order=True), by_rouge.sums[:, 0]
    bleu_places, rouge_places = (_places(each) for each in values)
    row = int(np.abs(bleu_places - rouge_places).argmax())
    if bleu_places[row] == rouge_places[row]:
        return None
    counts = by_bleu.sums[row].astype(int).tolist()
    return RowDisagreement(
        row=row,
        of=len(answers),
        bleu=float(values[0][row]),
        rouge_l=float(values[1][row]),
        bleu_place=float(bleu_places[row]),
        rouge_place=float(rouge_places[row]),
        length=counts[0],
        reference_length=counts[1],
        matches=tuple(counts[2 : 2 + ORDERS]),
        runs=tuple(counts[2 + ORDERS :]),
    )


def _places(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Number values from the highest on, `[rows]`; equal ones (to rounding) share the mean of their places."""
    _, number, count = np.unique(np.round(-values, 9), return_inverse=True, return_counts=True)
    return np.asarray((count.cumsum() - (count - 1) / 2)[number.reshape(-1)])


def disagreeing_systems(
    systems: Mapping[str, GeneratedAnswers], lowercase: bool = False, tokenize: str = "13a"
) -> SystemDisagreement | None:
    """Find two systems that BLEU and ROUGE-L put in opposite order, both by as much as can be.

    How much is the smaller of the two gaps, each as a share of the measure's range. Neither gap need be more than
    chance: see `compare.paired_differences`. None where the two order all systems alike, or one is undefined.

    Args:
        systems: Name -> its answers, all to the same rows.
        lowercase: As for `overlap.bleu`.
        tokenize: As for `overlap.bleu`.
    """
    found = {name: (bleu(each, lowercase, tokenize), rouge(each)["rouge_l"]) for name, each in systems.items()}
    gaps = {pair: _gap(found[pair[0]], found[pair[1]]) for pair in combinations(found, 2)}
    pair = max(gaps, key=lambda pair: gaps[pair], default=None)
    if pair is None or not gaps[pair] > 0:
        return None
    first, second = sorted(pair, key=lambda name: -found[name][0].value())
    measured = found[first], found[second]
    lengths = [one.sums[:, :2].sum(0) for one, _ in measured]
    return SystemDisagreement(
        by_bleu=first,
        by_rouge=second,
        bleu=(measured[0][0].value(), measured[1][0].value()),
        rouge_l=(measured[0][1].value(), measured[1][1].value()),
        length_ratio=(float(lengths[0][0] / lengths[0][1]), float(lengths[1][0] / lengths[1][1])),
    )


def _gap(one: tuple[RowSums, RowSums], other: tuple[RowSums, RowSums]) -> float:
    """The smaller of the gaps by BLEU and by ROUGE-L, as shares of their ranges; 0 where they agree."""
    by_bleu, by_rouge = ((a.value() - b.value()) / (a.most or 1.0) for a, b in zip(one, other, strict=True))
    return min(abs(by_bleu), abs(by_rouge)) if by_bleu * by_rouge < 0 else 0.0
