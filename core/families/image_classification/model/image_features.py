"""Frozen image backbones: run once over the pictures; the final layer then trains on the stored features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from tunebook.data.batch import Batch
from tunebook.errors import UserError
from tunebook.families.image_classification.model.final_layer import clips_outputs, final_layer
from tunebook.models.source import ModelSource, weights_digest

_FORMAT = 1


class HeadOnFeatures(nn.Module):
    """A model's own final layer, for features ``[batch, features]``; what it learns, the model has learned."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.dropout = nn.Dropout(_dropout_before(model))
        self.head = final_layer(model)[1]

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``[batch, outputs]``."""
        x = self.dropout(x)
        if isinstance(self.head, nn.Conv2d):
            return self.head(x[:, :, None, None]).flatten(1)  # type: ignore[no-any-return]
        return self.head(x)  # type: ignore[no-any-return]


def _dropout_before(model: nn.Module) -> float:
    """The dropout on what the final layer takes: timm's ``drop_rate``, or the one before it in torchvision's models."""
    if hasattr(model, "drop_rate"):
        return float(model.drop_rate)  # type: ignore[arg-type]
    parent = model.get_submodule(final_layer(model)[0].rpartition(".")[0])
    dropouts = [m.p for m in parent.children() if isinstance(m, nn.Dropout)] if parent is not model else []
    return dropouts[-1] if dropouts else 0.0


@contextmanager
def without_final_layer(model: nn.Module) -> Iterator[None]:
    """A model that gives what its final layer takes, inside the block."""
    name, layer = final_layer(model)
    parent_name, _, child = name.rpartition(".")
    parent = model.get_submodule(parent_name)
    setattr(parent, child, nn.Identity())
    try:
        yield
    finally:
        setattr(parent, child, layer)


@torch.no_grad()
def features_of(
    model: nn.Module,
    batches: Iterable[Batch],
    rows: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Run the backbone once over all batches: features ``[rows, features]`` in row order, float32.

    Args:
        model: The model with its final layer.
        batches: Pictures as the model takes them, ``inputs["x"]`` ``[batch, channels, size, size]``.
        rows: How many there are in all.
        device: Where to run.
        advance: Called with the rows of each batch.

    Raises:
        UserError: The final layer gives other outputs on the features than the model on the pictures.
    """
    if clips_outputs(model):
        raise _head_not_last()
    was_training = model.training
    model.eval().to(device)
    features: np.ndarray | None = None
    for batch in batches:
        pixels = batch["inputs"]["x"].to(device)
        with without_final_layer(model):
            found = model(pixels).flatten(1)
        if features is None:
            features = np.zeros((rows, found.shape[1]), dtype=np.float32)
            if not ends_with_final_layer(model, found, model(pixels)):
                raise _head_not_last()
        features[batch["row"].numpy()] = found.float().cpu().numpy()
        advance(len(batch["row"]))
    model.train(was_training)
    if features is None:
        raise ValueError("there are no batches to compute features of")
    return features


@torch.no_grad()
def ends_with_final_layer(model: nn.Module, features: Tensor, outputs: Tensor) -> bool:
    """Whether a model in evaluation mode computes nothing after its final layer.

    Args:
        model: The model.
        features: What its final layer took of some pictures, ``[pictures, features]``.
        outputs: What the model gave for them, ``[pictures, outputs]``.
    """
    if clips_outputs(model):
        return False
    try:
        return torch.allclose(outputs, HeadOnFeatures(model).eval()(features), atol=1e-4, rtol=1e-3)
    except RuntimeError:  # shapes that do not fit
        return False


def _head_not_last() -> UserError:
    return UserError(
        "adapt=head needs a model that ends with its final layer, but this one computes more after it.",
        code="model.no-final-layer",
        where="adapt.method",
        fix="adapt=full, or another model",
    )


def image_features_key(source: ModelSource, pixels_key: str) -> str:
    """A hash of all that shapes the features: weights, architecture, and the pictures as the model takes them."""
    digest = hashlib.sha256(f"{_FORMAT}\n{pixels_key}\n{source.library}\n{source.architecture}\n".encode())
    digest.update(weights_digest(source).encode())
    return digest.hexdigest()[:32]
