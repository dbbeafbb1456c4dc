"""What the brief makes checkable without a judge, and what any model must beat."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tunebook.data.rows import Rows
from tunebook.families.brief_to_text.checks import CopyChecker
from tunebook.families.brief_to_text.data.brief import Brief, flat_text
from tunebook.families.brief_to_text.metrics.baseline import fill_template
from tunebook.families.brief_to_text.metrics.measures import brief_measures, field_coverage, parsable
from tunebook.families.brief_to_text.metrics.variety import candidate_distinct, self_bleu
from tunebook.families.brief_to_text.metrics.verbatim import TrainingCopies
from tunebook.families.brief_to_text.options import BriefOptions
from tunebook.families.brief_to_text.rows import briefs_of
from tunebook.families.text_generation.completion import Completion
from tunebook.families.text_generation.metrics.nearest import NearestCopy
from tunebook.statistics.sums import RowSums


def copy_measures(
    checker: CopyChecker,
    briefs: Sequence[Brief],
    completions: Sequence[Sequence[Completion]],
    train: Rows | None,
    options: BriefOptions,
) -> dict[str, RowSums]:
    """Measures of the first candidate of each brief, and of how different the candidates are.

    Args:
        checker: Finds what a copy breaks and invents.
        briefs: The briefs of the rows.
        completions: What was written for each, the best first.
        train: Training rows, to find what was copied from them; None where they are not at hand.
        options: Say how texts are compared.
    """
    texts = [[checker.said(completion.text) for completion in several] for several in completions]
    first = [each[0] for each in texts]
    found = brief_measures([checker.check(brief, each[0]) for brief, each in zip(briefs, completions, strict=True)])
    found["field_coverage"] = field_coverage(first, [dict(brief.fields) for brief in briefs])
    if train is not None:
        copies = TrainingCopies(checker.said(copy) for texts in train.texts("copy") for copy in json.loads(texts))
        found |= {sums.name: sums for sums in (copies.share(first), copies.whole(first))}
    if checker.structure is not None:
        found["parsable"] = parsable([each[0].text for each in completions], checker.structure.holds)
    if any(len(each) > 1 for each in texts):
        variety = [self_bleu(texts, options.lowercase, options.bleu_tokenizer), candidate_distinct(texts, 2)]
        found |= {sums.name: sums for sums in variety}
    return {name: sums for name, sums in found.items() if sums.reason is None}


def plain_baselines(briefs: Sequence[Brief], train: Rows | None) -> dict[str, list[str]]:
    """Copy that needs no model: the brief read out, and that of the nearest training brief."""
    made = {"template": [fill_template(dict(brief.fields)) for brief in briefs]}
    if train is not None:
        sources, copies = [flat_text(brief) for brief in briefs_of(train)], train.texts("copy")
        nearest = NearestCopy(sources, [json.loads(each)[0] for each in copies])
        made["nearest training brief"] = nearest.write([flat_text(brief) for brief in briefs])
    return made
