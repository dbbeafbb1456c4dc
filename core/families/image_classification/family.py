"""What the family of image classifiers does for its recipes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook.config.schema import Method, ModelConfig, TrainConfig
from tunebook.families.family import Family
from tunebook.families.image_classification.options import OPTIONS
from tunebook.families.options import FamilyOptions

if TYPE_CHECKING:
    from torch import nn

    from tunebook.bundle.manifest import Manifest
    from tunebook.config.evaluate import EvaluateConfig, EvaluateDataConfig
    from tunebook.data.columns import Column
    from tunebook.data.content import Content
    from tunebook.data.encoded import Encoded
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.data.module import FineTuneData
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows
    from tunebook.families.image_classification.baselines import ImageComparison
    from tunebook.families.image_classification.evidence import ImageEvidence
    from tunebook.families.image_classification.predictor import ImageClassifier
    from tunebook.families.image_classification.recipe import ImageClassification
    from tunebook.families.prepared import Prepared
    from tunebook.models.source import ModelSource
    from tunebook.recipe import Head
    from tunebook.run_folder import RunFolder
    from tunebook.training.fit import Fitted

    Recipe = ImageClassification[Any]


class ImageClassificationFamily(Family["ImageClassification[Any]"]):
    """An image in, one label or several findings out; any timm or torchvision backbone."""

    name: ClassVar[str] = "image_classification"
    options: ClassVar[FamilyOptions] = OPTIONS
    does: ClassVar[str] = "labels images"

    def find_model(self, recipe: Recipe, config: ModelConfig, weights: bool) -> ModelSource:
        """A starter, a timm or torchvision name, a folder or a hub id."""
        from tunebook.families.image_classification.model.image_source import find_image_model

        return find_image_model(config, weights)

    def content(self, recipe: Recipe, source: ModelSource, config: TrainConfig) -> Content:
        """The pictures at the size that the model sees."""
        from tunebook.families.image_classification.batches import training_content
        from tunebook.families.image_classification.points import check_rules, check_use, points_of

        check_use(recipe)
        check_rules(points_of(recipe), recipe.options.point)  # a typo there is told before any image is read
        return training_content(recipe.options, source, config)

    def encode(
        self, recipe: Recipe, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """Pixels and targets of all splits."""
        from tunebook.families.image_classification.batches import encode_images

        return encode_images(recipe, data, source, config)

    def keys(self, recipe: Recipe, rows: Rows) -> list[str]:
        """Digests of the pixels."""
        return rows.texts("pixels")

    def build_model(
        self, recipe: Recipe, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with one output a label."""
        from tunebook.families.image_classification.batches import fresh_model

        return fresh_model(self.training_head(recipe, labels, encoded), source, labels, config, encoded)

    def training_head(self, recipe: Recipe, labels: Sequence[str], encoded: Encoded) -> Head:
        """The recipe's head with what ``recipe.imbalance`` asks for, from the training rows."""
        from tunebook.families.image_classification.heads import training_head

        return training_head(recipe, labels, encoded.splits["train"].items.targets)  # type: ignore[attr-defined]

    def training_data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """The model on pixels, or with ``adapt=head`` its head on stored features."""
        from tunebook.families.image_classification.batches import feature_data, pixel_data

        if config.adapt.method is Method.head:
            return feature_data(model, encoded, source, config)
        return model, pixel_data(encoded, config)

    def write_bundle(
        self,
        prepared: Prepared[Recipe],
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        card: Mapping[str, Any],
    ) -> None:
        """A plain timm or torchvision folder, calibrated, with the operating points."""
        from tunebook.families.image_classification.bundle import write_image_bundle
        from tunebook.families.image_classification.points import calibrated, in_words, seen

        made, told = calibrated(prepared, model)
        card = {**card, "scores": [*card["scores"], *(told if card["scores"] else ())]}
        write_image_bundle(
            run.bundle,
            made,
            prepared.recipe,
            prepared.source,
            prepared.config,
            card,
            in_words(made.points),
            seen(prepared),
        )

    def open_bundle(self, recipe: Recipe, folder: Path, manifest: Manifest) -> ImageClassifier:
        """An image classifier."""
        from tunebook.families.image_classification.bundle import read_image_classifier

        return read_image_classifier(recipe, folder, manifest)

    def bundle_content(self, recipe: Recipe, manifest: Manifest, cache_dir: Path, answered: bool) -> Content:
        """Pictures made as the bundle's model was trained on them."""
        from tunebook.families.image_classification.bundle import bundle_content

        return bundle_content(manifest, cache_dir)

    def predict_columns(
        self, recipe: Recipe, manifest: Manifest, column: str | None, files: Sequence[str]
    ) -> Sequence[Column]:
        """The image alone."""
        from tunebook.families.image_classification.columns import predict_columns

        return predict_columns(manifest, column)

    def evaluate_columns(self, recipe: Recipe, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training, with what is renamed."""
        from tunebook.families.image_classification.columns import evaluate_columns

        return evaluate_columns(recipe.options, manifest, data)

    def judge(self, prepared: Prepared[Recipe], predictor: ImageClassifier, run: RunFolder) -> ImageEvidence:
        """Beside the labels' shares."""
        from tunebook.families.image_classification.evidence import judge

        return judge(prepared, predictor)

    def judge_new(
        self, recipe: Recipe, predictor: ImageClassifier, rows: Rows, content: Content | None, config: EvaluateConfig
    ) -> ImageEvidence:
        """The model alone."""
        from tunebook.families.image_classification.evidence import judge_new

        return judge_new(recipe, predictor, rows, content, config)

    def split_counts(self, prepared: Prepared[Recipe]) -> Mapping[str, Any]:
        """Images of each label or finding."""
        counts = prepared.data.labels.counts if prepared.data.labels else {}
        return {split: dict(each) for split, each in counts.items()}

    def comparison(self, recipe: Recipe) -> ImageComparison:
        """The labels' shares, logistic regression on pixels, and runs read back."""
        from tunebook.families.image_classification.baselines import ImageComparison

        return ImageComparison(recipe)

    def export(self, recipe: Recipe, folder: Path, manifest: Manifest, output: Path) -> str:
        """Pixels from 0 to 1 in, calibrated probabilities out."""
        from tunebook.families.image_classification.model.onnx import export_classifier

        return export_classifier(self.open_bundle(recipe, folder, manifest), output)


FAMILY = ImageClassificationFamily()
