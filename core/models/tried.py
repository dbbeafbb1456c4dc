"""A text model tried before it is trained: its weights are counted, its tokens known, a padded row answers as alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tunebook.data.batch import Batch
from tunebook.errors import UserError
from tunebook.models.counted import loaded
from tunebook.models.final_layer import origin
from tunebook.models.layers import plain_model
from tunebook.models.positions import positions

_SHORT, _LONG = "A short text.", "A text that is longer than the other one, so that the other one is padded beside it. "
_OF_SPREAD, _OF_SIZE = 1e-3, 1e-5  # of what tells two texts apart, and of the numbers: their sixth digit moves anyway


Collate = Callable[[Sequence[Any]], Batch]


def try_sequence_model(model: Any, tokenizer: Any, max_length: int, collate: Collate) -> dict[str, str]:
    """Look at what a model does with two texts before it is trained.

    Args:
        model: As it will be trained.
        tokenizer: Its tokenizer.
        max_length: The longest text in tokens.
        collate: Makes a batch of token ids, targets and row numbers.

    Returns:
        What was found, to be shown.

    Raises:
        UserError: Tokens have no embedding, the longest text has no positions, or texts that are padded get other
            answers than alone.
    """
    check_embeddings(model, tokenizer)
    training = model.training
    model.eval()
    try:
        check_padding(model, tokenizer, max_length, collate)
        _check_longest(model, tokenizer, max_length, collate)
    finally:
        model.train(training)
    found, feature = loaded(model), getattr(plain_model(model), "_feature", "")
    words = {"feature": feature} if feature else {}
    return words if found is None else {"backbone": str(found), **words, "final layer": origin(model).words}


def check_embeddings(model: Any, tokenizer: Any) -> None:
    """Refuse tokens that the model has no embedding for, and a tokenizer without one to pad with.

    Raises:
        UserError: There are such.
    """
    try:
        embeddings = model.get_input_embeddings()
    except NotImplementedError:  # CANINE hashes characters
        embeddings = None
    rows = getattr(embeddings, "num_embeddings", None)
    if tokenizer.pad_token_id is None:
        raise UserError(
            "The tokenizer has no padding token, and none that could stand for it.",
            code="model.no-padding-token",
            where="model.name",
            fix=f"tokenizer.pad_token = {_stand_in(tokenizer)}; tokenizer.save_pretrained(folder)",
        )
    if rows is None:
        return
    beyond = sorted((number, token) for token, number in tokenizer.get_vocab().items() if number >= rows)
    if beyond:
        number, token = beyond[0]
        raise UserError(
            f"The model has {rows} embeddings, and the tokenizer {len(beyond)} tokens beyond them, such as {token!r} "
            f"({number}).",
            code="model.mismatch",
            where="model.name",
            fix="model.resize_token_embeddings(len(tokenizer)); model.save_pretrained(folder)",
        )


def _stand_in(tokenizer: Any) -> str:
    """A token to pad with, as it is typed: the one that ends a text, else one that no text has, else the first."""
    if tokenizer.eos_token is not None:
        return "tokenizer.eos_token"
    added = [token.content for _, token in sorted(tokenizer.added_tokens_decoder.items())]
    return repr(added[0] if added else tokenizer.convert_ids_to_tokens(0))


def alike(alone: np.ndarray, beside: np.ndarray, spread: float) -> bool:
    """Whether a row's outputs are the same alone and beside another, next to what tells the two rows apart."""
    apart = float(np.abs(alone - beside).max())
    return apart <= _OF_SPREAD * spread + _OF_SIZE * float(np.abs(alone).max())


def check_padding(model: nn.Module, tokenizer: Any, max_length: int, collate: Collate) -> None:
    """Refuse a model that answers a text padded beside a longer one otherwise than alone.

    Raises:
        UserError: It does.
    """
    cut = {"truncation": True, "max_length": max_length}  # with the token that closes a text: BART looks for it
    short, long = (np.array(tokenizer(text, **cut)["input_ids"]) for text in (_SHORT, _LONG * 3))
    with torch.no_grad():
        alone, beside = (
            model(**collate([(ids, 0, row) for row, ids in enumerate(texts)])["inputs"]).logits.float()
            for texts in ([short], [short, long])
        )
    if not alike(alone[0].numpy(), beside[0].numpy(), spread=float((beside[0] - beside[1]).abs().max())):
        apart = float((alone[0] - beside[0]).abs().max())
        raise UserError(
            f"This model answers otherwise where a text is padded beside a longer one (logits move by {apart:.2g}).",
            code="model.padding-changes-answers",
            where="model.name",
            fix="choose a model that leaves out padding, such as BERT, or a decoder whose config has pad_token_id",
        )


def _check_longest(model: Any, tokenizer: Any, max_length: int, collate: Collate) -> None:
    """Refuse a length that the model has no positions for: some number them from another place than 0."""
    if positions(model.config.to_dict()) is None:
        return
    text = _LONG * (1 + max_length // 10)
    longest = np.array(tokenizer(text, truncation=True, max_length=max_length)["input_ids"])
    try:
        with torch.no_grad():
            model(**collate([(longest, 0, 0)])["inputs"])
    except (IndexError, RuntimeError, ValueError) as error:
        raise UserError(
            f"The model cannot read a text of {max_length} tokens: {str(error).strip().splitlines()[0]}",
            code="config.out-of-range",
            where="data.max_length",
            fix=f"data.max_length={max_length - 2} or less, as far as its positions go",
        ) from error
