"""A text model's bundle as a folder with ONNX files, whole or not there, once they answer as the bundle does."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunebook import __version__
from tunebook.bundle.manifest import FILE, VALUE, Manifest
from tunebook.errors import UserError
from tunebook.families.text_onnx_card import export_card
from tunebook.families.text_onnx_check import (
    Reference,
    Verdict,
    answers_elsewhere,
    check_float32,
    check_int8,
    check_tokens,
    golden_inputs,
    reference,
)
from tunebook.families.text_predictor import TextPredictor
from tunebook.files import folder_written_whole, write_json, write_text
from tunebook.models.literal import save_tokenizer
from tunebook.models.onnx_texts import ABOUT, FILES, FORMAT, LOGITS
from tunebook.models.onnx_writer import check_onnx_installed, onnx_proto, quiet_onnx
from tunebook.training.head import Head


class TokensToAnswers(nn.Module):
    """The model and what its head makes of the logits, one after the other.

    Args:
        model: A transformers model with a final layer.
        head: Makes answers of its logits.
    """

    def __init__(self, model: nn.Module, head: Head) -> None:
        super().__init__()
        self.model = model
        self.head = head

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Answers ``[texts, labels]`` and logits ``[texts, outputs]`` of inputs ``[texts, tokens]``."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        logits = self.head.forward(self.model, {"inputs": inputs})
        return self.head.probabilities(logits), logits


@dataclass(frozen=True)
class _Kind:
    """What the answers of an export are called, and what they are of."""

    output: str
    labels: Sequence[str]


def export_texts(
    predictor: TextPredictor, folder: Path, manifest: Manifest, output: Path, precisions: Sequence[str]
) -> str:
    """Write a folder with the model as ONNX, its tokenizer, the manifest and a card; only if its answers are right.

    Args:
        predictor: The model of the bundle, opened.
        folder: The bundle.
        manifest: What it says of itself: its labels and golden rows go along.
        output: The folder to write; must not exist.
        precisions: Some of `FILES`.

    Returns:
        What was compared and found, in words.

    Raises:
        UserError: A package is missing, ONNX has no words for the model, or a file answers otherwise than the bundle.
    """
    check_onnx_installed("onnx", "onnxscript", "onnxruntime")
    expected = reference(predictor, manifest)
    kind = _Kind(VALUE, [VALUE]) if manifest.number is not None else _Kind("probabilities", manifest.labels)
    deviation = None if manifest.number is None else manifest.number["deviation"]
    verdicts: dict[str, Verdict] = {}
    with folder_written_whole(output) as partial, tempfile.TemporaryDirectory(prefix="tunebook-export-") as scratch:
        _write_float32(predictor, expected, kind, partial / FILES["float32"], output)
        save_tokenizer(predictor.tokenizer, partial)
        for name in (FILE, "config.json"):
            shutil.copyfile(folder / name, partial / name)
        for precision in FILES:
            if precision == "int8" and precision in precisions:
                _write_int8(partial)
            if precision in precisions:
                file = partial / FILES[precision]
                got, ids = answers_elsewhere(file, kind.output, expected, partial, Path(scratch))
                check_tokens(expected, ids, predictor.max_length, output)
                check = check_float32 if precision == "float32" else check_int8
                verdicts[precision] = check(expected, got, predictor.head, deviation, output)
        if "float32" not in precisions:  # it was the way to the other
            (partial / FILES["float32"]).unlink()
        _describe(partial, predictor, manifest, expected, kind, verdicts)
    return "; ".join(f"{precision}: {verdict.words}" for precision, verdict in verdicts.items())


def _write_float32(predictor: TextPredictor, expected: Reference, kind: _Kind, file: Path, output: Path) -> None:
    names = list(expected.together)
    whole = TokensToAnswers(predictor.model.cpu().eval(), predictor.head)
    texts = torch.export.Dim("texts", min=1)
    tokens = torch.export.Dim("tokens", min=1, max=predictor.max_length)
    example = tuple(torch.from_numpy(expected.together[name][:2]) for name in names)
    said = {
        "labels": json.dumps(list(kind.labels), ensure_ascii=False),
        "max_length": str(predictor.max_length),
        "inputs": "int64 [texts, tokens], padded on the right",
        kind.output: "float32 [texts, labels]" if kind.output != VALUE else "float32 [texts, 1]",
    }
    with _no_cache(predictor.model), _written_out_attention(predictor.model), torch.no_grad():
        proto = onnx_proto(
            whole, example, names, [kind.output, LOGITS], [{0: texts, 1: tokens} for _ in names], output, said
        )
    file.write_bytes(proto.SerializeToString())


@contextmanager
def _no_cache(model: Any) -> Iterator[None]:
    """Decoders keep no keys and values for texts that they do not go on with."""
    before = getattr(model.config, "use_cache", None)
    if before is not None:
        model.config.use_cache = False
    try:
        yield
    finally:
        if before is not None:
            model.config.use_cache = before


@contextmanager
def _written_out_attention(model: Any) -> Iterator[None]:
    """Attention as plain products and a softmax: what a fused kernel does of its own accord to masks costs time."""
    inner = next((each for each in model.modules() if hasattr(each, "set_attn_implementation")), None)
    before = None if inner is None else inner.config._attn_implementation
    with suppress(ValueError):  # one that has no such attention
        if inner is not None:
            inner.set_attn_implementation("eager")
    try:
        yield
    finally:
        if inner is not None:
            inner.set_attn_implementation(before)


def _write_int8(folder: Path) -> None:
    """Weights in 8 bits, one scale for each output of a layer; 7 of them used, as CPUs without VNNI would saturate."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    file = folder / FILES["int8"]
    try:
        with quiet_onnx():
            quantize_dynamic(
                folder / FILES["float32"], file, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True
            )
    except Exception as error:  # its shape inference raises nearly anything
        raise UserError(
            f"The model cannot be quantised: {' '.join(str(error).split())[:200]}",
            code="export.failed",
            where=file.name,
            fix="--precision float32",
        ) from error


def _describe(
    folder: Path,
    predictor: TextPredictor,
    manifest: Manifest,
    expected: Reference,
    kind: _Kind,
    verdicts: dict[str, Verdict],
) -> None:
    golden = golden_inputs(predictor, [each.text for each in manifest.golden])
    about = {
        "format": FORMAT,
        "tunebook": __version__,
        "inputs": list(expected.together),
        "outputs": [kind.output, LOGITS],
        "labels": list(kind.labels),
        "max_length": predictor.max_length,
        "pad_token_id": predictor.tokenizer.pad_token_id,
        "golden": [{**text, kind.output: row.tolist()} for text, row in zip(golden, expected.golden, strict=True)],
        "precisions": {
            precision: {"file": FILES[precision], **{k: v for k, v in asdict(verdict).items() if k != "words"}}
            for precision, verdict in verdicts.items()
        },
    }
    write_json(folder / ABOUT, about)
    write_text(
        folder / "README.md",
        export_card(about, manifest, {name: each.words for name, each in verdicts.items()}, predictor.head),
    )
