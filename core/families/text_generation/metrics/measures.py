"""Every measure of written answers, each with its interval."""

from __future__ import annotations

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.distinct import DistinctNgrams, distinct, score_distinct
from tunebook.families.text_generation.metrics.overlap import bleu, chrf, rouge
from tunebook.families.text_generation.metrics.plain import empty, exact_match, fact_recall, length_ratio, repetition
from tunebook.statistics.intervals import Score
from tunebook.statistics.sums import RowSums, score


def measures(
    answers: GeneratedAnswers, lowercase: bool = False, tokenize: str = "13a"
) -> dict[str, RowSums | DistinctNgrams]:
    """Take every measure: name -> what its value and its resamples are made of.

    `fact_recall` is left out where no row has required facts. BLEU and chrF go from 0 to 100 and are sensitive to
    case unless `lowercase`; ROUGE and the shares go from 0 to 1.
    """
    facts = [fact_recall(answers)] if any(answers.facts or []) else []
    overlaps = [bleu(answers, lowercase, tokenize), chrf(answers, lowercase), *rouge(answers).values()]
    plain = [exact_match(answers), empty(answers), length_ratio(answers), repetition(answers)]
    different = [distinct(answers.outputs, order, answers.groups) for order in (1, 2)]
    found: list[RowSums | DistinctNgrams] = [*overlaps, *facts, *plain, *different]
    return {measure.name: measure for measure in found}


def score_answers(
    answers: GeneratedAnswers,
    *,
    lowercase: bool = False,
    tokenize: str = "13a",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> list[Score]:
    """Score written answers by every measure, in the order of `measures`.

    Rows are resampled, or whole groups (conversations, briefs) where there are any; what is undefined on these
    texts is nan, with the reason.
    """
    return [
        score_distinct(measure, answers.groups is not None, confidence)
        if isinstance(measure, DistinctNgrams)
        else score(measure, answers.groups, confidence=confidence, resamples=resamples, seed=seed)
        for measure in measures(answers, lowercase, tokenize).values()
    ]


def signatures(answers: GeneratedAnswers, lowercase: bool = False, tokenize: str = "13a") -> dict[str, str]:
    """Give the settings that others need to get the same BLEU and chrF: name -> sacreBLEU's signature."""
    found = (bleu(answers, lowercase, tokenize), chrf(answers, lowercase))
    return {measure.name: measure.signature for measure in found}
