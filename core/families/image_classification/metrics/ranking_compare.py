"""Whether one model ranks the rows of findings better than another, or the rows cannot show it."""

from __future__ import annotations

import numpy as np

from tunebook.statistics.difference import Difference
from tunebook.statistics.differences import judged
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import Interval, percentile
from tunebook.statistics.paired import observed, resampled, swap_test
from tunebook.statistics.ranking_outcome import ranking_outcome
from tunebook.statistics.ranking_scores import absent_class, mean_ranking_scores


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
    if any(absent_class(a.target[:, i], name) is None for i, name in enumerate(a.findings)):
        one, other = [ranking_outcome(a)], [ranking_outcome(b)]
        value = observed(one) - observed(other)
        mine, theirs = resampled([one, other], resamples, seed)
        if len(mine):
            low, high = percentile(mine - theirs, confidence)
            if low == high and value:
                low, high = _closed(a, b, value, confidence)
            p_value = swap_test(one, other, value, resamples, seed)
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
