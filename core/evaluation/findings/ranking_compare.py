"""Whether one model ranks the rows of findings better than another, or the rows cannot tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunebook.evaluation.compare import Difference, judged
from tunebook.evaluation.draws import group_numbers, row_draws
from tunebook.evaluation.findings.predictions import FindingPredictions
from tunebook.evaluation.findings.ranking import Ranking, auroc_of_counts, midranks, ranked
from tunebook.evaluation.findings.ranking_scores import absent_class, mean_of_known, mean_ranking_scores
from tunebook.evaluation.intervals import Interval, percentile
from tunebook.evaluation.resampling import CELLS_AT_ONCE


def paired_ranking_difference(
    a: FindingPredictions,
    b: FindingPredictions,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Compare the mean AUROC of two models on the same rows.

    The interval comes from resampling rows, or whole patients, with both models' scores kept together. A
    difference must also pass a randomisation test: the ranks of a row (or of all rows of a patient) swapped
    between the models at random (Bandos, Rockette & Gur, 2005). Ranks, because one model's probabilities
    need not be on the other's scale.

    Raises:
        ValueError: The two are not about the same rows and findings.
    """
    same_groups = np.array_equal(a.groups, b.groups) if a.groups is not None and b.groups is not None else True
    if a.findings != b.findings or not np.array_equal(a.target, b.target) or not same_groups:
        raise ValueError("a paired comparison needs the same rows and findings on both sides")
    value, low, high, p_value = (float("nan"),) * 4
    defined = [i for i, name in enumerate(a.findings) if absent_class(a.target[:, i], name) is None]
    if defined:
        once = np.ones((1, len(a)), dtype=np.int64)
        pairs = [
            (ranked(a.target[:, i], a.probabilities[:, i]), ranked(b.target[:, i], b.probabilities[:, i]))
            for i in defined
        ]
        value = float(_mean_difference(pairs, once)[0])
        draws = row_draws(len(a), a.groups, resamples, seed)
        drawn = [_mean_difference(pairs, weights) for weights in draws]
        if drawn:
            low, high = percentile(np.concatenate(drawn), confidence)
            if low == high and value:
                low, high = _closed(a, b, value, confidence)
            p_value = _swap_test(a, b, defined, value, resamples, seed)
    method = "paired bootstrap" if a.groups is None else "paired group bootstrap"
    return judged(value, low, high, len(a), p_value, confidence, method)


def _closed(a: FindingPredictions, b: FindingPredictions, value: float, confidence: float) -> Interval:
    """The interval where every resample is alike, as of a perfect ranking on few rows: it must not be empty.

    From the intervals of both means, as if they were independent (Zou & Donner, 2008), which is rather too wide.
    """
    one, other = (mean_ranking_scores(each, confidence, resamples=2)[0] for each in (a, b))
    below = np.hypot(one.value - one.low, other.high - other.value)
    above = np.hypot(one.high - one.value, other.value - other.low)
    return float(max(-1.0, value - below)), float(min(1.0, value + above))


def _mean_difference(pairs: list[tuple[Ranking, Ranking]], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    areas = [[auroc_of_counts(ranking.counts(weights)) for ranking in pair] for pair in pairs]
    return mean_of_known(np.stack([one - other for one, other in areas], axis=1))


def _swap_test(
    a: FindingPredictions, b: FindingPredictions, columns: list[int], value: float, resamples: int, seed: int
) -> float:
    """Share of random swaps that make a difference at least as large as the observed one."""
    random = np.random.default_rng([seed, 1])
    numbers = np.arange(len(a)) if a.groups is None else group_numbers(a.groups)
    both = [
        ranked(np.tile(a.target[:, i], 2), np.append(midranks(a.probabilities[:, i]), midranks(b.probabilities[:, i])))
        for i in columns
    ]
    step, larger = max(1, CELLS_AT_ONCE // (2 * len(a))), 0
    for start in range(0, resamples, step):
        coins = random.integers(0, 2, size=(min(step, resamples - start), int(numbers.max()) + 1))[:, numbers]
        first = np.concatenate([1 - coins, coins], axis=1)
        pairs = [_first_minus_second(ranking, first) for ranking in both]
        larger += int((np.abs(np.mean(pairs, axis=0)) >= abs(value) - 1e-12).sum())
    return (larger + 1) / (resamples + 1)


def _first_minus_second(ranking: Ranking, first: NDArray[np.int64]) -> NDArray[np.float64]:
    """Area of the half of the rows marked `[resamples, 2 rows]` minus that of the other half."""
    true, false = ranking.counts(first)
    whole_true, whole_false = ranking.counts(np.ones(first.shape[1], dtype=np.int64))
    return auroc_of_counts((true, false)) - auroc_of_counts((whole_true - true, whole_false - false))
