"""The family of recipes that classify images: one label, or any of several findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from tunebook.config.schema import DataConfig
from tunebook.families.family import Family
from tunebook.families.image_classification.family import FAMILY
from tunebook.families.image_classification.options import ImageClassificationConfig as ImageClassificationConfig
from tunebook.recipe import Head, Recipe

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import MetricCollection

    from tunebook.data.columns import Column
    from tunebook.data.draws import Draws
    from tunebook.data.labels import Labels


ImageConfigT = TypeVar("ImageConfigT", bound=ImageClassificationConfig)


class ImageClassification(Recipe[ImageConfigT]):
    """An image in, one label or several findings out; any timm or torchvision backbone."""

    family: ClassVar[Family] = FAMILY
    Config: ClassVar[type] = ImageClassificationConfig
    watch: ClassVar[str] = "auroc"

    @property
    def cautions(self) -> Sequence[str]:
        """What the report and the model card must say of the model's use, a sentence each."""
        return ()

    @property
    def own_points(self) -> Mapping[str, str]:
        """The operating points where the user names none."""
        return {}

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """An image, its label or findings, and the group and subgroup columns where they are named."""
        from tunebook.families.image_classification.columns import training_columns

        return training_columns(self.options, data)

    def check_labels(self, labels: Labels, data: DataConfig) -> None:
        """Options that name labels must name some of these; and validation rows must be able to choose."""
        from tunebook.families.image_classification.findings import check_labels

        check_labels(self, labels)

    def augment(self, images: Tensor, draws: Draws) -> Tensor:
        """Training images changed, after the family's own augmentation and before they are normalised.

        Args:
            images: ``[batch, channels, height, width]``, 0 to 1, on the model's device.
            draws: Random numbers that follow from the seed, the epoch and the row: take all from it, and a resumed run
                goes on with the same images.

        Returns:
            The images, of the same shape and type.
        """
        return images

    def head(self, labels: Sequence[str]) -> Head:
        """One output a label: softmax, or a sigmoid each where an image may have several findings."""
        from tunebook.families.image_classification.heads import make_head

        return make_head(labels, self.options)

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """AUROC and average precision, averaged over the findings; balanced accuracy of single labels."""
        from tunebook.families.image_classification.scores import make_metrics

        return make_metrics(self, labels)
