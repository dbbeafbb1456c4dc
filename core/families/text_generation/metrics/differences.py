"""Whether one model writes better answers than another to the same rows, or the rows cannot show it."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.distinct import DistinctNgrams, jackknife_error
from tunebook.families.text_generation.metrics.measures import measures
from tunebook.statistics.difference import Difference
from tunebook.statistics.differences import judged
from tunebook.statistics.paired import ROUNDING, random_swaps
from tunebook.statistics.sums import RowSums
from tunebook.statistics.sums_difference import sums_difference


def paired_differences(
    a: GeneratedAnswers,
    b: GeneratedAnswers,
    *,
    lowercase: bool = False,
    tokenize: str = "13a",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare two models on the same rows by every measure: that of `a` minus that of `b`.

    The interval comes from resampling rows, or whole groups, with both answers to each kept together (Koehn, 2004);
    that of `distinct_n` from leaving out one after the other. A difference must also pass a randomisation test
    (Noreen, 1989; Riezler & Maxwell, 2005): the answers to a row, or to all rows of a group, swapped between the
    models at random.

    Raises:
        ValueError: The two are not about the same rows.
    """
    if not a.same_rows(b):
        raise ValueError("a paired comparison needs the same rows on both sides")
    first, second = measures(a, lowercase, tokenize), measures(b, lowercase, tokenize)
    table = {}
    for name, one in first.items():
        other = second[name]
        if isinstance(one, DistinctNgrams) and isinstance(other, DistinctNgrams):
            table[name] = _distinct_difference(one, other, a.groups is not None, confidence, resamples, seed)
        elif isinstance(one, RowSums) and isinstance(other, RowSums):
            table[name] = sums_difference(one, other, a.groups, confidence=confidence, resamples=resamples, seed=seed)
    return table


def _distinct_difference(
    one: DistinctNgrams, other: DistinctNgrams, grouped: bool, confidence: float, resamples: int, seed: int
) -> Difference:
    value = one.value() - other.value()
    error = jackknife_error(one.without_each() - other.without_each())
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * error
    p_value, size = float("nan"), len(one.totals)
    if not np.isnan(value + error):
        both = _side_by_side(one, other)
        swapped = []
        for swaps in random_swaps(size, resamples, seed, cells=len(both.ngrams)):
            taken = np.concatenate([swaps == 0, swaps == 1], axis=1)
            swapped.append(both.share(taken) - both.share(~taken))
        p_value = _share_as_large(np.concatenate(swapped), value)
    method = "paired group jackknife" if grouped else "paired jackknife"
    n = max(one.rows, other.rows)
    return judged(value, value - reach, value + reach, n, p_value, confidence, method)


def _side_by_side(one: DistinctNgrams, other: DistinctNgrams) -> DistinctNgrams:
    """Number the n-grams of two models alike; the units of the other follow those of the one."""
    numbers = {gram: number for number, gram in enumerate(dict.fromkeys([*one.names, *other.names]))}
    pairs = np.concatenate(
        [
            np.stack(
                [np.array([numbers[gram] for gram in model.names], dtype=np.int64)[model.ngrams], model.units + shift]
            )
            for model, shift in ((one, 0), (other, len(one.totals)))
        ],
        axis=1,
    )
    pairs = pairs[:, np.argsort(pairs[0], kind="stable")]
    totals = np.concatenate([one.totals, other.totals])
    return DistinctNgrams(one.name, one.rows, list(numbers), pairs[0], pairs[1], totals)


def _share_as_large(swapped: NDArray[np.float64], value: float) -> float:
    """Share of random swaps that make a difference at least as large as the observed one."""
    return (int((np.abs(swapped) >= abs(value) - ROUNDING).sum()) + 1) / (len(swapped) + 1)
