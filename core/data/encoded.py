"""The rows of a run as the model takes them: what a family makes of checked rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunebook.data.augmentations import Augmentations
from tunebook.data.batch import Batch
from tunebook.data.module import Examples
from tunebook.data.rows import Rows


@dataclass(frozen=True)
class Encoded:
    """The rows of a run as the model takes them.

    Attributes:
        splits: Examples by split name.
        rows: The rows they were made of, in the same order.
        collate: Makes a batch of a list of examples.
        tokenizer: The model's tokenizer, or whatever else turns rows into inputs.
        max_length: Longest text in tokens.
        facts: What was counted on the way, to be shown.
        identity: By split, what shapes its examples; equal texts mean equal examples.
        augmentations: What changes training batches of texts; None: nothing does.
    """

    splits: Mapping[str, Examples]
    rows: Mapping[str, Rows]
    collate: Callable[[Sequence[Any]], Batch]
    tokenizer: Any
    max_length: int
    facts: Mapping[str, str]
    identity: Mapping[str, str]
    augmentations: Augmentations | None = None
