"""The card's code is run as it is written, on folders that the libraries themselves wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from tunebook.families.image_classification.card import Opening, image_card, timm_opening, torchvision_opening
from tunebook.families.image_classification.data.resize import Square, resized
from tunebook.families.image_classification.model.image import Preprocessing

timm = pytest.importorskip("timm")

LABELS = ["normal", "pneumonia"]
FACTS = {"data": {"rows": 120}, "training": {"steps": 40}, "scores": ["AUROC 0.912 (0.870 to 0.951)"]}


def _card(opening: Opening, base: str = "timm/resnet18.a1_in1k", **changed: Any) -> str:
    given: dict[str, Any] = {"cautions": ["This is not a medical device."], "points": ["screening: 0.31"], **changed}
    return image_card("medical_diagnosis", "tunebook 0.1.0", base, "head", LABELS, opening, FACTS, **given)


def _run(card: str, folder: Path, picture: Path) -> torch.Tensor:
    """What the card's Python code finds."""
    (code,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    code = code.replace("path/to/this/folder", str(folder)).replace("picture.png", str(picture))
    names: dict[str, Any] = {}
    exec(code, names)
    found: torch.Tensor = names["probabilities"]
    return found


def _expected(model: nn.Module, picture: Path, pre: Preprocessing) -> torch.Tensor:
    """The model's outputs for a picture that Tunebook itself prepares."""
    pixels = np.asarray(Image.open(picture).convert("RGB" if pre.channels == 3 else "L"))
    square = resized(pixels, Square(pre.size, pre.fit, pre.interpolation)).transpose(2, 0, 1) / 255
    scaled = (square - np.array(pre.mean)[:, None, None]) / np.array(pre.std)[:, None, None]
    with torch.no_grad():
        outputs: torch.Tensor = model.eval()(torch.from_numpy(scaled).float()[None])
    return outputs[0]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (61, 90, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a picture.png")
    return tmp_path / "a picture.png"


@pytest.mark.parametrize("fit", ["pad", "stretch", "crop"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_code_opens_a_folder_that_timm_wrote(fit: str, channels: int, tmp_path: Path, picture: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=2, in_chans=channels)
    timm.models.save_for_hf(model, tmp_path / "model", safe_serialization=True)
    mean, std = (0.48, 0.45, 0.4)[:channels], (0.22, 0.23, 0.225)[:channels]
    pre = Preprocessing(96, channels, mean, std, "bilinear", fit)
    card = _card(timm_opening("test_resnet", pre))
    expected = _expected(model, picture, pre).softmax(0)
    assert torch.allclose(_run(card, tmp_path / "model", picture), expected, atol=1e-5)
    assert card.startswith(
        "---\nlibrary_name: timm\npipeline_tag: image-classification\nbase_model: timm/resnet18.a1_in1k\n"
        "tags: [tunebook, medical_diagnosis]\n---\n"
    )


def test_the_code_opens_weights_of_torchvision(tmp_path: Path, picture: Path) -> None:
    torch.manual_seed(0)
    model = torchvision.models.resnet50(num_classes=2, width_per_group=16)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    pre = Preprocessing(64, 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    card = _card(
        torchvision_opening("resnet50", 2, pre, activation="sigmoid", temperature=2.5, args={"width_per_group": 16}),
        "torchvision/resnet50",
    )
    expected = (_expected(model, picture, pre) / 2.5).sigmoid()
    assert torch.allclose(_run(card, tmp_path, picture), expected, atol=1e-5)
    assert "library_name: torchvision\n" in card
    assert "base_model" not in card


def test_all_that_must_be_said_is_said() -> None:
    opening = Opening("timm", "pass\n")
    card = _card(opening, cautions=["For research.", "This is not a medical device."])
    heads = re.findall(r"^## (.*)$", card, flags=re.MULTILINE)
    scores = "Scores on the validation rows"
    assert heads == [
        *("Intended use", "Use", "Open it elsewhere", "Operating points", "Data", "Training", scores, "Not tested"),
    ]
    for line in [
        "- For research.",
        "- This is not a medical device.",
        "- screening: 0.31",
        "- rows: 120",
        "- steps: 40",
    ]:
        assert f"\n{line}\n" in card
    assert "\n- AUROC 0.912 (0.870 to 0.951)\n" in card
    assert "normal, pneumonia (in this order)" in card
    bare = image_card("r", "v", "resnet18", "none", LABELS, opening, {}, [], [])
    assert "- none: the model was not trained" in bare
    assert not {"Intended use", "Operating points"} & set(re.findall(r"^## (.*)$", bare, flags=re.MULTILINE))


def test_a_folder_of_this_machine_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    card = _card(Opening("timm", "pass\n"), str(tmp_path / "mine"))
    assert "# medical_diagnosis: mine, head" in card
    assert str(tmp_path) not in card
    assert "base_model" not in card
