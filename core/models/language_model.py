"""Models that write, as transformers opens them: in float32, all weights there."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tunebook.errors import UserError
from tunebook.models.counted import load_counted
from tunebook.models.quiet import quiet_transformers
from tunebook.models.source import ModelSource
from tunebook.models.text import set_dropout


def load_language_model(source: ModelSource, fresh: bool = False, dropout: float | None = None) -> nn.Module:
    """A causal language model in float32; ``fresh`` takes the architecture alone.

    Raises:
        UserError: transformers has no language model for this architecture, or its weights are not whole.
    """
    from transformers import AutoModelForCausalLM

    return load_writing_model(
        AutoModelForCausalLM,
        source,
        fresh,
        dropout,
        kind="a language model",
        fix="choose a model that transformers has a ...ForCausalLM class for",
    )


def load_writing_model(
    auto_class: Any, source: ModelSource, fresh: bool, dropout: float | None, kind: str, fix: str
) -> nn.Module:
    """A model that writes, in float32, its weights whole; ``fresh`` takes the architecture alone.

    Args:
        auto_class: The class of transformers that chooses the architecture's own.
        source: Where its files are.
        fresh: Whether its weights are random.
        dropout: Dropout while training; None leaves the model's own.
        kind: What it was to be used as, for the message.
        fix: What to choose instead, for the message.

    Raises:
        UserError: transformers has no such model for this architecture, or its weights are not whole.
    """
    from transformers import AutoConfig

    try:
        with quiet_transformers():
            settings = AutoConfig.from_pretrained(source.folder, trust_remote_code=False)
            set_dropout(settings, dropout)
            if fresh:
                settings.dtype = torch.float32
                fresh_one: nn.Module = auto_class.from_config(settings)
                return fresh_one
            return load_counted(auto_class, source, settings, fresh_head=False)
    except UserError:
        raise
    except Exception as error:  # transformers raises nearly anything here
        raise UserError(
            f"'{source.name}' cannot be used as {kind}: {str(error).strip().splitlines()[0]}",
            code="model.wrong-kind",
            where="model.name",
            fix=fix,
        ) from error
