"""A model that writes, tried with two prompts before it is trained: each is answered as if it were alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from tunebook.errors import UserError
from tunebook.families.text_generation.model.candidates import score_candidates, write_candidates
from tunebook.families.text_generation.model.generation import Generation
from tunebook.models.counted import loaded
from tunebook.models.tried import alike, check_embeddings

_SHORT, _LONG = "Hello.", "Where is the parcel that I ordered two weeks ago, and when will it be here?"
_ANSWER = "It is on its way."
_TOKENS = Generation(max_new_tokens=2)


def try_writing_model(model: Any, tokenizer: Any) -> dict[str, str]:
    """Look at what a model does with two prompts before it is trained.

    Args:
        model: As it will be trained.
        tokenizer: Its tokenizer.

    Returns:
        What was found, to be shown.

    Raises:
        UserError: Tokens have no embedding, or a prompt beside a longer one gets another answer than alone.
    """
    check_embeddings(model, tokenizer)
    prompts = [tokenizer(text)["input_ids"] for text in (_SHORT, _LONG)]
    answers = [tokenizer(_ANSWER, add_special_tokens=False)["input_ids"]] * 2
    together = score_candidates(model, prompts, answers)
    alone = np.concatenate([score_candidates(model, prompts[i : i + 1], answers[:1]) for i in range(2)])
    _check("finds answers more or less likely", together, alone)
    written = [each[0] for each in write_candidates(model, tokenizer, prompts, _TOKENS, 1, ())]
    by_itself = [write_candidates(model, tokenizer, [prompt], _TOKENS, 1, ())[0][0] for prompt in prompts]
    _check("writes otherwise", np.array([each.score for each in written]), np.array([each.score for each in by_itself]))
    found = loaded(model)
    return {} if found is None else {"backbone": str(found)}


def _check(what: str, together: np.ndarray, alone: np.ndarray) -> None:
    if not alike(alone, together, spread=float(np.ptp(alone))):
        apart = float(np.abs(together - alone).max())
        raise UserError(
            f"This model {what} where a prompt is padded beside a longer one (log-probabilities move by {apart:.2g}).",
            code="model.padding-changes-answers",
            where="model.name",
            fix="choose a model whose attention leaves out padding",
        )
