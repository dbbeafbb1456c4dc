"""Where a network looked: Grad-CAM (Selvaraju et al., ICCV 2017, arXiv:1610.02391).

The last map of features is weighed, channel by channel, with the mean gradient of one output, summed over the
channels and cut at zero. It shows which places raised the output, at the resolution of that map; not why, and
not whether rightly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

# Where torchvision's networks keep what makes the last feature map; "permute" comes first because the features
# of its Swin transformers have their channels last.
_LAYERS = ("permute", "features", "layer4", "trunk_output", "conv5", "Mixed_7c", "inception5b", "layers")


def grad_cam(model: nn.Module, pixels: Tensor, output: int | Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
    """Map where one picture raises one output of a timm or torchvision network.

    Convolutional networks are looked at before their pooling. Transformers with a class token are looked at before
    their last attention, after which the other tokens no longer count.

    Args:
        model: The network, in any state; it is run in evaluation mode and left as it was found.
        pixels: ``[1, channels, height, width]``, prepared as for training, on the model's device.
        output: Index into the network's outputs ``[1, outputs]``, before any softmax or sigmoid; or what makes the
            number ``[1]`` of them that is looked for.

    Returns:
        ``[height, width]``, 0 where the picture speaks least for the output to 1 where it does most; all zeros
        where no place stands out.

    Raises:
        ValueError: The network keeps no feature map where timm and torchvision have it.
    """
    with torch.inference_mode(False), torch.enable_grad(), _evaluating(model):
        # A frozen network builds no graph of its own, and a tensor of inference mode cannot join one.
        leaf = pixels.detach().clone().requires_grad_()
        features, outputs = _run(model, leaf)
        if not isinstance(features, Tensor) or features.ndim not in (3, 4):
            raise ValueError(f"{type(model).__name__} has no single feature map")
        (gradient,) = torch.autograd.grad(output(outputs)[0] if callable(output) else outputs[0, output], features)
        features, gradient = (_as_map(model, each.detach().float(), pixels) for each in (features, gradient))
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    heat = (weights * features).sum(1, keepdim=True).relu()
    heat = F.interpolate(heat, pixels.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
    low, high = heat.min(), heat.max()
    # Rounding in the interpolation makes an even map a little uneven.
    stands_out = high - low > 1e-5 * high
    scaled: NDArray[np.float32] = ((heat - low) / (high - low) if stands_out else torch.zeros_like(heat)).cpu().numpy()
    return scaled


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and then each module's own again."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _run(model: Any, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The features that the map is made of, and the outputs that follow from them."""
    layer = _attention_norm(model)
    if layer is None and hasattr(model, "forward_features"):  # timm
        features = model.forward_features(pixels)
        return features, model.forward_head(features)
    layer = layer or _torchvision_layer(model)
    captured: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, result: captured.append(result))
    try:
        outputs = model(pixels)
    finally:
        handle.remove()
    return captured[-1], outputs


def _attention_norm(model: Any) -> nn.Module | None:
    """What normalises the tokens before the last attention of a transformer with class tokens; None of others."""
    if hasattr(model, "conv_proj"):  # torchvision
        norm = model.encoder.layers[-1].ln_1
    elif getattr(model, "num_prefix_tokens", 0) and getattr(model, "blocks", None):  # timm
        norm = getattr(model.blocks[-1], "norm1", None)
    else:
        return None
    return norm if isinstance(norm, nn.Module) else None


def _torchvision_layer(model: Any) -> nn.Module:
    for name in _LAYERS:
        layer = getattr(model, name, None)
        if isinstance(layer, nn.Module):
            return layer
    raise ValueError(f"{type(model).__name__} has no known feature map")


def _as_map(model: Any, features: Tensor, pixels: Tensor) -> Tensor:
    """Features or their gradient as ``[1, channels, rows, columns]``, tokens on their grid."""
    if features.ndim == 4:
        return features.permute(0, 3, 1, 2) if getattr(model, "output_fmt", "NCHW") == "NHWC" else features
    height, width = pixels.shape[-2:]
    tokens = features[:, 1 if hasattr(model, "conv_proj") else getattr(model, "num_prefix_tokens", 0) :]
    count = tokens.shape[1]
    rows = max(round((count * height / width) ** 0.5), 1)
    if count < 2 or count % rows:
        raise ValueError(f"{count} tokens of a picture {height} x {width} make no grid")
    return tokens.transpose(1, 2).reshape(1, -1, rows, count // rows)
