"""What the outputs of the image network mean."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from tunebook import SoftmaxHead
from tunebook.data.batch import Batch


class PictureHead(SoftmaxHead):
    """Softmax over a network that takes pictures, as timm's do."""

    kind: ClassVar[str] = "softmax"

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits ``[batch, classes]``."""
        logits: Tensor = model(batch["inputs"])
        return logits
