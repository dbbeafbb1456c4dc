"""A text model tried before it is trained: its weights are counted, its tokens known, a padded row answers as alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tunebook.config.schema import Method, TrainConfig
from tunebook.data.batch import Batch
from tunebook.errors import UserError
from tunebook.models.sequence_model import count_sequence_model
from tunebook.models.source import ModelSource, weight_files

LARGEST = 4 << 30
"""Bytes of weights up to which a model is loaded to be tried; a larger one is tried where it is trained."""
_SHORT, _LONG = "A short text.", "A text that is longer than the other one, so that the other one is padded beside it. "
_TOLERANCE = 1e-3  # of the largest logit: other shapes of batches move the sixth digit


Collate = Callable[[Sequence[Any]], Batch]


def try_sequence_model(
    source: ModelSource, config: TrainConfig, tokenizer: Any, max_length: int, collate: Collate
) -> dict[str, str]:
    """Load the model as it will be trained, and look at what it does with two texts.

    Args:
        source: Where it is.
        config: The run's config.
        tokenizer: Its tokenizer.
        max_length: The longest text in tokens.
        collate: Makes a batch of token ids, targets and row numbers.

    Returns:
        What was found, to be shown; nothing of a model of fresh weights, or one too large to load twice.

    Raises:
        UserError: Weights of the backbone are not in the file, tokens have no embedding, or texts that are padded get
            other answers than alone.
    """
    if config.adapt.method in (Method.scratch, Method.none):
        return {}
    if sum(file.stat().st_size for file in weight_files(source.folder)) > LARGEST:
        return {}
    with torch.random.fork_rng(devices=[]):
        counted = count_sequence_model(source, config.model, config.adapt.method, ("0", "1"), None, tokenizer)
    _check_embeddings(counted.model, tokenizer)
    _check_padding(counted.model.eval(), tokenizer, max_length, collate)
    found = f"all {counted.tensors} tensors are in the file"
    return {"backbone": found + (f" ('{counted.taken_off}' was taken off their names)" if counted.taken_off else "")}


def _check_embeddings(model: Any, tokenizer: Any) -> None:
    """Refuse tokens that the model has no embedding for, and a tokenizer without one to pad with."""
    embeddings = model.get_input_embeddings()
    rows = getattr(embeddings, "num_embeddings", None)
    if tokenizer.pad_token_id is None:
        raise UserError(
            "The tokenizer has no padding token, and none that could stand for it.",
            code="model.no-padding-token",
            where="model.name",
            fix="tokenizer.pad_token = tokenizer.eos_token; tokenizer.save_pretrained(folder)",
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


def _check_padding(model: nn.Module, tokenizer: Any, max_length: int, collate: Collate) -> None:
    short, long = (np.array(tokenizer(text)["input_ids"][:max_length]) for text in (_SHORT, _LONG * 3))
    with torch.no_grad():
        alone, beside = (
            model(**collate([(ids, 0, row) for row, ids in enumerate(texts)])["inputs"]).logits.float()
            for texts in ([short], [short, long])
        )
    apart = float((alone[0] - beside[0]).abs().max())
    if not apart <= _TOLERANCE * max(1.0, float(beside.abs().max())):
        raise UserError(
            f"This model answers otherwise where a text is padded beside a longer one (logits move by {apart:.2g}).",
            code="model.padding-changes-answers",
            where="model.name",
            fix="choose a model that leaves out padding, such as BERT, or a decoder whose config has pad_token_id",
        )
