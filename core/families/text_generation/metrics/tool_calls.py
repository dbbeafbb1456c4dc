"""How a model calls tools: when it should and when it should not, which ones, and with what arguments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunebook.families.text_generation.data.message import ToolCall
from tunebook.families.text_generation.data.tool_calls import read_calls, same_calls, same_names
from tunebook.statistics.sums import RowSums

TOOL_MEASURES = ("tool_called", "tool_name", "tool_arguments", "tool_needless")
"""Names of the measures."""


def tool_measures(
    references: Sequence[Sequence[ToolCall]], offered: Sequence[bool], outputs: Sequence[str]
) -> dict[str, RowSums]:
    """Compare the calls that a model writes with those of the references; each is a share of turns.

    Of the turns whose reference is a call: ``tool_called``, where the model calls too; ``tool_name``, where it calls
    the same functions; ``tool_arguments``, where their arguments are equal besides. Of the other turns in which tools
    are offered: ``tool_needless``, where it calls nevertheless. A call that cannot be read is a call of no function.

    Args:
        references: The calls of each turn, in the order of the answers; none where it is a text.
        offered: Whether there are tools in each.
        outputs: What the model wrote.
    """
    sums = {name: np.zeros((len(outputs), 2)) for name in TOOL_MEASURES}
    for row, (wanted, may, output) in enumerate(zip(references, offered, outputs, strict=True)):
        if not may:
            continue
        found = read_calls(output)
        if not wanted:
            sums["tool_needless"][row] = found.called, 1
            continue
        sums["tool_called"][row] = found.called, 1
        sums["tool_name"][row] = not found.broken and same_names(found.calls, wanted), 1
        sums["tool_arguments"][row] = not found.broken and same_calls(found.calls, wanted), 1
    return {
        name: RowSums(name, found, share=True, higher_is_better=name != "tool_needless") for name, found in sums.items()
    }
