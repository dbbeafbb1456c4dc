"""Modules of torch as a single ONNX file, whatever they take and give."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunebook.errors import UserError

OPSET = 20  # the first with GELU as one operation
_LARGEST = 2_000_000_000  # bytes; protobuf holds no message over 2 GiB


def check_onnx_installed(*packages: str) -> None:
    """Refuse to begin without the packages that write ONNX files, or others named.

    Raises:
        UserError: One is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for package in packages or ("onnx", "onnxscript"):
                import_module(package)
    except ImportError as error:
        raise UserError(
            f"An ONNX file needs a package that is not installed: {error.name}.",
            code="package.missing",
            fix="pip install 'tunebook[onnx]'",
        ) from error


def onnx_proto(
    whole: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: Sequence[Mapping[int, Any]],
    file: Path,
    descriptions: Mapping[str, str],
) -> Any:
    """The ONNX protobuf of a module, with descriptions among its metadata.

    Args:
        whole: On the CPU, ready to answer.
        example: What it takes; of a size that is 1 the exporter would take it that it always is.
        inputs: Names of these.
        outputs: Names of what it gives.
        dynamic: Of each input, the dimensions whose size is free.
        file: Where it will be written, for messages.
        descriptions: What the file says of itself.

    Raises:
        UserError: ONNX has no words for the module, or it is too large for one file.
    """
    try:
        with quiet_onnx():
            program = torch.onnx.export(
                whole,
                example,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=tuple(map(dict, dynamic)),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            assert program is not None
            proto = program.model_proto
    except Exception as error:  # the exporter raises nearly anything here
        cause = error.__cause__ or error  # torch wraps it in a page on how to report it
        line = next((text.strip() for text in str(cause).splitlines() if text.strip()), type(cause).__name__)
        raise UserError(
            f"The model cannot be written as ONNX: {line}",
            code="export.failed",
            where=str(file),
            fix="use the bundle itself",
        ) from error
    for key, value in descriptions.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    if proto.ByteSize() > _LARGEST:
        raise UserError(
            "The model is over 2 GB, the limit of a single ONNX file.",
            code="export.too-large",
            where=str(file),
        )
    return proto


@contextmanager
def quiet_onnx() -> Iterator[None]:
    """Keep the notes of the exporter and of quantisation on their own insides off the screen."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", None)]
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
