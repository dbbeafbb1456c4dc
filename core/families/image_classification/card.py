"""The model card of an image bundle: what it is, how to open it without Tunebook, and what it was not tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunebook.bundle.card import render_card
from tunebook.families.image_classification.model.image import Preprocessing

_TIMM = """\
import numpy as np
import timm
import torch
from PIL import Image

model = timm.create_model("local-dir:path/to/this/folder", pretrained=True{channels}).eval()  # {architecture}
"""

_TORCHVISION = """\
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torchvision import models

model = models.get_model("{architecture}", num_classes={outputs}{args}).eval()
state = model.state_dict()  # knows the versions of its layers, which some of them ask for
state.update(load_file("path/to/this/folder/model.safetensors"))
model.load_state_dict(state)
"""

_PICTURE = """\

picture = Image.open("picture.png").convert("{mode}")
{square}
pixels = torch.from_numpy(np.array(picture)).float().reshape({size}, {size}, {planes}).permute(2, 0, 1){repeated} / 255
mean, std = torch.tensor({mean}), torch.tensor({std})
pixels = (pixels - mean[:, None, None]) / std[:, None, None]
with torch.no_grad():
    {last}
"""

_LAST = {
    "softmax": "probabilities = {outputs}.softmax(1)[0]  # in the order of the labels above",
    "sigmoid": "probabilities = {outputs}.sigmoid()[0]  # in the order of the labels above",
    None: "logits = {outputs}[0]  # `tunebook predict` makes probabilities of them by a rule of the recipe's own",
}

_SQUARES = {
    "stretch": "picture = picture.resize(({size}, {size}), {how})",
    "crop": """\
side = min(picture.size)
left, top = (picture.width - side) // 2, (picture.height - side) // 2
picture = picture.crop((left, top, left + side, top + side)).resize(({size}, {size}), {how})""",
    "pad": """\
fitted = [max(1, round(side * {size} / max(picture.size))) for side in picture.size]
inner, picture = picture.resize(fitted, {how}), Image.new("{mode}", ({size}, {size}))
picture.paste(inner, (({size} - inner.width) // 2, ({size} - inner.height) // 2))""",
}


@dataclass(frozen=True)
class Opening:
    """Code that opens a bundle's model in the library that it comes from, and asks it about one picture.

    Attributes:
        library: timm or torchvision.
        code: Python; the folder is called path/to/this/folder, the picture picture.png.
    """

    library: str
    code: str


def timm_opening(
    architecture: str, pre: Preprocessing, activation: str | None = "softmax", temperature: float = 1.0
) -> Opening:
    """Open a folder with timm's config.json.

    Args:
        architecture: timm's name of it.
        pre: What a picture becomes.
        activation: What makes probabilities of the outputs: softmax, sigmoid, or None where the recipe's head does.
        temperature: What the outputs are divided by.
    """
    channels = "" if pre.channels == 3 else f", in_chans={pre.channels}"
    code = _TIMM.format(architecture=architecture, channels=channels)
    return Opening("timm", code + _picture(pre, activation, temperature))


def torchvision_opening(
    architecture: str,
    outputs: int,
    pre: Preprocessing,
    activation: str | None = "softmax",
    temperature: float = 1.0,
    args: Mapping[str, Any] | None = None,
) -> Opening:
    """Open a folder with the weights of a torchvision model, built with ``args``; see `timm_opening`."""
    arguments = "".join(f", {name}={value!r}" for name, value in (args or {}).items())
    code = _TORCHVISION.format(architecture=architecture, outputs=outputs, args=arguments)
    return Opening("torchvision", code + _picture(pre, activation, temperature))


def _picture(pre: Preprocessing, activation: str | None, temperature: float) -> str:
    mode, planes = ("RGB", 3) if pre.channels == 3 else ("L", 1)
    divided = "" if temperature == 1 else f" / {temperature!r}"
    how = f"Image.Resampling.{pre.interpolation.upper()}"
    return _PICTURE.format(
        mode=mode,
        square=_SQUARES[pre.fit].format(size=pre.size, how=how, mode=mode),
        size=pre.size,
        planes=planes,
        repeated="" if pre.channels == planes else f".expand({pre.channels}, -1, -1)",
        mean=list(pre.mean),
        std=list(pre.std),
        last=_LAST[activation].format(outputs=f"(model(pixels[None]){divided})"),
    )


def image_card(
    recipe: str,
    recipe_version: str,
    base: str,
    adaptation: str,
    labels: Sequence[str],
    opening: Opening,
    facts: Mapping[str, Any],
    cautions: Sequence[str],
    points: Sequence[str],
    own_rule: bool = False,
) -> str:
    """README.md of an image classifier's bundle, with the front matter that hubs read.

    Args:
        recipe: Name of the recipe.
        recipe_version: Distribution and version that it came from.
        base: The pre-trained model, as the user named it.
        adaptation: head, full, lora ...
        labels: Names of the outputs, in their order.
        opening: How the model is opened without Tunebook.
        facts: ``data`` and ``training`` (what -> value) and ``scores`` (a line each).
        cautions: What must be said of the model's use, a sentence each.
        points: The operating points, a line each.
        own_rule: Whether the recipe's head decides otherwise than by the most probable label.
    """
    return render_card(
        Path(__file__).with_name("card.md.jinja"),
        base,
        recipe=recipe,
        recipe_version=recipe_version,
        adaptation=adaptation,
        labels=labels,
        opening=opening,
        cautions=cautions,
        points=points,
        own_rule=own_rule,
        data=facts.get("data", {}),
        training=facts.get("training", {}),
        scores=facts.get("scores", ()),
    )
