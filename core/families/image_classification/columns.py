"""Which columns an image classifier reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import DataConfig
from tunebook.data.columns import Column, group_columns
from tunebook.data.labels import Labels
from tunebook.data.rows import IMAGE
from tunebook.data.subgroups import subgroup_columns
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.image_classification.data.sources import IMAGE_FILES
from tunebook.families.image_classification.options import ImageClassificationConfig, ImageData, NewImageData

LABEL, GROUP = "label", "group"
WRITTEN = "image as written"
"""The role of an image's path as its row has it."""


def _image(name: str, key: str, root: str | None = None) -> Column:
    """The column that names a row's image."""
    return Column(IMAGE, name, key, "file", files=IMAGE_FILES, root=root)


def finding_role(number: int) -> str:
    """The role of a finding's column."""
    return f"finding {number}"


def training_columns(options: ImageClassificationConfig, data: DataConfig) -> list[Column]:
    """An image, its label or findings, and the group and subgroup columns where they are named."""
    own = node_as(data, ImageData)
    columns = [_image(own.image, "data.image", own.image_root), *_answers(options, own.label)]
    return columns + group_columns(data.group) + subgroup_columns(options.subgroups, "recipe.subgroups")


def _answers(options: ImageClassificationConfig, label: str) -> list[Column]:
    if options.findings is None:
        return [Column(LABEL, label, "data.label", "label")]
    if not options.findings:
        raise UserError(
            "recipe.findings is empty",
            code="config.missing-value",
            where="recipe.findings",
            fix="leave it out, or name some",
        )
    return [Column(finding_role(i), name, "recipe.findings", "flag") for i, name in enumerate(options.findings)]


def evaluate_columns(options: ImageClassificationConfig, manifest: Manifest, data: EvaluateDataConfig) -> list[Column]:
    """As in training, with what is renamed."""
    own = node_as(data, NewImageData)
    columns = [_image(own.image or manifest.columns["image"], "data.image", own.image_root)]
    columns += _answers(options, own.label or manifest.columns.get("label", "label"))
    columns += group_columns(data.group)
    if own.subgroups is not None:
        return columns + subgroup_columns(own.subgroups, "data.subgroups")
    # Other rows need not have them.
    return columns + subgroup_columns(options.subgroups, "recipe.subgroups", required=False)


def predict_columns(manifest: Manifest, column: str | None) -> list[Column]:
    """The image alone."""
    return [_image(column or manifest.columns["image"], "--image")]


def pick_columns(manifest: Manifest, column: str | None) -> list[Column]:
    """The image, its path as it is written, its label where it has one, and its group where training had groups."""
    (image,) = predict_columns(manifest, column)
    written = replace(image, role=WRITTEN, files=replace(IMAGE_FILES, locate=lambda value, folder: (value, "")))
    optional = [LABEL, *([GROUP] if GROUP in manifest.columns else [])]
    kinds: dict[str, Literal["label", "any"]] = {LABEL: "label", GROUP: "any"}
    beside = [
        Column(role, manifest.columns.get(role, role), "", kinds[role], required=False, choice="") for role in optional
    ]
    return [image, written, *beside]


def check_choice(labels: Labels, options: ImageClassificationConfig) -> None:
    """Validation rows choose the checkpoint and the operating points: they must hold what is to be chosen by.

    Raises:
        UserError: They cannot.
    """
    counts = labels.counts["validation"]
    total = sum(counts.values())
    one_label = options.findings is None
    if not total or (one_label and len([name for name in labels.names if counts.get(name)]) < 2):
        raise UserError(
            "the validation rows have a single class: "
            + ("they all have the same label" if one_label else "none of them has a finding"),
            code="data.constant-label",
            where="data.validation",
            fix="give validation rows with and without findings, or a larger data.validation_fraction",
        )
