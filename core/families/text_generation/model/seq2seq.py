"""Models that read with an encoder and write with a decoder: T5, BART and their kin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tunebook.errors import UserError
from tunebook.models.language_model import load_writing_model
from tunebook.models.source import ModelSource


def load_seq2seq(source: ModelSource, fresh: bool = False, dropout: float | None = None) -> nn.Module:
    """An encoder-decoder in float32; ``fresh`` takes the architecture alone.

    Raises:
        UserError: transformers has no such model for this architecture, its weights are not whole, or nothing says
            which token its answers start from.
    """
    from transformers import AutoModelForSeq2SeqLM

    model = load_writing_model(
        AutoModelForSeq2SeqLM,
        source,
        fresh,
        dropout,
        kind="a model with an encoder and a decoder",
        fix="choose a model that transformers has a ...ForConditionalGeneration class for, such as T5 or BART",
    )
    decoder_prefix(model)
    return model


def reads_apart(model: Any) -> bool:
    """Whether a model has an encoder for its input besides the decoder."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def decoder_prefix(model: Any) -> list[int]:
    """The tokens that every answer of an encoder-decoder starts behind, which are no part of it.

    The model's own start token, and the one that it forces to be first, if any (``forced_bos_token_id``: mBART's
    language, BART's ``<s>``). Nothing else of its generation config is read.

    Raises:
        UserError: It names no start token.
    """
    own, more = getattr(model, "generation_config", None), model.config
    start, first = (
        next((token for place in (own, more) if (token := getattr(place, name, None)) is not None), None)
        for name in ("decoder_start_token_id", "forced_bos_token_id")
    )
    if start is None:
        raise UserError(
            f"The start token of this {type(model).__name__}'s decoder is not set.",
            code="model.no-start-token",
            where="config.json",
            fix='set "decoder_start_token_id" there; T5 uses its pad_token_id, BART its eos_token_id',
        )
    return [start] if first is None else [start, first]


def decoder_states(model: Any, inputs: Mapping[str, Any]) -> Tensor:
    """What the decoder hands to the final layer, ``[batch, target tokens, hidden]``.

    T5 and its kin have no module around encoder and decoder that leaves the final layer out.

    Args:
        model: An encoder-decoder without adapters around it.
        inputs: ``input_ids`` and ``decoder_input_ids``, with their masks where they are padded on the left.
    """
    mask = inputs.get("attention_mask")
    read = model.get_encoder()(input_ids=inputs["input_ids"], attention_mask=mask)[0]
    states: Tensor = model.get_decoder()(
        input_ids=inputs["decoder_input_ids"],
        attention_mask=inputs.get("decoder_attention_mask"),
        encoder_hidden_states=read,
        encoder_attention_mask=mask,
        use_cache=False,
    )[0]
    return states
