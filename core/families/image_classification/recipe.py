"""The family of recipes that tell what is in an image: one label, or any of several findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook.config.schema import DataConfig, Method, ModelConfig, TrainConfig
from tunebook.pipeline.encoded import Encoded
from tunebook.recipe import ConfigT, FamilyConfig, Head, Recipe

if TYPE_CHECKING:
    from torch import nn
    from torchmetrics import MetricCollection

    from tunebook.bundle.manifest import Manifest
    from tunebook.compare.protocol import Family
    from tunebook.config.evaluate import EvaluateConfig, EvaluateDataConfig
    from tunebook.data.columns import Column
    from tunebook.data.content import Content
    from tunebook.data.labels import Labels
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.data.module import FineTuneData
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows
    from tunebook.families.image_classification.findings import Findings
    from tunebook.families.image_classification.predictor import ImageClassifier
    from tunebook.models.source import ModelSource
    from tunebook.pipeline.prepare import Prepared
    from tunebook.pipeline.run_folder import RunFolder
    from tunebook.training.fit import Fitted


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
    """Columns of 1 or 0, one a finding, where an image may have several (default: one label, data.label)."""
    negative: str | None = None
    """Label that means no finding (default: normal, no_finding, healthy, benign, negative, none or 0)."""
    subgroups: list[str] = field(default_factory=list)
    """Columns (site, scanner, sex ...) whose values are scored apart; cells under 20 images are hidden."""
    size: int | None = None
    """Height and width in pixels that the model sees (default: what it was pre-trained with)."""
    channels: int | None = None
    """Channels that the model takes (default: what it was pre-trained with; grey images are repeated)."""
    fit: Fit = Fit.pad
    """How an image becomes a square: pad (black beside it), stretch, or crop (loses what lies outside)."""
    mean: list[float] | None = None
    """Mean of each channel, 0 to 1, that is subtracted (default: the weights' own)."""
    std: list[float] | None = None
    """Standard deviation of each channel that is divided by (default: the weights' own)."""
    window: list[float] | None = None
    """Centre and width of the values shown of a DICOM file (default: the file's own window)."""
    bits: int | None = None
    """Bits that 16-bit images use (default: what the training images use)."""
    augment: bool = True
    """Show each training image a little changed every time (not with adapt=head, which sees it once)."""
    flip: Flip = Flip.none
    """Mirror images that augmentation may make: none, horizontal, vertical or both."""
    rotate: float = 10.0
    """Augmentation turns images by up to this many degrees."""
    shift: float = 0.05
    """Augmentation shifts images by up to this share of their size."""
    zoom: float = 0.1
    """Augmentation makes images larger or smaller by up to this share."""
    brightness: float = 0.1
    """Augmentation makes images brighter or darker by up to this share of full brightness."""
    contrast: float = 0.1
    """Augmentation changes contrast by up to this share."""
    imbalance: Imbalance = Imbalance.none
    """Rare labels: none, weights (each label counts alike) or focal (images already told apart count less)."""
    focal_gamma: float = 2.0
    """How much less, for imbalance=focal."""
    calibrate: bool = True
    """Fit a temperature on the validation rows, so that probabilities are as sure as they are right."""
    points: dict[str, str] | None = None
    """Operating points, chosen on the validation rows: {name: "sensitivity 0.95"}, "specificity 0.95",
    "abstain 0.95 0.95" or "threshold 0.5" (default: the recipe's own)."""
    point: str | None = None
    """The operating point that gives the answer where there is one finding (default: the likelier label)."""


class ImageClassification(Recipe[ConfigT]):
    """An image in, one label or several findings out; any timm or torchvision backbone."""

    family: ClassVar[str] = "image_classification"
    Config: ClassVar[type] = ImageClassificationConfig
    watch: ClassVar[str] = "auroc"

    @property
    def cautions(self) -> Sequence[str]:
        """What the report and the model card must say of the model's use, a sentence each."""
        return ()

    @property
    def image_options(self) -> ImageClassificationConfig:
        """The options as this family knows them."""
        assert isinstance(self.options, ImageClassificationConfig)
        return self.options

    @property
    def own_points(self) -> Mapping[str, str]:
        """The operating points where the user names none."""
        return {}

    @property
    def points(self) -> Mapping[str, str]:
        """Rules of the operating points, by name."""
        given = self.image_options.points
        return self.own_points if given is None else given

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """An image, its label or findings, and the group and subgroup columns where they are named."""
        from tunebook.families.image_classification.columns import training_columns

        return training_columns(self.image_options, data)

    def check_labels(self, labels: Labels, data: DataConfig) -> None:
        """Options that name labels must name some of these; and validation rows must be able to choose."""
        from tunebook.families.image_classification.columns import check_choice
        from tunebook.families.image_classification.predictor import check_point

        check_point(self.image_options.point, self.findings(labels.names))
        check_choice(labels, self.image_options)

    def findings(self, labels: Sequence[str]) -> Findings:
        """Which outputs are findings."""
        from tunebook.families.image_classification.findings import find_findings

        options = self.image_options
        return find_findings(labels, several=options.findings is not None, negative=options.negative)

    def head(self, labels: Sequence[str]) -> Head:
        """One output a label: softmax, or a sigmoid each where an image may have several findings."""
        from tunebook.families.image_classification.heads import make_head

        return make_head(labels, self.image_options)

    def training_head(self, labels: Sequence[str], encoded: Encoded) -> Head:
        """The head with what ``recipe.imbalance`` asks for, from the training rows."""
        from tunebook.families.image_classification.heads import make_head

        return make_head(labels, self.image_options, encoded.splits["train"].items.targets)  # type: ignore[attr-defined]

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """AUROC and average precision, averaged over the findings; balanced accuracy of single labels."""
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MulticlassAccuracy

        from tunebook.statistics.metrics import FindingAUROC, FindingAveragePrecision

        columns = self.findings(labels).columns
        metrics: dict[str, Any] = {
            "auroc": FindingAUROC(columns=columns),
            "average_precision": FindingAveragePrecision(columns=columns),
        }
        if self.image_options.findings is None:
            metrics["balanced_accuracy"] = MulticlassAccuracy(len(labels), average="macro")
            metrics["accuracy"] = MulticlassAccuracy(len(labels), average="micro")
        return MetricCollection(metrics)

    # What follows is the family's own work; a recipe has no need to change it.

    def find_model(self, config: ModelConfig, weights: bool) -> ModelSource:
        """A starter, a timm or torchvision name, a folder or a hub id."""
        from tunebook.families.image_classification.model.image_source import find_image_model

        return find_image_model(config, weights)

    def content(self, source: ModelSource, config: TrainConfig) -> Content:
        """The pictures at the size that the model sees."""
        from tunebook.families.image_classification.batches import training_content
        from tunebook.families.image_classification.evidence import check_rules
        from tunebook.plugins.answers import check_use

        check_use(self)
        check_rules(self.points, self.image_options.point)  # a typo there is told before any image is read
        return training_content(self.image_options, source, config)

    def encode(self, checked: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog) -> Encoded:
        """Pixels and targets of all splits."""
        from tunebook.families.image_classification.batches import encode_images

        return encode_images(self.image_options, checked, source, config)

    def build_model(
        self, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with one output a label."""
        from tunebook.families.image_classification.batches import fresh_model

        return fresh_model(self.training_head(labels, encoded), source, labels, config, encoded)

    def data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """What is trained on what: the model on pixels, or with ``adapt=head`` its head on stored features."""
        from tunebook.families.image_classification.batches import feature_data, pixel_data

        if config.adapt.method is Method.head:
            return feature_data(model, encoded, source, config)
        return model, pixel_data(encoded, config)

    def finish(
        self,
        prepared: Prepared,
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        record: dict[str, Any],
        facts: Mapping[str, str],
    ) -> float:
        """Calibrate, choose operating points, write the bundle, score what is read back from it, and report."""
        from tunebook.families.image_classification.evidence import finish

        return finish(self, prepared, model, fitted, run, record, facts)

    def open_bundle(self, folder: Path, manifest: Manifest) -> ImageClassifier:
        """An image classifier."""
        from tunebook.families.image_classification.bundle import read_image_classifier

        return read_image_classifier(self, folder, manifest)

    def bundle_content(self, manifest: Manifest, cache_dir: Path, answered: bool) -> Content:
        """Pictures made as the bundle's model was trained on them."""
        from tunebook.families.image_classification.bundle import bundle_content

        return bundle_content(manifest, cache_dir)

    def predict_columns(self, manifest: Manifest, column: str | None, files: Sequence[str]) -> Sequence[Column]:
        """The image alone."""
        from tunebook.families.image_classification.columns import predict_columns

        return predict_columns(manifest, column)

    def evaluate_columns(self, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training, with what is renamed."""
        from tunebook.families.image_classification.columns import evaluate_columns

        return evaluate_columns(self.image_options, manifest, data)

    def keys(self, rows: Rows) -> list[str]:
        """Digests of the pixels."""
        return rows.texts("pixels")

    def evaluate(
        self,
        predictor: ImageClassifier,
        rows: Rows,
        content: Content | None,
        config: EvaluateConfig,
        run: RunFolder,
        facts: Mapping[str, str],
        notes: Sequence[str],
    ) -> float:
        """Score a bundle on new rows."""
        from tunebook.families.image_classification.evidence import evaluate

        return evaluate(self, predictor, rows, content, config, run, facts, notes)

    def ladder(self) -> Family:
        """How such recipes are compared."""
        from tunebook.families.image_classification.baselines import ImageLadder

        return ImageLadder(self)
