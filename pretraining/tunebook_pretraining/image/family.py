"""The family of image networks in the making."""

from __future__ import annotations

from tunebook.families.family import Family

from .options import FormulaData, ImagePretrainingConfig

FAMILY = Family(
    name="image_pretraining",
    code="tunebook_pretraining.image.stages:ImagePretraining",
    inputs_code="tunebook_pretraining.inputs:PretrainingInputs",
    recipe=ImagePretrainingConfig,
    data=FormulaData,
    does="is a backbone to be tuned",
)
