"""The stored features of a frozen image backbone, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunebook.config.schema import TrainConfig
from tunebook.data.batch import Batch
from tunebook.data.encoded import Encoded
from tunebook.data.module import Examples, FineTuneData
from tunebook.families.image_classification.batches import batches_of
from tunebook.families.image_classification.model.image_features import HeadOnFeatures, features_of, image_features_key
from tunebook.families.image_classification.preprocessing import moved
from tunebook.models.features import cached_features
from tunebook.models.source import ModelSource
from tunebook.progress import counting
from tunebook.training.devices import choose_accelerator


@dataclass(frozen=True, eq=False)
class FeatureItems(Sequence[Any]):
    """Rows of a frozen backbone: feature ``[features]``, target, row number."""

    features: NDArray[np.float32]
    targets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, row: Any) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
        return self.features[row], self.targets[row], int(row)


def stack_features(items: Sequence[tuple[NDArray[np.float32], NDArray[np.int64], int]]) -> Batch:
    """Stored features, ``[batch, features]``."""
    return {
        "inputs": {"x": torch.from_numpy(np.stack([feature for feature, _, _ in items]))},
        "target": torch.from_numpy(np.stack([target for _, target, _ in items])),
        "row": torch.tensor([row for _, _, row in items]),
    }


def feature_data(
    model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
) -> tuple[nn.Module, FineTuneData]:
    """The model's final layer alone, and batches of stored features: the backbone runs once, or not at all."""
    splits = {}
    for name in ("train", "validation"):
        features, targets = stored_features(model, encoded, source, config, name), encoded.splits[name].targets
        splits[name] = Examples(FeatureItems(features, targets), np.ones(len(targets), dtype=np.int64))
    model.cpu()
    return HeadOnFeatures(model), batches_of(splits, stack_features, config)


def stored_features(
    model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig, name: str
) -> NDArray[np.float32]:
    """What the final layer takes of each image of a split, ``[rows, features]``; of a backbone that was not tuned."""
    examples, device = encoded.splits[name], torch.device(choose_accelerator(config.trainer))

    def compute() -> NDArray[np.float32]:
        with counting(f"features of {name} rows", len(examples), config.trainer.progress) as advance:
            loader = batches_of({name: examples}, encoded.collate, config).loader(name, shuffle=False)
            batches = (encoded.tokenizer(moved(batch, device)) for batch in loader)
            return features_of(model, batches, len(examples), device, advance)

    key = image_features_key(source, encoded.identity[name])
    return cached_features(Path(config.data.cache_dir), key, compute)
