"""Plain counts of answers: required facts, length, repetition, emptiness, exact matches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.distinct import ngrams_of
from tunebook.families.text_generation.metrics.facts import stated
from tunebook.families.text_generation.metrics.scripts import words
from tunebook.statistics.sums import RowSums

REPEATED = 4


def fact_recall(answers: GeneratedAnswers) -> RowSums:
    """Share of the required facts that the answers state; see `facts.states` for what counts as stated."""
    facts = answers.facts or [[] for _ in answers.outputs]
    rows = [(stated(output, wanted), len(wanted)) for output, wanted in zip(answers.outputs, facts, strict=True)]
    return RowSums("fact_recall", _sums(rows), share=True, reason=None if any(facts) else "no row has required facts")


def exact_match(answers: GeneratedAnswers) -> RowSums:
    """Share of the answers that are one of their references, white space at the ends aside."""
    pairs = zip(answers.outputs, answers.references, strict=True)
    rows = [(output.strip() in {reference.strip() for reference in refs}, 1) for output, refs in pairs]
    return RowSums("exact_match", _sums(rows), share=True)


def empty(answers: GeneratedAnswers) -> RowSums:
    """Share of the answers that have nothing but white space."""
    rows = [(not output.strip(), 1) for output in answers.outputs]
    return RowSums("empty", _sums(rows), share=True, higher_is_better=False)


def length_ratio(answers: GeneratedAnswers) -> RowSums:
    """Words of the answers over words of the references, of several their mean: best at 1, not as high as can be."""
    rows = [
        (len(words(output)), float(np.mean([len(words(reference)) for reference in refs])))
        for output, refs in zip(answers.outputs, answers.references, strict=True)
    ]
    return RowSums("length_ratio", _sums(rows))


def repetition(answers: GeneratedAnswers) -> RowSums:
    """Share of the runs of four words that already stood in the same answer (Welleck et al., 2020)."""
    runs = [ngrams_of(words(output), REPEATED) for output in answers.outputs]
    rows = [(len(found) - len(set(found)), len(found)) for found in runs]
    reason = None if any(runs) else f"no answer has {REPEATED} words"
    return RowSums("repetition", _sums(rows), most=1.0, higher_is_better=False, reason=reason)


def _sums(rows: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(-1, 2)
