"""Names in tags by seqeval's definition, what sentences add to their F1, and the head that a tagger learns with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tunebook import SoftmaxHead
from tunebook.data.batch import IGNORE_INDEX, Batch
from tunebook.statistics.sums import RowSums, ratio

Tags = Sequence[str]


def spans(tags: Tags) -> set[tuple[str, int, int]]:
    """Kind, first word and the word after the last; a name also begins with an I- that continues no other."""
    found, kind, start = set(), "", 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, of = tag.partition("-")
        if kind and not (prefix == "I" and of == kind):
            found.add((kind, start, place))
            kind = ""
        if prefix != "O" and not kind:
            kind, start = of, place
    return found


def counts(truth: Sequence[Tags], answers: Sequence[Tags], kind: str | None = None) -> NDArray[Any]:
    """Names found rightly, names found and names there are, of each sentence, ``[rows, 3]``; of one kind or all."""
    rows = []
    for pair in zip(truth, answers, strict=True):
        true, found = ({span for span in spans(tags) if kind in (None, span[0])} for tags in pair)
        rows.append((len(true & found), len(found), len(true)))
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def f1(sums: NDArray[Any]) -> NDArray[Any]:
    """The harmonic mean of precision and recall of added-up counts, ``[..., 3]`` -> ``[...]``."""
    return ratio(np.stack([2 * sums[..., 0], sums[..., 1] + sums[..., 2]], axis=-1))


def measures(truth: Sequence[Tags], answers: Sequence[Tags], kind: str | None = None) -> dict[str, RowSums]:
    """What is measured, by name: of all names, or of one kind."""
    found, prefix = counts(truth, answers, kind), "" if kind else "span_"
    measured = [
        RowSums(f"{prefix}f1", found, f1, most=1.0),
        RowSums(f"{prefix}precision", found[:, :2], most=1.0),
        RowSums(f"{prefix}recall", found[:, [0, 2]], most=1.0),
    ]
    return {each.name: each for each in measured}


class TagHead(SoftmaxHead):
    """Cross-entropy of the tag at the first piece of each word."""

    kind: ClassVar[str] = "tags"

    def __init__(self, tags: Sequence[str]) -> None:
        super().__init__(len(tags))
        self.tags = tags

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """The sum over the words of each row, ``[batch]``, of logits ``[batch, tokens, tags]``."""
        return F.cross_entropy(logits.float().mT, target, ignore_index=IGNORE_INDEX, reduction="none").sum(dim=1)

    def units(self, batch: Batch) -> Tensor:
        """Words of each row, ``[batch]``."""
        target: Tensor = batch["target"]
        return (target != IGNORE_INDEX).sum(dim=1)

    def counts(self, answers: Tensor, target: Tensor) -> NDArray[Any]:
        """As `counts`, of numbers of tags ``[batch, tokens]``."""
        labelled = target != IGNORE_INDEX
        sides = [[row[k].tolist() for row, k in zip(side, labelled, strict=True)] for side in (target, answers)]
        truth, found = ([[self.tags[i] for i in row] for row in side] for side in sides)
        return counts(truth, found)
