"""The typed options of image classification recipes; a string beneath a field is its help."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import AugmentedDataConfig, FamilyConfig, ModelConfig
from tunebook.config.score import BASELINE, GapScoreConfig


class Fit(Enum):
    """How an image becomes a square."""

    pad = "pad"
    stretch = "stretch"
    crop = "crop"


class Flip(Enum):
    """Which mirror images are as good as the original."""

    none = "none"
    horizontal = "horizontal"
    vertical = "vertical"
    both = "both"


class Imbalance(Enum):
    """What is done about rare labels while learning."""

    none = "none"
    weights = "weights"
    focal = "focal"


@dataclass
class ImageClassificationConfig(FamilyConfig):
    """Options of every image classifier."""

    findings: list[str] | None = None
    """Columns of 1 or 0, one per finding, where an image may have several (default: one label, data.label)."""
    negative: str | None = None
    """Label that means no finding (default: normal, no_finding, healthy, benign, negative, none or 0)."""
    subgroups: list[str] = field(default_factory=list)
    """Columns (site, scanner, sex ...) whose values are scored separately; cells under 20 images are hidden."""
    size: int | None = None
    """Height and width in pixels that the model sees (default: what it was pre-trained with)."""
    channels: int | None = None
    """Channels that the model takes (default: what it was pre-trained with; grey images are repeated)."""
    fit: Fit = Fit.pad
    """How an image becomes a square: pad (with black), stretch, or crop (to the centre)."""
    mean: list[float] | None = None
    """Mean of each channel for normalisation, 0 to 1 (default: the weights' own)."""
    std: list[float] | None = None
    """Standard deviation of each channel for normalisation (default: the weights' own)."""
    window: list[float] | None = None
    """Window centre and width for DICOM files (default: each file's own)."""
    bits: int | None = None
    """Bits that 16-bit images use (default: what the training images use)."""
    augment: bool = True
    """Augment training images at random (not with adapt=head, which computes features once)."""
    flip: Flip = Flip.none
    """Mirror images that augmentation may make: none, horizontal, vertical or both."""
    rotate: float = 10.0
    """Augmentation rotates images by up to this many degrees."""
    shift: float = 0.05
    """Augmentation shifts images by up to this share of their size."""
    zoom: float = 0.1
    """Augmentation makes images larger or smaller by up to this share."""
    brightness: float = 0.1
    """Augmentation makes images brighter or darker by up to this share of full brightness."""
    contrast: float = 0.1
    """Augmentation changes contrast by up to this share."""
    imbalance: Imbalance = Imbalance.none
    """Rare labels: none, weights (all labels count equally) or focal (easy images count less)."""
    focal_gamma: float = 2.0
    """Gamma of the focal loss, for imbalance=focal."""
    calibrate: bool = True
    """Calibrate probabilities: fit a temperature on the validation rows."""
    operating_points: dict[str, str] | None = None
    """Operating points, chosen on the validation rows: {name: "sensitivity 0.95"}, "specificity 0.95",
    "abstain 0.95 0.95" or "threshold 0.5" (default: the recipe's own)."""
    point: str | None = None
    """The operating point that decides the prediction where there is one finding (default: the head's rule)."""


@dataclass
class ImageData(AugmentedDataConfig):
    """Rows that name images."""

    image: str = "path"
    """Column that holds the path of the image."""
    image_root: str | None = None
    """Folder that image paths are relative to (default: the folder of the file that names them)."""
    max_pixels: int = 89_478_485
    """Pixels of the largest image that is decoded; the model keeps the limit."""


@dataclass
class ImageModel(ModelConfig):
    """The image network that is tuned."""

    weights: str | None = None
    """Local safetensors file with the weights of the architecture in model.name."""
    args: Any = None
    """Arguments of the architecture in timm: {pad_type: same}."""


@dataclass
class ImageEvaluation(GapScoreConfig):
    """What is measured on the test rows, and how surely."""

    suspects: bool | None = field(default=None, metadata={BASELINE: True})
    """List the training and validation images whose label is probably wrong, in suspects.csv (default: with adapt=head
    and one label an image, whose features are stored anyway)."""


@dataclass
class NewImageData(EvaluateDataConfig):
    """Images to score a finished model on."""

    image: str | None = None
    """Column that holds the path of the image (default: as in training)."""
    image_root: str | None = None
    """Folder that image paths are relative to (default: the folder of the file that names them)."""
    label: str | None = None
    """Column that holds the label (default: as in training)."""
    subgroups: list[str] | None = None
    """Columns whose values are scored separately (default: those of the training that are present)."""
