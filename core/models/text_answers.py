"""A finished model's outputs for texts: the one code path behind test scores and `predict`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from tunebook.data.batch import Batch
from tunebook.data.batches import BatchPlan
from tunebook.models.text_batches import TextItems, pad_batch
from tunebook.models.tokens import TokenRows

# Texts answered together. Padding moves the last bits of a float, so that equal rows give equal numbers only
# where they are batched alike: the size is fixed, and no option.
CHUNK, BATCH = 2048, 32
# Golden inputs for any text model: short, empty of content, and far from the training rows.
GOLDEN_TEXTS = ["I love it.", "It broke after two days and nobody answered.", "?"]


def golden_pairs(texts: Sequence[str], paired: bool) -> list[str] | None:
    """The second texts of the golden inputs of a model that reads two: the same, in reverse order."""
    return list(reversed(texts)) if paired else None


@torch.no_grad()
def answer_tokens(
    tokens: TokenRows,
    pad_id: int,
    answer: Callable[[Batch], Tensor],
    device: torch.device,
    advance: Callable[[int], None] = lambda done: None,
    together: int = BATCH,
) -> np.ndarray:
    """What a model answers to encoded texts, float64 ``[texts, outputs]``.

    Args:
        tokens: The texts.
        pad_id: The padding token.
        answer: Maps a batch, its inputs on the device, to ``[batch, outputs]``.
        device: Where the model is.
        advance: Called with the number of texts answered.
        together: Texts in a batch.
    """
    items = TextItems(tokens, np.zeros(len(tokens), dtype=np.int64))
    answers = np.zeros((len(tokens), 0))
    for order in BatchPlan(tokens.lengths, together, shuffle=False).global_batches(0):
        batch = pad_batch([items[int(i)] for i in order], pad_id)
        batch["inputs"] = {k: v.to(device) for k, v in batch["inputs"].items()}
        found = answer(batch).cpu().double().numpy()
        if not answers.size:
            answers = np.zeros((len(tokens), found.shape[1]))
        answers[order] = found
        advance(len(order))
    return answers
