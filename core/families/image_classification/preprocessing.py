"""From stored bytes to what an image model takes: the one path behind training, test scores and `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunebook.data.augmentations import Augmentations
from tunebook.data.batch import Batch
from tunebook.data.draws import draws
from tunebook.data.rows import PIXELS, Rows
from tunebook.families.image_classification.data.augment import DRAWS, Augmentation, augment
from tunebook.families.image_classification.data.content import ImageContent
from tunebook.families.image_classification.data.resize import Square
from tunebook.families.image_classification.model.image import Preprocessing


@dataclass(frozen=True, eq=False)
class ImageItems(Sequence[Any]):
    """Rows as `stack_images` takes them: pixels, value of full brightness, target, row number.

    Attributes:
        content: Where the pictures are.
        places: Store and position of each row's picture, ``[rows, 2]``.
        targets: Label numbers ``[rows]``, or flags ``[rows, findings]``.
    """

    content: ImageContent
    places: NDArray[np.int64]
    targets: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Rows, content: ImageContent, targets: NDArray[np.int64]) -> ImageItems:
        """The items of checked rows."""
        return cls(content, content.places(rows.texts(PIXELS)), targets)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: Any) -> tuple[NDArray[Any], float, NDArray[np.int64], int]:
        number, position = self.places[row]
        store = self.content.stores[number]
        return store.pixels[position], float(store.peaks[position]), self.targets[row], int(row)

    def largest(self) -> int:
        """The largest value of a picture whose file does not say what full brightness is; 0 without such."""
        values = [0]
        for number, store in enumerate(self.content.stores):
            here = self.places[self.places[:, 0] == number, 1]
            values += store.maxima[here][np.isnan(store.peaks[here])].tolist()
        return max(values)


def stack_images(items: Sequence[tuple[NDArray[Any], float, NDArray[np.int64], int]]) -> Batch:
    """A batch of stored pixels ``[batch, size, size, channels]``, as they are."""
    channels = max(pixels.shape[-1] for pixels, _, _, _ in items)
    shape = (*items[0][0].shape[:2], channels)
    stacked = np.stack([np.broadcast_to(pixels, shape) for pixels, _, _, _ in items])
    if stacked.dtype != np.uint8:
        stacked = stacked.astype(np.int32)  # torch knows 16 bits without a sign only in part
    return {
        "pixels": torch.from_numpy(stacked),
        "peak": torch.tensor([peak for _, peak, _, _ in items], dtype=torch.float32),
        "target": torch.from_numpy(np.stack([target for _, _, target, _ in items])),
        "row": torch.tensor([row for _, _, _, row in items]),
    }


def moved(batch: Batch, device: torch.device | str) -> Batch:
    """A batch of `stack_images` with its pixels on a device."""
    return {**batch, "pixels": batch["pixels"].to(device), "peak": batch["peak"].to(device)}


def square_of(pre: Preprocessing) -> Square:
    """The square that a picture is stored as."""
    return Square(pre.size, pre.fit, pre.interpolation)


@dataclass(frozen=True)
class ImagePreparation:
    """Makes the model's inputs of stored pixels, on whatever device they are.

    Attributes:
        preprocessing: Size, channels and normalisation.
        full: Full brightness where a file does not say; 0 where no such file was seen.
        augmentation: What training images are changed by; None: nothing.
        seed: Of these changes.
        own: What the recipe and packages change after that; None: nothing.
    """

    preprocessing: Preprocessing
    full: int = 0
    augmentation: Augmentation | None = None
    seed: int = 0
    own: Augmentations | None = None

    def __call__(self, batch: Batch, training: bool = False) -> Batch:
        """The batch with ``inputs`` ``x`` ``[batch, channels, size, size]``, as timm and torchvision call them."""
        pixels = self.brightness(batch["pixels"], batch["peak"])
        if training and self.augmentation is not None:
            drawn = draws(self.seed, int(batch["epoch"]), batch["row"].cpu().numpy(), DRAWS)
            pixels = augment(pixels, drawn, self.augmentation)
        if training and self.own is not None:
            pixels = self.own(pixels, batch)
        return {**batch, "inputs": {"x": self.normalised(pixels)}}

    def brightness(self, pixels: Tensor, peak: Tensor) -> Tensor:
        """Stored values ``[batch, size, size, channels]`` as 0 to 1, ``[batch, channels, size, size]``."""
        whole = torch.where(peak.isnan(), float(self.full or 65535), peak).view(-1, 1, 1, 1)
        light = (pixels.float() / whole).clamp_(0, 1).permute(0, 3, 1, 2)
        wanted = self.preprocessing.channels
        if light.shape[1] == wanted:
            return light.contiguous()
        if light.shape[1] == 1:
            return light.expand(-1, wanted, -1, -1).contiguous()
        weights = light.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)  # ITU-R 601, as Pillow makes grey
        grey = (light * weights).sum(1, keepdim=True)
        return grey.expand(-1, wanted, -1, -1).contiguous()

    def normalised(self, light: Tensor) -> Tensor:
        """Brightness with the mean of the model's pre-training images taken off, over their deviation."""
        mean = light.new_tensor(self.preprocessing.mean).view(1, -1, 1, 1)
        std = light.new_tensor(self.preprocessing.std).view(1, -1, 1, 1)
        return (light - mean) / std
