"""Image models as one ONNX file that takes plain pixels and gives probabilities."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from tunebook.families.image_classification.model.image import Preprocessing
from tunebook.families.image_classification.predictor import ImageClassifier
from tunebook.files import write_atomically
from tunebook.models.onnx_writer import check_onnx_installed, onnx_proto
from tunebook.training.head import Head


class PixelsToProbabilities(nn.Module):
    """Normalisation, the model, temperature and the head's probabilities, one after the other.

    Args:
        model: Gives logits ``[batch, outputs]``.
        head: Makes probabilities of logits.
        temperature: What the logits are divided by.
        pre: What the model was trained on.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, head: Head, temperature: float, pre: Preprocessing) -> None:
        super().__init__()
        self.model = model
        self.head = head
        self.temperature = temperature
        self.register_buffer("mean", torch.tensor(pre.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(pre.std).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Probabilities ``[batch, labels]`` of pixels ``[batch, channels, size, size]`` in 0 to 1."""
        logits = self.head.forward(self.model, {"inputs": {"x": (pixels - self.mean) / self.std}})
        return self.head.probabilities(logits / self.temperature)


def export_onnx(
    model: nn.Module, head: Head, temperature: float, pre: Preprocessing, file: Path, labels: Sequence[str]
) -> None:
    """Write a model as a single ONNX file: ``pixels`` in, ``probabilities`` out, any number of pictures at once.

    The file's metadata name the labels, in the order of the probabilities, and how a picture is brought to size.

    Args:
        model: A plain model, adapters merged; it is on the CPU while it is written.
        head: Makes probabilities of logits; what it decides is not in the file.
        temperature: What the logits are divided by.
        pre: What the model was trained on; the normalisation goes into the file, the resizing does not.
        file: Where to write.
        labels: What each probability is of.

    Raises:
        UserError: onnx is not installed, or it has no words for this model.
    """
    check_onnx_installed()
    whole = PixelsToProbabilities(model, head, temperature, pre)
    was_training, device = model.training, next(model.parameters()).device
    descriptions = {
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "preprocessing": json.dumps(pre.to_json()),
        "pixels": "float32 [batch, channels, size, size], 0 to 1; normalised inside",
        "probabilities": "float32 [batch, labels], calibrated",
    }
    # Two pictures: of one alone the exporter would take it that there is never another number of them.
    example = torch.full((2, pre.channels, pre.size, pre.size), 0.5)
    batch = torch.export.Dim("batch", min=1)
    try:
        proto = onnx_proto(
            whole.cpu().eval(), (example,), ["pixels"], ["probabilities"], [{0: batch}], file, descriptions
        )
    finally:
        model.to(device).train(was_training)
    write_atomically(file, lambda stream: stream.write(proto.SerializeToString()))


def export_classifier(classifier: ImageClassifier, output: Path) -> str:
    """Write a bundle's model; returns what the file takes and gives, in words."""
    pre = classifier.preparation.preprocessing
    export_onnx(classifier.model, classifier.head, classifier.temperature, pre, output, classifier.labels)
    return f"{pre.channels} x {pre.size} x {pre.size} in, {len(classifier.labels)} probabilities out"
