"""The recipes that come with Tunebook keep the contract that strangers' recipes are held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunebook.testing import CHECKS, Status, Workshop, check_recipe

ROOT = Path(__file__).parent.parent.parent
OURS = sorted(p.name for p in (ROOT / "recipes").iterdir() if (p / "recipe.py").is_file())
WITHOUT_LABELS = {"customer_chat", "marketing_copy", "review_aspects"}


@pytest.mark.parametrize("name", OURS)
def test_a_recipe_of_ours_passes_every_check(name: str, workshop: Workshop, cache: Path):
    outcomes = check_recipe(name, workshop=workshop)
    assert [outcome.check for outcome in outcomes] == list(CHECKS)
    passed = {outcome.check for outcome in outcomes if outcome.status is Status.passed}
    assert passed == set(CHECKS) - ({"labels", "invariance"} if name in WITHOUT_LABELS else set())
