"""Frozen backbones: run once over the data; the head then trains on the stored features.

Twenty epochs of a frozen backbone would compute the same numbers twenty times. A row's feature is the one
hidden state ``[hidden]`` that the model's head looks at: the first token, the last token or the mean.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions

from tunebook.data.batch import Batch
from tunebook.errors import UserError
from tunebook.files import filling_cache, folder_written_whole
from tunebook.models.quiet import quiet_transformers
from tunebook.models.sentence_model import Pooling, SentenceModel
from tunebook.models.source import ModelSource, weights_digest
from tunebook.sealing import is_whole, seal

_FORMAT = 1


class Playback(nn.Module):
    """Stands where the backbone was: takes stored features as embeddings and hands them on.

    A pooler that belongs to the backbone by name (BERT's) comes after the features, and learns.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.config = getattr(backbone, "config", None)
        pooler = getattr(backbone, "pooler", None)
        self.pooler = pooler if isinstance(pooler, nn.Module) else None

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> BaseModelOutputWithPoolingAndCrossAttentions:
        """Features ``[batch, 1, hidden]`` as the last hidden state."""
        pooled = None if self.pooler is None else self.pooler(inputs_embeds)
        # This kind of output has every field that a head may hand on, decoders' caches among them.
        return BaseModelOutputWithPoolingAndCrossAttentions(last_hidden_state=inputs_embeds, pooler_output=pooled)


def head_on_features(model: nn.Module) -> nn.Module:
    """A model that shares the head's layers with ``model`` and takes features for inputs."""
    prefix = _prefix(model)
    short = copy.copy(model)
    short._modules = dict(model._modules)
    short._modules[prefix] = Playback(getattr(model, prefix))
    return short


def _prefix(model: nn.Module) -> str:
    prefix = getattr(model, "base_model_prefix", "")
    if not prefix or not isinstance(getattr(model, prefix, None), nn.Module):
        raise _unknown_pooling(model)
    return str(prefix)


def _unknown_pooling(model: nn.Module) -> UserError:
    return UserError(
        f"adapt=head does not know where the head of {type(model).__name__} starts.",
        code="model.no-final-layer",
        where="adapt.method",
        fix="adapt=full or adapt=lora",
    )


def pool(model: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
    """The hidden state the head looks at, ``[batch, hidden]``, of ``[batch, tokens, hidden]``."""
    if isinstance(model, SentenceModel):
        return model.pooling(hidden, mask)
    if getattr(model.config, "classifier_pooling", None) == "mean":
        mode = "mean"
    else:
        mode = "lasttoken" if hasattr(model, "score") else "cls"  # decoders look at the last token
    return Pooling(mode, normalize=False)(hidden, mask)


@torch.no_grad()
def compute_features(
    model: nn.Module,
    batches: Iterable[Batch],
    rows: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Run the backbone once over all batches: features ``[rows, hidden]`` in row order.

    Raises:
        UserError: The head gives other logits on the features than the model on the texts; then this
            architecture pools in a way not known here.
    """
    was_training = model.training
    model.eval().to(device)
    backbone, short = getattr(model, _prefix(model)), head_on_features(model).eval()
    features: np.ndarray | None = None
    for batch in batches:
        inputs = {k: v.to(device) for k, v in batch["inputs"].items()}
        hidden = backbone(**inputs).last_hidden_state
        pooled = pool(model, hidden, inputs["attention_mask"])
        if features is None:
            features = np.zeros((rows, pooled.shape[-1]), dtype=np.float32)
            if not _plays_back(model(**inputs).logits, short, pooled):
                raise _unknown_pooling(model)
        features[batch["row"].numpy()] = pooled.float().cpu().numpy()
        advance(len(batch["row"]))
    model.train(was_training)
    if features is None:
        raise ValueError("there are no batches to compute features of")
    return features


def _plays_back(expected: Tensor, short: nn.Module, pooled: Tensor) -> bool:
    """Whether the head gives the model's own logits on the features."""
    try:
        with quiet_transformers():  # decoders warn that they cannot see padding in features; there is none
            got = short(inputs_embeds=pooled[:, None]).logits
    except (AttributeError, TypeError, ValueError, RuntimeError, IndexError):
        return False  # this head asks for more than features
    size = expected.abs().max().clamp(min=1)  # outputs may be in any unit
    return expected.shape == got.shape and torch.allclose(expected / size, got / size, atol=1e-4, rtol=1e-3)


def features_key(source: ModelSource, model: nn.Module, tokens_key: str) -> str:
    """A hash of all that shapes the features: weights, architecture, and the encoded rows."""
    digest = hashlib.sha256(f"{_FORMAT}\n{tokens_key}\n{type(model).__name__}\n".encode())
    digest.update(weights_digest(source).encode())
    return digest.hexdigest()[:32]


def cached_features(cache_dir: Path, key: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Read features from the cache, or compute them and write them there (beside, then renamed)."""
    folder = cache_dir / "features" / key
    if is_whole(folder):
        cached: np.ndarray = np.load(folder / "features.npy", mmap_mode="r", allow_pickle=False)
        return cached
    features = compute()
    shutil.rmtree(folder, ignore_errors=True)
    with filling_cache(folder, "features"), folder_written_whole(folder) as partial:
        np.save(partial / "features.npy", features)
        seal(partial)
    return features
