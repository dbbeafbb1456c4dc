"""Whether answers stay with their context: numbers and names that stand neither in it nor in the conversation."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from tunebook.families.text_generation.metrics.facts import visible
from tunebook.families.text_generation.metrics.names import invented_names
from tunebook.families.text_generation.metrics.quantities import invented_numbers
from tunebook.statistics.sums import RowSums

GROUNDING_MEASURES = ("grounded_share", "unsupported_numbers_share", "unsupported_names_share")
"""Names of the measures."""


def grounding_measures(
    sources: Sequence[str | None], outputs: Sequence[str], ordinary: Collection[str] = frozenset()
) -> dict[str, RowSums]:
    """Take the measures of answers with a context, each a share of them; nothing where none has one.

    - `grounded_share`: answers without a number or name that the context and the conversation lack. An empty answer
      is grounded: it claims nothing.
    - `unsupported_numbers_share`: answers with such a number.
    - `unsupported_names_share`: those with such a name, of the answers whose names could be looked for.

    Args:
        sources: All that each answer may draw on; None of one that has no context.
        outputs: What the model wrote.
        ordinary: Words that are no names even with a capital.
    """
    if all(source is None for source in sources):
        return {}
    sums = {name: np.zeros((len(outputs), 2)) for name in GROUNDING_MEASURES}
    for row, (source, output) in enumerate(zip(sources, outputs, strict=True)):
        if source is None:
            continue
        seen, given = visible(output), visible(source)
        numbers, names = invented_numbers(seen, given), invented_names(seen, given, ordinary)
        sums["grounded_share"][row] = not numbers and not names.invented, 1
        sums["unsupported_numbers_share"][row] = bool(numbers), 1
        if names.unchecked is None or names.invented:
            sums["unsupported_names_share"][row] = bool(names.invented), 1
    return {
        name: RowSums(name, found, share=True, higher_is_better=name == "grounded_share")
        for name, found in sums.items()
    }
