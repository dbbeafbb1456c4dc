"""What the family takes in: a model's files, and rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import ModelConfig, TrainConfig
from tunebook.data.columns import Column
from tunebook.data.content import Content
from tunebook.data.rows import IMAGE, PIXELS, Rows
from tunebook.errors import UserError
from tunebook.families.image_classification.columns import (
    GROUP,
    WRITTEN,
    evaluate_columns,
    pick_columns,
    predict_columns,
)
from tunebook.families.image_classification.data.arrays import inside
from tunebook.families.image_classification.model.image_source import find_image_model
from tunebook.families.image_classification.recipe import ImageClassification
from tunebook.families.inputs import Inputs
from tunebook.families.picking import Shown, not_picked_for
from tunebook.models.source import ModelSource

Recipe = ImageClassification[Any]


class ImageInputs(Inputs[ImageClassification[Any]]):
    """Pictures; a starter, a timm or torchvision name, a folder or a hub id."""

    def find_model(self, recipe: Recipe, config: ModelConfig, weights: bool) -> ModelSource:
        """A starter, a timm or torchvision name, a folder or a hub id."""
        return find_image_model(config, weights)

    def content(self, recipe: Recipe, source: ModelSource, config: TrainConfig) -> Content:
        """The pictures at the size that the model sees."""
        # torch begins here: the size is the model's to say.
        from tunebook.families.image_classification.batches import training_content
        from tunebook.families.image_classification.points import check_rules, check_use, points_of

        check_use(recipe)
        check_rules(points_of(recipe), recipe.options.point)  # a typo there is reported before any image is read
        return training_content(recipe.options, source, config)

    def keys(self, recipe: Recipe, rows: Rows) -> list[str]:
        """Digests of the pixels."""
        return rows.texts(PIXELS)

    def copies_seen(self, rows: Rows, content: Content | None, folder: Path) -> NDArray[np.int64]:
        """Rescaled and re-encoded copies of pictures, by their sketches."""
        from tunebook.families.image_classification.data.content import ImageContent
        from tunebook.families.image_classification.data.sketches import copies, read_sketches, sketches

        assert isinstance(content, ImageContent)
        return copies(sketches(content.thumbnails(rows.texts(PIXELS))), read_sketches(folder))

    def bundle_content(self, recipe: Recipe, manifest: Manifest, cache_dir: Path, answered: bool) -> Content:
        """Pictures made as the bundle's model was trained on them."""
        from tunebook.families.image_classification.bundle import bundle_content  # torch begins here

        return bundle_content(manifest, cache_dir)

    def predict_columns(
        self, recipe: Recipe, manifest: Manifest, column: str | None, files: Sequence[str], delimiter: str | None = None
    ) -> Sequence[Column]:
        """The image alone."""
        return predict_columns(manifest, column)

    def evaluate_columns(self, recipe: Recipe, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training, with what is renamed."""
        return evaluate_columns(recipe.options, manifest, data)

    def check_pick(self, recipe: Recipe, folder: Path, manifest: Manifest) -> None:
        """A model with several findings has no likeliest answer that its gradient could be of.

        Raises:
            UserError: It is such a model.
        """
        if recipe.options.findings is not None:
            raise not_picked_for("This bundle's model finds any of several findings in an image", folder)

    def pick_columns(
        self, recipe: Recipe, manifest: Manifest, column: str | None, files: Sequence[str], delimiter: str | None
    ) -> Sequence[Column]:
        """The image, its label, which most rows lack, and the group that training knew."""
        return pick_columns(manifest, column)

    def shown(self, manifest: Manifest, rows: Rows, as_tasks: bool) -> Shown:
        """By their path as the pool has it, with their group where it has one.

        Raises:
            UserError: An image lies in an .npz file, and is to become a task.
        """
        packed = next((name for name in rows.texts(WRITTEN) if inside(name)), None) if as_tasks else None
        if packed is not None:
            raise UserError(
                "Label Studio opens image files, and this image is inside an .npz file.",
                code="pick.no-image-files",
                where=packed,
                fix="save the images as files, or leave out --label-studio",
            )
        has_groups = GROUP in manifest.columns and any(rows.texts(GROUP))
        beside = {GROUP: manifest.columns[GROUP]} if has_groups else {}
        return Shown(WRITTEN, IMAGE, list(dict.fromkeys([IMAGE, manifest.columns[IMAGE]])), beside)

    def check_export(self, recipe: Recipe, folder: Path, manifest: Manifest) -> None:
        """Every model of images is exported."""
        return None
