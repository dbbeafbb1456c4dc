"""What the family of image networks in the making does, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from tunebook.bundle.manifest import Manifest
from tunebook.config.schema import TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.rejects import RejectLog
from tunebook.families.prepared import Prepared
from tunebook.models.source import ModelSource
from tunebook.run_folder import RunFolder
from tunebook.training.fit import Fitted

from ..evidence import PretrainingEvidence
from ..stages import Pretrained, Pretraining
from .bundle import read_image_model, write_image_model
from .model import load_network
from .pictures import encode_pictures
from .recipe import PretrainImage
from .scores import judge


class ImagePretraining(Pretraining[PretrainImage]):
    """The formula that a picture was made by; a timm network."""

    def encode(
        self, recipe: PretrainImage, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """All pictures, drawn once and kept as bytes."""
        return encode_pictures(data, config, recipe.options.size)

    def build_model(
        self, recipe: PretrainImage, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """A timm network with one output a class."""
        return load_network(source, len(labels), fresh=self.fresh(config))

    def write_bundle(
        self,
        prepared: Prepared[PretrainImage],
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        card: Mapping[str, Any],
    ) -> None:
        """The backbone as timm opens it, in half precision."""
        write_image_model(run.bundle, prepared, model)

    def open_bundle(self, recipe: PretrainImage, folder: Path, manifest: Manifest) -> Pretrained:
        """The network with the classifier that it was trained with."""
        return read_image_model(folder, manifest)

    def judge(self, prepared: Prepared[PretrainImage], predictor: Pretrained, run: RunFolder) -> PretrainingEvidence:
        """The share of test pictures whose formula is recognised."""
        return judge(prepared, predictor)

    def split_counts(self, prepared: Prepared[PretrainImage]) -> Mapping[str, Mapping[str, int]]:
        """Pictures of each split."""
        return {name: {"pictures": len(examples)} for name, examples in prepared.encoded.splits.items()}
