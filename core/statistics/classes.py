"""How well one class of several is told from the others."""

from __future__ import annotations

from tunebook.statistics.confusion import Counts, Floats, Statistic, f1


def class_f1(label: int) -> Statistic:
    """F1 of one label, as a statistic of confusion matrices."""

    def of_label(confusion: Counts) -> Floats:
        found: Floats = f1(confusion)[..., label]
        return found

    return of_label
