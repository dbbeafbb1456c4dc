"""What the family of image classifiers does for its recipes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import Method, TrainConfig
from tunebook.data.content import Content
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.module import FineTuneData
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.family import node_as
from tunebook.families.image_classification.baselines import ImageComparison
from tunebook.families.image_classification.batches import (
    encode_images,
    fresh_model,
    pixel_data,
    targets_of,
)
from tunebook.families.image_classification.bundle import read_image_classifier, write_image_bundle
from tunebook.families.image_classification.columns import GROUP
from tunebook.families.image_classification.data.content import ImageContent
from tunebook.families.image_classification.evidence import ImageEvidence, judged
from tunebook.families.image_classification.heads import training_head
from tunebook.families.image_classification.model.onnx import export_classifier
from tunebook.families.image_classification.options import NewImageData
from tunebook.families.image_classification.points import calibrated, in_words, notes_on, seen
from tunebook.families.image_classification.predictor import ImageClassifier
from tunebook.families.image_classification.preprocessing import ImageItems
from tunebook.families.image_classification.recipe import ImageClassification
from tunebook.families.image_classification.stored import feature_data
from tunebook.families.image_classification.suspects import list_suspects
from tunebook.families.prepared import Prepared, called
from tunebook.families.stages import Stages
from tunebook.models.source import ModelSource
from tunebook.recipe import Head
from tunebook.run_folder import RunFolder
from tunebook.training.devices import choose_accelerator
from tunebook.training.fit import Fitted

Recipe = ImageClassification[Any]


class ImageStages(Stages[ImageClassification[Any]]):
    """An image in, one label or several findings out; any timm or torchvision backbone."""

    def encode(
        self, recipe: Recipe, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """Pixels and targets of all splits."""
        return encode_images(recipe, data, source, config)

    def build_model(
        self, recipe: Recipe, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with one output a label."""
        return fresh_model(self.training_head(recipe, labels, encoded), source, labels, config, encoded)

    def rehearses(self, config: TrainConfig) -> bool:
        """No: `encode` tries the model on random pictures, before the run's own are decoded."""
        return False

    def training_head(self, recipe: Recipe, labels: Sequence[str], encoded: Encoded) -> Head:
        """The recipe's head with what ``recipe.imbalance`` asks for, from the training rows."""
        return training_head(recipe, labels, encoded.splits["train"].targets)

    def training_data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """The model on pixels, or with ``adapt=head`` its head on stored features."""
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
        made, notes = calibrated(prepared, model)
        card = {**card, "scores": [*card["scores"], *(notes if card["scores"] else ())]}
        write_image_bundle(
            run.bundle,
            made,
            prepared.recipe,
            prepared.source,
            prepared.config,
            card,
            in_words(made.points),
            seen(prepared),
            prepared.data.content,
        )

    def open_bundle(self, recipe: Recipe, folder: Path, manifest: Manifest) -> ImageClassifier:
        """An image classifier."""
        return read_image_classifier(recipe, folder, manifest)

    def judge(self, prepared: Prepared[Recipe], predictor: ImageClassifier, run: RunFolder) -> ImageEvidence:
        """The labels' shares, as a baseline; and the labels that are suspect."""
        config, encoded = prepared.config, prepared.encoded
        items: Any = encoded.splits["test"].items
        suspects, said = list_suspects(prepared)
        return judged(
            prepared.recipe,
            predictor,
            encoded.rows["test"],
            items,
            config.evaluation,
            config.seed,
            choose_accelerator(config.trainer),
            subgroups=prepared.recipe.options.subgroups,
            train_targets=encoded.splits["train"].targets,
            progress=config.trainer.progress,
            name=called(config),
            notes=[*notes_on(predictor), *said],
            suspects=suspects,
        )

    def judge_new(
        self, recipe: Recipe, predictor: ImageClassifier, rows: Rows, content: Content | None, config: EvaluateConfig
    ) -> ImageEvidence:
        """The model alone."""
        assert isinstance(content, ImageContent)
        subgroups = node_as(config.data, NewImageData).subgroups
        alone = [] if GROUP in rows.roles else [content.ungrouped.replace("fall into different splits", "count twice")]
        return judged(
            recipe,
            predictor,
            rows,
            ImageItems.of(rows, content, targets_of(rows, predictor.labels, predictor.findings.several)),
            config.evaluation,
            config.seed,
            choose_accelerator(config),
            subgroups=recipe.options.subgroups if subgroups is None else subgroups,
            notes=alone,
        )

    def split_counts(self, prepared: Prepared[Recipe]) -> Mapping[str, Any]:
        """Images of each label or finding."""
        counts = prepared.data.labels.counts if prepared.data.labels else {}
        return {split: dict(each) for split, each in counts.items()}

    def comparison(self, recipe: Recipe) -> ImageComparison:
        """The labels' shares, logistic regression on pixels, and runs read back."""
        return ImageComparison(recipe)

    def export(self, recipe: Recipe, folder: Path, manifest: Manifest, output: Path) -> str:
        """Pixels from 0 to 1 in, calibrated probabilities out."""
        return export_classifier(self.open_bundle(recipe, folder, manifest), output)
