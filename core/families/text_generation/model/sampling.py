"""The next token of an answer: the most probable, or one drawn with random numbers that are a row's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def uniforms(seed: int, rows: Sequence[int], tokens: int, draws: int = 1) -> Tensor:
    """Random numbers in [0, 1) ``[rows * draws, tokens]``, made of seed, number of the row and of the draw alone."""
    generators = [np.random.default_rng([seed, row, draw]) for row in rows for draw in range(draws)]
    return torch.from_numpy(np.stack([generator.random(tokens) for generator in generators]))


def choose(logits: Tensor, draws: Tensor | None = None, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """Choose the next token of each row ``[rows]`` from logits ``[rows, vocabulary]``.

    Args:
        logits: Of the next token.
        draws: A random number for each row ``[rows]``; None takes the most probable token.
        temperature: Logits are divided by it.
        top_p: Probability that the tokens drawn from have together, at least.
    """
    if draws is None:
        return logits.argmax(-1)
    # tokens lie on the line in the order of their ids: rounding in the logits moves a border by as little
    ends = probabilities(logits, temperature, top_p).cumsum(-1)
    found = torch.searchsorted(ends, (draws * ends[:, -1])[:, None], right=True)[:, 0]
    return found.clamp(max=logits.shape[-1] - 1)


def probabilities(logits: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """Probabilities ``[rows, vocabulary]`` that tokens are drawn with (Holtzman et al., 2020), in double precision."""
    shares = (logits.double() / temperature).softmax(-1)
    if top_p < 1:
        ordered, order = shares.sort(descending=True, stable=True)
        beyond = ordered.cumsum(-1) - ordered >= top_p  # the tokens before it are enough
        shares = shares.masked_fill(torch.zeros_like(beyond).scatter(-1, order, beyond), 0.0)
        shares = shares / shares.sum(-1, keepdim=True)
    return shares
