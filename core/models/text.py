"""Models of text as transformers opens them: tokenizers, backbones, and what their configs say."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Any

from torch import nn

from tunebook.errors import UserError
from tunebook.models.counted import load_counted
from tunebook.models.positions import positions
from tunebook.models.quiet import quiet_transformers
from tunebook.models.source import ModelSource

_USUAL_LENGTH = 512


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
                code="model.wrong-kind",
                where="model.name",
                fix="choose a text model: model=starter_text",
            ) from error
        raise UserError(
            f"The tokenizer of '{source.name}' cannot be loaded: {str(error).splitlines()[0]}",
            code="model.load-failed",
            where=str(source.folder),
            fix="the folder needs tokenizer.json beside the model",
        ) from error
    if not tokenizer.is_fast or not len(tokenizer):
        raise UserError(
            f"The model '{source.name}' has no fast tokenizer.",
            code="model.no-fast-tokenizer",
            where=str(source.folder),
            fix="put a tokenizer.json beside the model",
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    tokenizer.padding_side = "right"
    return tokenizer


def tokenizer_key(tokenizer: Any) -> str:
    """A hash of everything that shapes the ids: vocabulary, normalisers, special tokens and what is made of them."""
    special = {k: str(v) for k, v in tokenizer.special_tokens_map.items()}
    return _key_of(tokenizer.backend_tokenizer.to_str(), tuple(special.items()))


@lru_cache(maxsize=2)  # each split of a run asks again
def _key_of(backend: str, special: tuple[tuple[str, str], ...]) -> str:
    state = json.loads(backend)
    # What the last call asked for is kept in there too, and says nothing of the next.
    state["truncation"] = state["padding"] = None
    state["control tokens in texts"] = "are text"  # ids of a time when they were not are no longer read
    state["special"] = dict(special)
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _is_timm(source: ModelSource) -> bool:
    """Whether a folder's config is one that timm writes."""
    return "architecture" in source.settings


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
            code="config.out-of-range",
            where="data.max_length",
            fix=f"data.max_length={min(max(wanted, 3), limit)}, or another model",
        )
    return wanted


def set_dropout(settings: Any, dropout: float | None) -> None:
    """Set every dropout that this architecture has in its config."""
    if dropout is None:
        return
    named = (k for k in settings.to_dict() if "dropout" in k or k.endswith("pdrop"))  # GPT-2 calls it pdrop
    keys = [k for k in named if isinstance(getattr(settings, k), float)]
    if not keys:
        raise UserError(
            "This model has no dropout to set.",
            code="model.no-dropout",
            where="model.dropout",
            fix="leave model.dropout unset",
        )
    for key in keys:
        setattr(settings, key, dropout)


def load_backbone(source: ModelSource) -> nn.Module:
    """The model without any head, in float32; a pooler that was never trained is left out.

    Raises:
        UserError: transformers cannot open it, or could only with code of its own.
    """
    from transformers import AutoConfig, AutoModel

    try:
        with quiet_transformers():
            settings = AutoConfig.from_pretrained(source.folder, trust_remote_code=False)
        return load_counted(AutoModel, source, settings)
    except UserError:
        raise
    except Exception as error:  # transformers raises nearly anything here
        raise UserError(
            f"The model '{source.name}' cannot be loaded: {str(error).strip().splitlines()[0]}",
            code="model.load-failed",
            where=str(source.folder),
            fix="choose a model that transformers has a class for, with whole weights",
        ) from error
