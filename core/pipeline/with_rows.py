"""A run with other rows, such as a few of its own: for rehearsals and cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.prepared import Prepared


def with_rows(prepared: Prepared[Any], rows: Mapping[str, Rows], scratch: Path) -> Prepared[Any]:
    """The run with these rows, encoded anew; its labels stay, and it shows no progress.

    Args:
        prepared: The run.
        rows: Of each split.
        scratch: Takes caches and rejects.
    """
    config, given = prepared.config, prepared.data
    config = replace(
        config,
        data=replace(config.data, cache_dir=str(scratch), num_workers=0),
        trainer=replace(config.trainer, progress=False),
    )
    kept = sum(map(len, rows.values()))
    books = {"read": kept, "kept": kept, "rejected": 0, "dropped": 0, "unused": 0, "leaks": (), "notes": ()}
    data = ValidatedData(**{f.name: getattr(given, f.name) for f in fields(given)} | dict(rows) | books)
    log = RejectLog(scratch / "rejects.jsonl", kept)
    encoded = prepared.recipe.family.stages.encode(prepared.recipe, data, prepared.source, config, log)
    return Prepared(config, prepared.recipe, prepared.source, data, encoded)
