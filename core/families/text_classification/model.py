"""Text backbones with a classification layer, through transformers' own classes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tunebook.config.schema import Method, ModelConfig
from tunebook.errors import UserError
from tunebook.models.source import ModelSource
from tunebook.recipe import Head

if TYPE_CHECKING:
    from torch import Tensor, nn

_USUAL_LENGTH = 512


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' notes on freshly initialised layers off the screen: we say so ourselves."""
    from transformers.utils import logging as transformers_logging

    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def load_tokenizer(source: ModelSource) -> Any:
    """The model's own tokenizer, with a padding token.

    Raises:
        UserError: The folder has none, or only a slow one.
    """
    from transformers import AutoTokenizer

    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(source.folder, trust_remote_code=False)
    except Exception as error:  # transformers raises nearly anything here
        if _is_timm(source):
            raise UserError(
                f"'{source.name}' is an image model, and this recipe reads texts.",
                where="model.name",
                fix="choose a text model: model=starter_text",
            ) from error
        raise UserError(
            f"The tokenizer of '{source.name}' cannot be loaded: {str(error).splitlines()[0]}",
            where=str(source.folder),
            fix="the folder needs tokenizer.json beside the model",
        ) from error
    if not tokenizer.is_fast or not len(tokenizer):
        raise UserError(
            f"The model '{source.name}' has no fast tokenizer.",
            where=str(source.folder),
            fix="put a tokenizer.json beside the model",
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    tokenizer.padding_side = "right"
    return tokenizer


def _is_timm(source: ModelSource) -> bool:
    """Whether a folder's config is one that timm writes."""
    return "architecture" in source.settings


def positions(settings: Mapping[str, Any]) -> int | None:
    """How many tokens a model's config has positions for; None where it does not say."""
    limits = [n for n in (settings.get("max_position_embeddings"), settings.get("n_positions")) if n]
    # RoBERTa and its kin number positions from pad_token_id + 1.
    offset = 2 if settings.get("model_type") in ("roberta", "xlm-roberta", "camembert", "mpnet") else 0
    return min((n - offset for n in limits), default=None)


def longest(source: ModelSource, tokenizer: Any, wanted: int | None, usual: int = _USUAL_LENGTH) -> int:
    """The length in tokens that texts may have: as wanted, or what the model takes, at most ``usual``.

    Raises:
        UserError: More is wanted than the model has positions for.
    """
    limit = positions(source.settings)
    if limit is None:
        limit = int(min(tokenizer.model_max_length, 2**31))
    if wanted is None:
        return min(usual, limit)
    if not 3 <= wanted <= limit:
        raise UserError(
            f"data.max_length={wanted} does not fit: '{source.name}' takes 3 to {limit} tokens.",
            where="data.max_length",
            fix=f"data.max_length={min(max(wanted, 3), limit)}, or another model",
        )
    return wanted


def load_classifier(
    source: ModelSource,
    config: ModelConfig,
    method: Method,
    head: Head,
    names: Sequence[str],
    tokenizer: Any,
) -> nn.Module:
    """A transformers model with a classification layer for ``head``, in float32.

    Args:
        source: Where the weights are.
        config: The ``model`` node of the config.
        method: ``scratch`` takes the architecture alone.
        head: Size and meaning of the final layer.
        names: What each output is called in the saved config, ``[outputs]``.
        tokenizer: Gives the padding token.

    Raises:
        UserError: transformers has no text classifier for this architecture.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    try:
        with quiet_transformers():
            settings = AutoConfig.from_pretrained(source.folder, num_labels=head.outputs, trust_remote_code=False)
            settings.update(labels)
            settings.problem_type = head.problem_type
            settings.pad_token_id = tokenizer.pad_token_id
            set_dropout(settings, config.dropout)
            model: nn.Module
            if method is Method.scratch:
                settings.dtype = torch.float32
                model = AutoModelForSequenceClassification.from_config(settings)
            else:
                # A checkpoint that already has a classification layer of another size starts with a new one.
                model = AutoModelForSequenceClassification.from_pretrained(
                    source.folder,
                    config=settings,
                    dtype=torch.float32,
                    use_safetensors=True,
                    trust_remote_code=False,
                    ignore_mismatched_sizes=True,
                )
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        raise UserError(
            f"'{source.name}' cannot be used as a text classifier: {str(error).strip().splitlines()[0]}",
            where="model.name",
            fix="choose a text model that transformers has a ...ForSequenceClassification class for",
        ) from error
    return model


def start_at(model: nn.Module, logits: Tensor | None) -> None:
    """Set the bias of the final layer, where it has one of this size; decoders' have none."""
    import torch
    from torch.nn import Linear

    if logits is None:
        return
    layers = [m for m in model.modules() if isinstance(m, Linear) and m.out_features == len(logits)]
    if layers and layers[-1].bias is not None:
        with torch.no_grad():
            layers[-1].bias.copy_(logits)


def set_dropout(settings: Any, dropout: float | None) -> None:
    """Set every dropout that this architecture has in its config."""
    if dropout is None:
        return
    named = (k for k in settings.to_dict() if "dropout" in k or k.endswith("pdrop"))  # GPT-2 calls it pdrop
    keys = [k for k in named if isinstance(getattr(settings, k), float)]
    if not keys:
        raise UserError("This model has no dropout to set.", where="model.dropout", fix="leave model.dropout unset")
    for key in keys:
        setattr(settings, key, dropout)


def load_backbone(source: ModelSource) -> nn.Module:
    """The model without any head, in float32; a pooler that was never trained is left out.

    Raises:
        UserError: transformers cannot open it, or could only with code of its own.
    """
    import torch
    from transformers import AutoModel

    try:
        with quiet_transformers():
            model: nn.Module = AutoModel.from_pretrained(
                source.folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
            )
    except Exception as error:  # transformers raises nearly anything here
        raise UserError(
            f"The model '{source.name}' cannot be loaded: {str(error).strip().splitlines()[0]}",
            where=str(source.folder),
            fix="choose a model that transformers has a class for, with whole weights",
        ) from error
    return model


def load_saved_classifier(source: ModelSource) -> nn.Module:
    """A classifier exactly as it was saved, in float32.

    Raises:
        UserError: The weights do not fit the config.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    try:
        with quiet_transformers():
            model: nn.Module
            model, report = AutoModelForSequenceClassification.from_pretrained(
                source.folder,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except Exception as error:  # transformers raises nearly anything here
        raise _damaged(source, str(error).strip().splitlines()[0]) from error
    if report["missing_keys"] or report["mismatched_keys"]:
        raise _damaged(source, f"weights are missing: {', '.join(sorted(report['missing_keys'])[:3])}")
    return model


def _damaged(source: ModelSource, reason: str) -> UserError:
    return UserError(f"The model cannot be loaded: {reason}", where=str(source.folder), fix="write the bundle again")
