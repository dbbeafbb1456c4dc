"""Zero-shot classification: a text is as likely a label as it is close to the label's description."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# What sentence-transformers multiplies cosines by in its losses: a difference of 0.1 is odds of 7 to 1.
SCALE = 20.0


def embed(backbone: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Unit-length mean of the last hidden states over real tokens, ``[batch, hidden]``."""
    hidden = backbone(**inputs).last_hidden_state
    weights = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    return F.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)


class ZeroShotClassifier(nn.Module):
    """A backbone and its embeddings of the label descriptions; logits are scaled cosines.

    Args:
        backbone: A transformers model without a head.
        descriptions: Embeddings of the labels' descriptions, ``[labels, hidden]``.
    """

    descriptions: Tensor

    def __init__(self, backbone: nn.Module, descriptions: Tensor) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("descriptions", descriptions)

    @classmethod
    def from_texts(cls, backbone: nn.Module, tokenizer: Any, descriptions: Sequence[str]) -> ZeroShotClassifier:
        """Embed the descriptions, one a label, in the labels' order."""
        backbone.eval()
        inputs = tokenizer(list(descriptions), padding=True, truncation=True, return_tensors="pt")
        inputs = {k: inputs[k] for k in ("input_ids", "attention_mask")}
        with torch.no_grad():
            return cls(backbone, embed(backbone, inputs))

    def forward(self, **inputs: Tensor) -> SimpleNamespace:
        """``logits`` ``[batch, labels]``."""
        return SimpleNamespace(logits=SCALE * embed(self.backbone, inputs) @ self.descriptions.T)
