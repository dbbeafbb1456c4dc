"""How different the candidates for one brief are from each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from tunebook.families.text_generation.metrics.distinct import ngrams_of
from tunebook.families.text_generation.metrics.scripts import mostly_unspaced, words
from tunebook.statistics.sums import RowSums

Candidates = Sequence[Sequence[str]]
"""The copies written for each row's brief, `[rows][candidates]`."""

_ALONE = "no brief has two candidates"


def self_bleu(candidates: Candidates, lowercase: bool = False, tokenize: str = "13a") -> RowSums:
    """Mean BLEU of each candidate with the others of its brief as references, 0 to 100: high is alike.

    Zhu et al. (2018, Texygen) take all of a model's texts at once; here only those for one brief are compared,
    which ought to differ although they say the same. BLEU of sentences, by sacreBLEU with its exponential smoothing
    and effective order. It rises with the number of candidates: compare models with equally many. Rows with one
    candidate do not count.
    """
    metric = BLEU(lowercase=lowercase, tokenize=tokenize, effective_order=True)
    rows = [_self_bleu(metric, row) for row in candidates]
    texts = [text for row in candidates for text in row]
    reason = _ALONE if not any(count for _, count in rows) else None
    if tokenize in ("13a", "intl") and mostly_unspaced(texts):
        reason = f"the tokenizer {tokenize} splits words at spaces, and these texts have none"
    sums = np.array(rows, dtype=np.float64).reshape(-1, 2)
    signature = str(metric.get_signature()) if sums[:, 1].any() else ""
    return RowSums("self_bleu", sums, most=100.0, higher_is_better=False, signature=signature, reason=reason)


def _self_bleu(metric: BLEU, texts: Sequence[str]) -> tuple[float, int]:
    if len(texts) < 2:
        return 0.0, 0
    others = [[*texts[:place], *texts[place + 1 :]] for place in range(len(texts))]
    each = [metric.sentence_score(text, rest).score for text, rest in zip(texts, others, strict=True)]
    return float(np.mean(each)), 1


def candidate_distinct(candidates: Candidates, order: int) -> RowSums:
    """Share of the n-grams of a brief's candidates that are different ones, over all briefs (Li et al., 2016).

    An n-gram that comes again for another brief counts as different: this is about choice, and `distinct` of one
    copy a brief about sameness between briefs. Rows with one candidate do not count.
    """
    rows = []
    for texts in candidates:
        found = [gram for text in texts for gram in ngrams_of(words(text), order)] if len(texts) > 1 else []
        rows.append((len(set(found)), len(found)))
    sums = np.array(rows, dtype=np.float64).reshape(-1, 2)
    reason = None if sums[:, 1:].any() else "no brief has two candidates that are long enough"
    return RowSums(f"candidate_distinct_{order}", sums, most=1.0, reason=reason)
