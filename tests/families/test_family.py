"""The light value that an entry point names, and the code behind it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tunebook.errors import UserError
from tunebook.families.family import Family
from tunebook.families.text_regression.family import FAMILY
from tunebook.families.text_regression.options import TextRegressionConfig
from tunebook.plugins.families import find_families

HEAVY = {"torch", "lightning", "transformers", "torchmetrics", "sklearn", "scipy", "matplotlib", "timm", "pyarrow"}


@pytest.mark.parametrize("name", find_families())
def test_a_family_costs_nothing_heavy_until_it_works(name: str):
    code = f"import sys, tunebook.families.{name}.family\nprint(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_its_code_is_made_once_and_knows_its_family():
    stages = FAMILY.stages
    assert type(stages).__name__ == "TextRegressionStages" and stages is FAMILY.stages
    assert stages.family is FAMILY


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("nowhere.stages:Stages", "ModuleNotFoundError"),
        ("tunebook.families.stages:Nothing", "AttributeError"),
        ("no name at all", "ValueError"),
        ("tunebook.families.family:Family", "not a class of Stages"),
        ("tunebook.families.family:node_as", "not a class of Stages"),
    ],
)
def test_code_that_is_none_is_named(code: str, reason: str):
    with pytest.raises(UserError, match=reason) as caught:
        _ = Family("mine", code, TextRegressionConfig).stages
    assert caught.value.code == "family.broken" and caught.value.where == code
