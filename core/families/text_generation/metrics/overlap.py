"""How much of the references an answer has: BLEU and chrF by sacreBLEU, ROUGE."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.rouge import best_rouge
from tunebook.families.text_generation.metrics.scripts import mostly_not_latin, mostly_unspaced
from tunebook.statistics.sums import RowSums

ORDERS = 4


def bleu(answers: GeneratedAnswers, lowercase: bool = False, tokenize: str = "13a") -> RowSums:
    """Corpus BLEU from 0 to 100 as sacreBLEU has it (Papineni et al., 2002; Post, 2018), best of all references.

    The sums are the lengths of output and nearest reference, and the n-grams of orders 1 to 4 that match and
    that there are. Undefined under the tokenizer `13a` where most letters are of scripts written without spaces:
    a sentence would be one word.

    Args:
        answers: Of one model.
        lowercase: Read everything in lower case. The number is not comparable with that of another setting.
        tokenize: A tokenizer of sacreBLEU: `13a`, `intl`, `zh`, `char` ...
    """
    metric = BLEU(lowercase=lowercase, tokenize=tokenize, force=True)
    reason = None
    if tokenize in ("13a", "intl") and mostly_unspaced(_all_references(answers)):
        reason = f"the tokenizer {tokenize} splits words at spaces, and these texts have none: use chrF"
    return _by_sacrebleu("bleu", metric, answers, 2 + 2 * ORDERS, bleu_of_sums, reason)


def chrf(answers: GeneratedAnswers, lowercase: bool = False) -> RowSums:
    """ChrF2 from 0 to 100 as sacreBLEU has it (Popovic, 2015): runs of 1 to 6 characters, for any script.

    The sums are, for each order, the runs of the output, of the best reference, and those that match.
    """
    metric = CHRF(lowercase=lowercase)
    return _by_sacrebleu("chrf", metric, answers, 3 * CHRF.CHAR_ORDER, chrf_of_sums, None)


def _by_sacrebleu(
    name: str, metric: Any, answers: GeneratedAnswers, columns: int, formula: Any, reason: str | None
) -> RowSums:
    if not len(answers):
        return RowSums(name, np.zeros((0, columns)), formula, most=100.0, reason="there are no rows")
    streams = list(zip_longest(*answers.references))  # None stands for a reference that a row has not
    sums = np.array(metric._extract_corpus_statistics(answers.outputs, streams), dtype=np.float64)
    signature = str(metric.get_signature())
    return RowSums(name, sums, formula, most=100.0, signature=signature, reason=reason)


def bleu_of_sums(sums: NDArray[np.float64], effective_order: bool = False) -> NDArray[np.float64]:
    """BLEU from sums `[..., 10]`, with sacreBLEU's exponential smoothing (method 3 of Chen & Cherry, 2014).

    An order that has n-grams but no match counts 1/2, 1/4, ... of a match. Without n-grams of order 4 (outputs of
    three words) BLEU is 0, be they right or not, unless `effective_order` leaves such orders out, which is for
    single rows alone.
    """
    length, reference = sums[..., 0], sums[..., 1]
    matches, grams = sums[..., 2 : 2 + ORDERS], sums[..., 2 + ORDERS :]
    known = np.logical_and.accumulate(grams > 0, axis=-1)
    missed = known & (matches == 0)
    credited = np.where(missed, 0.5 ** missed.cumsum(-1), matches)
    logs = np.log(np.where(known, credited / np.maximum(grams, 1), 1.0))
    orders = np.maximum(known.sum(-1), 1) if effective_order else ORDERS
    shortfall = np.minimum(0.0, 1 - reference / np.maximum(length, 1))
    value = 100 * np.exp(shortfall + logs.sum(-1) / orders)
    scored = (matches.sum(-1) > 0) & (known.all(-1) | effective_order)
    return np.asarray(np.where(scored, value, 0.0))


def chrf_of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """ChrF2 from sums `[..., 18]`: precision and recall, each averaged over the orders that occur, then F2."""
    output, reference, match = (sums[..., place::3] for place in range(3))
    known = (output > 0) & (reference > 0)
    orders = np.maximum(known.sum(-1), 1)
    precision = np.where(known, match / np.maximum(output, 1), 0.0).sum(-1) / orders
    recall = np.where(known, match / np.maximum(reference, 1), 0.0).sum(-1) / orders
    factor = CHRF.BETA**2
    below = factor * precision + recall
    value = 100 * (1 + factor) * precision * recall / np.where(below > 0, below, 1.0)
    return np.asarray(value)


def rouge(answers: GeneratedAnswers) -> dict[str, RowSums]:
    """ROUGE-1, ROUGE-2 and ROUGE-L from 0 to 1 (Lin, 2004): the mean F1 of rows, each with its best reference.

    ROUGE reads a to z and 0 to 9 alone. Where most letters of the references are others (Japanese, Russian ...)
    it would be 0 whatever the answer, and is undefined.
    """
    reason = "there are no rows" if not len(answers) else None
    if mostly_not_latin(_all_references(answers)):
        reason = "ROUGE counts only the letters a to z and digits, and most letters here are others: use chrF"
    rows = [best_rouge(output, refs) for output, refs in zip(answers.outputs, answers.references, strict=True)]
    values = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return {
        name: RowSums(
            name,
            np.stack([values[:, i], np.ones(len(values))], axis=1),
            most=1.0,
            signature="no stemmer",
            reason=reason,
        )
        for i, name in enumerate(("rouge_1", "rouge_2", "rouge_l"))
    }


def _all_references(answers: GeneratedAnswers) -> list[str]:
    return [reference for references in answers.references for reference in references]
