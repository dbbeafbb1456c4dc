"""The family of language models in the making."""

from __future__ import annotations

from tunebook.families.family import Family

from .options import PassageData, TextPretrainingConfig

FAMILY = Family(
    name="text_pretraining",
    code="tunebook_pretraining.text.stages:TextPretraining",
    inputs_code="tunebook_pretraining.inputs:PretrainingInputs",
    recipe=TextPretrainingConfig,
    data=PassageData,
    does="is a backbone to be tuned",
    task="text-generation",
)
