"""An exported text model in the place of the bundle's own, for `predict`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunebook.bundle.manifest import Manifest
from tunebook.errors import UserError
from tunebook.families.text_predictor import TextPredictor
from tunebook.models.onnx_texts import FILES, LOGITS, open_session, read_about, run_session
from tunebook.models.text_answers import golden_pairs

TOGETHER = 8
"""Texts answered at once: onnxruntime is a third faster with few than with 32, whose activations leave the cache."""
_TOLERANCE = 1e-3  # as of bundles: other CPUs move the last digits, never the third


class OnnxModel(nn.Module):
    """Token ids in, logits out, as a transformers model has them; onnxruntime computes, on as many threads as torch.

    Args:
        folder: The export.
        precision: One of `FILES`.
    """

    def __init__(self, folder: Path, precision: str) -> None:
        super().__init__()
        self.session: Any = open_session(folder / FILES[precision], torch.get_num_threads())

    def forward(self, **inputs: Tensor) -> SimpleNamespace:
        """``logits`` ``[texts, outputs]``."""
        given = {name: value.cpu().numpy() for name, value in inputs.items()}
        return SimpleNamespace(logits=torch.from_numpy(run_session(self.session, given, LOGITS)))


def check_export_answers(predictor: TextPredictor, manifest: Manifest, folder: Path, precision: str) -> None:
    """Compare what an export says of the golden rows with what it said when it was written.

    Raises:
        UserError: They differ, or are none of this model's.
    """
    expected = np.array(read_about(folder)["precisions"][precision]["golden"], dtype=np.float64)
    texts = [golden.text for golden in manifest.golden]
    pairs = golden_pairs(texts, predictor.paired)
    head, found = predictor.head, list[np.ndarray]()
    for i, text in enumerate(texts):  # alone, as then: what is beside a row moves 8 bits
        second = None if pairs is None else [pairs[i]]
        found += predictor.outputs(
            [text], lambda b: head.probabilities(head.forward(predictor.model, b)), None, lambda done: None, second
        )
    predictor.truncated = 0
    got = np.concatenate([np.zeros((0, len(manifest.outputs))), *found])
    unit = 1.0 if manifest.number is None else manifest.number["deviation"]
    if got.shape != expected.reshape(len(expected), -1).shape or not np.allclose(got, expected, atol=_TOLERANCE * unit):
        raise UserError(
            "This export does not answer as it did when it was written.",
            code="bundle.changed-answers",
            where=str(folder),
            fix="its files were changed, or belong to different models; export the bundle again",
        )
