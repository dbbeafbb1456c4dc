"""Which answers a report shows: a few at first, then the best and the worst, and where tuning changed most."""

from __future__ import annotations

import numpy as np

from tunebook.families.text_generation.metrics.dialogues import BASE, Systems, best_and_worst, helped_and_hurt
from tunebook.report.report import Dialogues, Section

SHOWN, EXTREMES, CHANGED = 2, 4, 2
"""Rows shown first of the best and of the worst; then as best and as worst, as helped and as hurt."""


def some_answers(systems: Systems) -> list[Section]:
    """Good, middling and bad answers beside the untuned ones and the references."""
    values, groups = systems.chrf(systems.first), systems.answers[systems.first].groups
    best, worst = best_and_worst(values, groups, SHOWN)
    order = np.argsort(-values, kind="stable")
    middle = [row for row in order[len(order) // 2 :].tolist() if row not in (*best, *worst)][:1]
    named = [*(("Among the best", row) for row in best), *(("In the middle", row) for row in middle)]
    named += [("Among the worst", row) for row in reversed(worst)]
    models = [model for model in (systems.first, BASE) if model in systems.answers]
    shown = [systems.dialogue(row, f"{word}: chrF {values[row]:.1f}", models=models) for word, row in named]
    note = (
        f"The {len(best)} best, the middle one and the {len(worst)} worst of {len(values)} answers by sentence-level "
        "chrF, which compares letters with the reference and not meaning. More are below, under Best and Worst answers."
    )
    return [Dialogues("Answers", shown, note)] if shown else []


def extremes(systems: Systems) -> list[Section]:
    """The best and the worst answers."""
    tuned, values = systems.answers[systems.first], systems.chrf(systems.first)
    note = (
        "By sentence-level chrF (0 to 100): it counts character n-grams, works for any script and is stable on short "
        "answers, where BLEU is not. It does not measure meaning either; read the answers before you judge."
    )
    if any(tuned.facts or []):
        note += " Required facts are counted too."
    if tuned.groups is not None:
        note += " No two of these answers are of one group (conversation, brief)."
    best, worst = (
        [systems.dialogue(row, f"chrF {values[row]:.1f}") for row in rows]
        for rows in best_and_worst(values, tuned.groups, EXTREMES)
    )
    named = (("Best answers", best, note), ("Worst answers", worst, "By sentence-level chrF, as above."))
    return [Dialogues(title, dialogues, caption) for title, dialogues, caption in named if dialogues]


def helped(systems: Systems) -> list[Section]:
    """The answers that tuning changed most, for the better and for the worse."""
    if BASE not in systems.answers:
        return []
    before, after = systems.chrf(BASE), systems.chrf(systems.first)
    sides = helped_and_hurt(after - before, systems.answers[systems.first].groups, CHANGED)
    shown = [
        systems.dialogue(row, f"{word}: chrF {before[row]:.1f} to {after[row]:.1f}")
        for word, rows in zip(("Helped", "Hurt"), sides, strict=True)
        for row in rows
    ]
    note = "Selected by their difference in chrF, so they overstate it: the tables above cover all rows."
    if shown and not sides[1]:
        note += " No answer lost chrF."
    return [Dialogues("Where tuning helped and hurt most", shown, note)] if shown else []
