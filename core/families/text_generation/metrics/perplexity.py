"""How surprised a model is by the answers that people gave."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tunebook.statistics.sums import RowSums, ratio


def perplexity(losses: ArrayLike, tokens: ArrayLike) -> RowSums:
    """Take the exponential of the mean loss of a token over all rows: 1 is certainty, lower is better.

    A long row weighs more than a short one, since the mean is over tokens. Only models with the same tokenizer, on
    the same tokens, can be compared by it.

    Args:
        losses: Cross-entropy of each row, summed over its supervised tokens, in nats, `[rows]`.
        tokens: TrainingConversations tokens of each row, `[rows]`; a row without any does not count.

    Raises:
        ValueError: The two are not of the same rows, or a row has a loss without tokens.
    """
    summed, counts = (np.asarray(each, dtype=np.float64).reshape(-1) for each in (losses, tokens))
    if summed.shape != counts.shape:
        raise ValueError(f"{len(summed)} losses do not belong to {len(counts)} rows")
    if ((counts < 0) | ((counts == 0) & (summed != 0))).any():
        raise ValueError("a row without supervised tokens has no loss")
    reason = None if np.isfinite(summed).all() else "the loss of some rows is not a finite number"
    return RowSums("perplexity", np.stack([summed, counts], axis=1), _exp_ratio, higher_is_better=False, reason=reason)


def bits_per_byte(losses: ArrayLike, said: ArrayLike) -> RowSums:
    """Divide the loss of all rows in bits by the bytes of the answers: 0 is certainty, lower is better.

    How many tokens a tokenizer makes of a text does not matter, so that models of different tokenizers can be compared
    on the same rows.

    Args:
        losses: Cross-entropy of each row, summed over its supervised tokens, ends of turn included, in nats, `[rows]`.
        said: Bytes in UTF-8 of the answers of each row, ends of turn left out, `[rows]`.

    Raises:
        ValueError: The two are not of the same rows.
    """
    summed, counts = (np.asarray(each, dtype=np.float64).reshape(-1) for each in (losses, said))
    if summed.shape != counts.shape:
        raise ValueError(f"{len(summed)} losses do not belong to {len(counts)} rows")
    reason = None if np.isfinite(summed).all() else "the loss of some rows is not a finite number"
    sums = np.stack([summed / np.log(2), counts], axis=1)
    return RowSums("bits_per_byte", sums, higher_is_better=False, reason=reason)


def _exp_ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # a mean loss over 709 nats: infinite
        return np.asarray(np.exp(ratio(sums)))
