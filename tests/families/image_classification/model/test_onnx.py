"""ONNX files, run by onnxruntime and compared with torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.user_error import user_error
from tunebook import FindingsHead, Head, SoftmaxHead
from tunebook.config.schema import Method
from tunebook.families.image_classification.model.image import Preprocessing, load_image_model
from tunebook.families.image_classification.model.image_source import find_image_model
from tunebook.families.image_classification.model.onnx import export_onnx
from tunebook.families.image_classification.options import ImageModel
from tunebook.models.onnx_writer import OPSET

PRE = Preprocessing(32, 1, (0.4,), (0.25,))


def tiny(name: str) -> nn.Module:
    torch.manual_seed(0)
    config = ImageModel(name=name)
    return load_image_model(find_image_model(config, weights=False), config, Method.scratch, 3, PRE)


class Squared(SoftmaxHead):
    """Probabilities of its own."""

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.square() / logits.square().sum(dim=-1, keepdim=True)


@pytest.mark.parametrize(
    ("name", "head"), [("test_vit", SoftmaxHead(3)), ("test_resnet", FindingsHead(3)), ("test_resnet", Squared(3))]
)
def test_onnxruntime_gives_the_probabilities_of_torch_for_any_batch(name: str, head: Head, tmp_path: Path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    model = tiny(name).train()
    with torch.no_grad():
        for parameter in model.parameters():  # logits far from zero
            parameter.add_(0.02 * torch.randn_like(parameter))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    file = tmp_path / "model.onnx"
    export_onnx(model, head, 1.6, PRE, file, ["a", "b", "ç"])
    assert model.training and all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"], "a single file"

    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for rows in (1, 3):
        pixels = torch.rand(rows, 1, 32, 32)
        with torch.no_grad():
            logits = model.eval()((pixels - 0.4) / 0.25) / 1.6
        squares = logits.square() / logits.square().sum(1, keepdim=True)
        by_head = {SoftmaxHead: torch.softmax(logits, 1), FindingsHead: torch.sigmoid(logits), Squared: squares}
        expected = by_head[type(head)]
        (got,) = session.run(["probabilities"], {"pixels": pixels.numpy()})
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected.numpy(), atol=1e-4)
    assert len({tuple(row) for row in got.round(6).tolist()}) == 3

    proto = onnx.load(file)
    told = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(told["labels"]) == ["a", "b", "ç"]
    assert Preprocessing.from_json(json.loads(told["preprocessing"])) == PRE
    assert {o.version for o in proto.opset_import if o.domain == ""} == {OPSET}


def test_without_the_packages_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with user_error("package.missing", match="onnxscript") as caught:
        export_onnx(tiny("test_resnet"), SoftmaxHead(3), 1.0, PRE, tmp_path / "model.onnx", ["a", "b", "c"])
    assert caught.value.fix == "pip install 'tunebook[onnx]'" and not list(tmp_path.iterdir())
