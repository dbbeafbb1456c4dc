"""Rungs of a ladder whose true values are known: what the checks of its statistics are run on.

All systems of one ladder, and all seeds of a system, are equally good, and differ by chance alone: each row has a
difficulty that all share, each system its own part, each seed its own. Sizes are those of real test sets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunebook.families.text_generation.metrics.overlap import bleu_of_sums
from tunebook.families.text_generation.metrics.perplexity import perplexity
from tunebook.statistics import confusion
from tunebook.statistics.outcomes import ConfusionOutcome, Outcome, sums_outcome
from tunebook.statistics.ranking import auroc, average_precision
from tunebook.statistics.ranking_outcome import RankingOutcome
from tunebook.statistics.ranking_scores import STATISTICS as RANKINGS
from tunebook.statistics.resampling import Units
from tunebook.statistics.sums import RowSums

STARS = np.array([0.07, 0.09, 0.14, 0.25, 0.45])
"""Shares of 1 to 5 stars, as in reviews of a shop."""
ANSWERS = np.array(
    [
        [0.58, 0.24, 0.10, 0.04, 0.04],
        [0.24, 0.40, 0.24, 0.08, 0.04],
        [0.06, 0.17, 0.42, 0.25, 0.10],
        [0.01, 0.03, 0.14, 0.50, 0.32],
        [0.01, 0.01, 0.04, 0.20, 0.74],
    ]
)
"""Answer (across) given the truth (down): right for three rows in five."""
PREVALENCE, SHIFT = 0.2, 1.6
"""Share of rows with the finding, and how far their scores lie above the others': AUROC 0.87."""
LOOK_ALIKE = (0.5, 0.25, 0.25)
"""Parts of a row's difficulty that all systems, all seeds of a system, and a seed alone have (variances)."""
LATENT = 200_000


@dataclass(frozen=True)
class Kind:
    """One kind of metric."""

    name: str
    n: int
    """Independent test rows (conversations for what is written)."""


CONFUSIONS = ("accuracy", "macro_f1", "quadratic_kappa", "mean_absolute_error")
KINDS = [
    *(Kind(name, 300) for name in CONFUSIONS),
    Kind("auroc", 300),
    Kind("average_precision", 300),
    Kind("perplexity", 200),
    Kind("bleu", 200),
    Kind("fact_recall", 200),
]


def difficulties(rng: np.random.Generator, n: int, systems: int, seeds: int, columns: int = 1) -> np.ndarray:
    """Draw standard normal difficulties `[systems, seeds, n, columns]`, alike as `LOOK_ALIKE` says."""
    shapes = ((1, 1), (systems, 1), (systems, seeds))
    parts = [np.sqrt(v) * rng.standard_normal((*s, n, columns)) for v, s in zip(LOOK_ALIKE, shapes, strict=True)]
    return parts[0] + parts[1] + parts[2]


def ladder(kind: Kind, rng: np.random.Generator, systems: int = 1, seeds: int = 3) -> list[list[Outcome]]:
    """Draw test rows and what equally good systems answered: outcomes of each system and seed."""
    if kind.name in CONFUSIONS:
        return _stars(kind, rng, systems, seeds)
    if kind.name in RANKINGS:
        target = (rng.random(kind.n) < PREVALENCE).astype(np.int64)
        scores = difficulties(rng, kind.n, systems, seeds)[..., 0] + SHIFT * target
        return [[_ranking(kind.name, target, run) for run in system] for system in scores]
    return [[sums_outcome(each) for each in system] for system in _written(kind, rng, systems, seeds)]


def _stars(kind: Kind, rng: np.random.Generator, systems: int, seeds: int) -> list[list[Outcome]]:
    target = rng.choice(5, size=kind.n, p=STARS)
    uniform = normal_share(difficulties(rng, kind.n, systems, seeds)[..., 0])
    answers = (uniform[..., None] > ANSWERS.cumsum(1)[target][:, :-1]).sum(-1)
    ones, statistic = np.ones(kind.n, dtype=np.int64), confusion.STATISTICS[kind.name]
    return [[ConfusionOutcome(Units(5, ones, (target * 5 + a)[None]), statistic) for a in s] for s in answers]


def _written(kind: Kind, rng: np.random.Generator, systems: int, seeds: int) -> list[list[RowSums]]:
    difficulty = difficulties(rng, kind.n, systems, seeds)[..., 0]
    if kind.name == "perplexity":
        tokens = rng.negative_binomial(2, 0.025, kind.n) + 5
        losses = tokens * (1.2 + 0.9 * np.exp(0.5 * difficulty - 0.125))
        return [[perplexity(each, tokens) for each in system] for system in losses]
    quality = normal_share(0.9 * difficulty + 0.3)
    if kind.name == "fact_recall":
        facts = rng.integers(0, 4, kind.n)
        stated = rng.binomial(facts, quality)
        return [
            [RowSums(kind.name, np.stack([each, facts], 1).astype(float), share=True) for each in system]
            for system in stated
        ]
    reference = rng.poisson(18, kind.n) + 5
    length = np.maximum(reference + rng.integers(-4, 4, difficulty.shape), 4)
    grams = np.stack([length - order for order in range(4)], -1)
    matches = rng.binomial(grams, 0.9 * quality[..., None] ** np.array([0.7, 1.2, 1.6, 2.0]))
    sums = np.concatenate([np.stack([length, np.broadcast_to(reference, length.shape)], -1), matches, grams], -1)
    return [[RowSums("bleu", each.astype(float), bleu_of_sums, most=100.0) for each in system] for system in sums]


def normal_share(values: np.ndarray) -> np.ndarray:
    """Share of a standard normal below each value: its distribution function, to seven digits (Abramowitz & Stegun)."""
    t = 1 / (1 + 0.2316419 * np.abs(values))
    powers = t[..., None] ** np.arange(1, 6)
    weights = np.array([0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429])
    tail = np.exp(-(values**2) / 2) / np.sqrt(2 * np.pi) * (powers @ weights)
    return np.asarray(np.where(values > 0, 1 - tail, tail))


def truth(kind: Kind) -> float:
    """The value on infinitely many rows: exact where the confusion matrix is known, else of two million rows."""
    if kind.name in CONFUSIONS:
        return float(confusion.STATISTICS[kind.name](STARS[:, None] * ANSWERS))
    rng = np.random.default_rng(987)
    many = Kind(kind.name, LATENT)
    if kind.name in RANKINGS:
        return ranking_truth(kind.name, PREVALENCE, SHIFT)
    drawn = [_written(many, rng, 1, 1)[0][0] for _ in range(10)]
    return float(drawn[0].formula(np.sum([each.sums.sum(0) for each in drawn], axis=0)))


def ranking_truth(name: str, prevalence: float, shift: float) -> float:
    """AUROC or average precision of two normal distributions, of two million rows."""
    rng, of_rows = np.random.default_rng(987), {"auroc": auroc, "average_precision": average_precision}[name]
    target = (rng.random(10 * LATENT) < prevalence).astype(np.int64)
    return float(of_rows(target, rng.standard_normal(len(target)) + shift * target))


def ranking_run(name: str, rng: np.random.Generator, n: int, prevalence: float, shift: float) -> RankingOutcome:
    """Draw one run; rows are drawn anew where not both classes occur."""
    target = np.zeros(n, dtype=np.int64)
    while not 0 < target.sum() < n:
        target = (rng.random(n) < prevalence).astype(np.int64)
    return _ranking(name, target, rng.standard_normal(n) + shift * target)


def two_rankings(
    name: str, rng: np.random.Generator, positives: int, n: int, shifts: tuple[float, float]
) -> list[RankingOutcome]:
    """Draw a run of each of two systems on the same rows; half of a row's score is common to both."""
    target = (np.arange(n) < positives).astype(np.int64)
    shared, own = rng.standard_normal(n), rng.standard_normal((2, n))
    noise = np.sqrt(0.5) * shared + np.sqrt(0.5) * own
    return [_ranking(name, target, noise[i] + shift * target) for i, shift in enumerate(shifts)]


def two_rights(rng: np.random.Generator, n: int, shares: tuple[float, float]) -> list[ConfusionOutcome]:
    """Draw a run of each of two systems on the same rows, right on these shares of all."""
    shared, own = rng.standard_normal(n), rng.standard_normal((2, n))
    places = normal_share(np.sqrt(0.5) * shared + np.sqrt(0.5) * own)
    return [right_or_wrong(place < share) for place, share in zip(places, shares, strict=True)]


def _ranking(name: str, target: np.ndarray, scores: np.ndarray) -> RankingOutcome:
    return RankingOutcome(target[:, None], scores[:, None], None, RANKINGS[name])


def right_or_wrong(right: np.ndarray) -> ConfusionOutcome:
    """Make a run of answers that are right or wrong, `[rows]`, scored by accuracy."""
    ones = np.ones(len(right), dtype=np.int64)
    return ConfusionOutcome(Units(2, ones, (2 + right.astype(np.int64))[None]), confusion.accuracy)


CURVES = (
    (0.90, 2.0, 0.5, 1000, 5, 1000),
    (0.90, 2.0, 0.5, 1000, 3, 500),
    (0.80, 1.5, 0.4, 2000, 5, 500),
    (0.95, 1.0, 0.25, 1000, 5, 500),
    (0.70, 3.0, 0.9, 500, 5, 300),
    (0.85, 2.0, 1.0, 1000, 3, 1000),
)
"""a, b, c, training rows, draws a step, test rows. In the last the asymptote lies below the next point."""
PARTS = (0.1, 0.25, 0.5, 1.0)
WOBBLE = 0.04
"""How far one draw of the smallest step is better or worse than another, on the scale of difficulties; less later."""


def learning_curve(
    rng: np.random.Generator, a: float, b: float, c: float, largest: int, draws: int, tested: int
) -> tuple[list[int], list[list[ConfusionOutcome]]]:
    """Draw test rows and what runs of growing training sets answer: right for a - b n^-c of all rows."""
    rows = [round(largest * part) for part in PARTS]
    shared = rng.standard_normal(tested)
    steps = []
    for size in rows:
        wobble = WOBBLE * (size / rows[0]) ** -0.35
        places = np.sqrt(0.6) * shared + np.sqrt(0.4) * rng.standard_normal((draws, tested))
        places = places + wobble * rng.standard_normal((draws, 1))
        right = normal_share(places / np.sqrt(1 + wobble**2)) < a - b * size**-c
        steps.append([right_or_wrong(run) for run in right])
    return rows, steps
