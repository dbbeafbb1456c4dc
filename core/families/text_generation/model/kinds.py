"""What kind of model a config describes; nothing is loaded."""

from __future__ import annotations

from typing import Any

from tunebook.errors import UserError
from tunebook.models.source import ModelSource


def is_seq2seq(source: ModelSource) -> bool:
    """Whether a model reads with an encoder and writes with a decoder, by its config alone.

    BART's decoder saved by itself is a causal model, and says so.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES

    settings = source.settings if source.has_config else {}
    known = settings.get("model_type") in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    return known and bool(settings.get("is_encoder_decoder"))


def check_causal(source: ModelSource) -> None:
    """Refuse a model that writes nothing, by its config alone.

    Raises:
        UserError: It is an image model, an encoder, or has an encoder before its decoder.
    """
    settings = source.settings
    kind = settings.get("model_type")
    if kind is None:
        raise UserError(
            f"'{source.name}' is not a language model.",
            code="model.wrong-kind",
            where="model.name",
            fix="choose one: model=starter_text",
        )
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if settings.get("is_encoder_decoder") or kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or _reads_only(settings):
        raise UserError(
            f"'{source.name}' ({kind}) is not a causal language model{_opened_as(kind)}.",
            code="model.wrong-kind",
            where="model.name",
            fix="choose a causal language model, such as Llama, Qwen, Gemma or GPT-2: model=starter_text",
        )


def _opened_as(kind: str) -> str:
    """Which class of transformers opens a model that reads images too, in words; "" for any other."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    found = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.get(kind)
    return f": transformers opens it as {found}, which reads images with texts" if found else ""


def _reads_only(settings: dict[str, Any]) -> bool:
    """BERT and its kin have a class that writes, for those few that were trained to.

    Gemma 3 and others that read images too are causal models for texts alone, and are called ConditionalGeneration.
    """
    named = settings.get("architectures") or ["CausalLM"]
    writes = any(part in name for name in named for part in ("CausalLM", "LMHead", "ConditionalGeneration"))
    return not (writes or settings.get("is_decoder"))
