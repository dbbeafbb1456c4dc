"""A causal language model, from a folder or fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from tunebook import UserError
from tunebook.models.text import quiet_transformers

if TYPE_CHECKING:
    from tunebook.models.source import ModelSource


def load_language_model(source: ModelSource, fresh: bool) -> nn.Module:
    """The model in float32; ``fresh`` takes the architecture alone.

    Raises:
        UserError: transformers has no language model for this architecture.
    """
    model: nn.Module
    try:
        with quiet_transformers():
            if fresh:
                settings = AutoConfig.from_pretrained(source.folder, trust_remote_code=False)
                settings.dtype = torch.float32
                model = AutoModelForCausalLM.from_config(settings)
            else:
                model = AutoModelForCausalLM.from_pretrained(
                    source.folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
                )
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        raise UserError(
            f"'{source.name}' cannot be used as a language model: {str(error).strip().splitlines()[0]}",
            where="model.name",
            mend="choose a model that transformers has a ...ForCausalLM class for",
        ) from error
    return model
