"""`tunebook export` of what is not exported."""

from __future__ import annotations

import json
from pathlib import Path

from tests.light import said_lightly

MANIFEST = {
    "recipe": "review_sentiment",
    "recipe_version": "",
    "options": {"name": "review_sentiment"},
    "head": "softmax",
    "labels": ["bad", "good"],
    "max_length": 16,
    "columns": {"text": "text"},
    "golden": [],
    "format": 1,
}


def test_a_model_of_texts_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "tunebook.json").write_text(json.dumps(MANIFEST))
    said = said_lightly(tmp_path, "export", str(tmp_path), "-o", "model.onnx")
    assert "Only image models" in said and "optimum-cli" in said and "--task text-classification" in said
    assert [p.name for p in tmp_path.iterdir()] == ["tunebook.json"]
