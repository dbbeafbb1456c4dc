from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[3] / "rows/marketing_copy"
E2E = Path(__file__).parents[5] / "shared/data/e2e"


@pytest.fixture(scope="session")
def briefs() -> list[dict[str, Any]]:
    """Varied ones, written by hand."""
    lines = [line for file in sorted(SAMPLES.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()]
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def e2e() -> Path:
    """The folder of the E2E data."""
    if not E2E.is_dir():
        pytest.skip("the E2E data is not beside the project")
    return E2E
