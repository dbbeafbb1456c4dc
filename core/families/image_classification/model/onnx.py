"""Image models as one ONNX file that takes plain pixels and gives probabilities."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunebook.errors import UserError
from tunebook.families.image_classification.model.image import Preprocessing
from tunebook.families.image_classification.predictor import ImageClassifier
from tunebook.files import write_atomically
from tunebook.training.head import Head

OPSET = 18
_LARGEST = 2_000_000_000  # bytes; protobuf holds no message over 2 GiB


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
    _check_installed()
    whole = PixelsToProbabilities(model, head, temperature, pre)
    was_training, device = model.training, next(model.parameters()).device
    try:
        proto = _exported(whole.cpu().eval(), pre)
    except Exception as error:  # the exporter raises nearly anything here
        line = next((text.strip() for text in str(error).splitlines() if text.strip()), type(error).__name__)
        raise UserError(
            f"The model cannot be written as ONNX: {line}",
            code="export.failed",
            where=str(file),
            fix="leave the ONNX file out",
        ) from error
    finally:
        model.to(device).train(was_training)
    _describe(proto, pre, labels)
    if proto.ByteSize() > _LARGEST:
        raise UserError(
            "The model is over 2 GB, the limit of a single ONNX file.",
            code="export.too-large",
            where=str(file),
        )
    write_atomically(file, lambda stream: stream.write(proto.SerializeToString()))


def _check_installed() -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"An ONNX file needs a package that is not installed: {error.name}.",
            code="package.missing",
            fix="pip install 'tunebook[onnx]'",
        ) from error


def _exported(whole: nn.Module, pre: Preprocessing) -> Any:
    """The ONNX protobuf of a module."""
    # Two pictures: of one alone the exporter would take it that there is never another number of them.
    example = torch.full((2, pre.channels, pre.size, pre.size), 0.5)
    with _quiet():
        program = torch.onnx.export(
            whole,
            (example,),
            input_names=["pixels"],
            output_names=["probabilities"],
            dynamic_shapes={"pixels": {0: torch.export.Dim("batch", min=1)}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        assert program is not None
        return program.model_proto


def _describe(proto: Any, pre: Preprocessing, labels: Sequence[str]) -> None:
    descriptions = {
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "preprocessing": json.dumps(pre.to_json()),
        "pixels": "float32 [batch, channels, size, size], 0 to 1; normalised inside",
        "probabilities": "float32 [batch, labels], calibrated",
    }
    for key, value in descriptions.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes on its own insides off the screen."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def export_classifier(classifier: ImageClassifier, output: Path) -> str:
    """Write a bundle's model; returns what the file takes and gives, in words."""
    pre = classifier.preparation.preprocessing
    export_onnx(classifier.model, classifier.head, classifier.temperature, pre, output, classifier.labels)
    return f"{pre.channels} x {pre.size} x {pre.size} in, {len(classifier.labels)} probabilities out"
