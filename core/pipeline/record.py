"""record.json: everything that shaped a run, to compare it with others and to resume it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tunebook.errors import UserError
from tunebook.models.source import weights_digest

if TYPE_CHECKING:
    from tunebook.data.encoded import Encoded
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.models.source import ModelSource

PACKAGES = (
    "tunebook",
    "torch",
    "lightning",
    "transformers",
    "tokenizers",
    "peft",
    "torchmetrics",
    "hydra-core",
    "numpy",
    "timm",
    "torchvision",
    "pillow",
    "pydicom",
)

# What a run cannot go on without: with another of these, it would be another run.
_SAME = {
    "rows": "its rows",
    "weights": "its weights",
    "world_size": "its world size",
    "labels": "its labels",
    "encoding": "what the model reads of its rows (tokenizer, chat template, lengths)",
}


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def make_record(
    config: Any, checked: ValidatedData, encoded: Encoded, source: ModelSource, device: str
) -> dict[str, Any]:
    """Collect the record of a run before it starts."""
    labels = checked.labels
    return {
        "recipe": config.recipe["name"],
        "rows": {name: rows.fingerprint for name, rows in encoded.rows.items()},
        "row_counts": {name: len(rows) for name, rows in encoded.rows.items()},
        "source": checked.source,
        "labels": list(labels.names) if labels else [],
        "personal_data": checked.personal.record() if checked.personal is not None else [],
        "counts": {k: dict(v) for k, v in labels.counts.items()} if labels else {},
        "model": source.name,
        "revision": source.revision,
        "weights": weights_digest(source),
        "encoding": _encoding(encoded.identity),
        "seed": config.seed,
        "device": device,
        "threads": torch.get_num_threads(),
        "world_size": config.trainer.devices * config.trainer.num_nodes,
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _encoding(identity: Mapping[str, str]) -> str:
    """One digest of what shapes the examples of all splits: a file that is read by name may change in between."""
    return hashlib.sha256("\n".join(f"{name}\n{identity[name]}" for name in sorted(identity)).encode()).hexdigest()


def check_same(before: dict[str, Any], now: dict[str, Any], run_dir: Path) -> list[str]:
    """Compare the record of an interrupted run with what it would go on with.

    Returns:
        What differs without forbidding to go on: versions, device.

    Raises:
        UserError: Rows, weights, labels, number of processes, or what the model reads of the rows changed.
    """
    for key, name in _SAME.items():
        if key == "encoding" and key not in before:  # a run of an earlier version
            continue
        if before.get(key) != now[key]:
            raise UserError(
                f"This run cannot be resumed: {name} changed since it was interrupted.",
                code="run.changed",
                where=str(run_dir / "record.json"),
                fix="restore it, or start a new run",
            )
    changed = [
        f"{name} {old} -> {now['versions'].get(name)}"
        for name, old in before["versions"].items()
        if now["versions"].get(name) != old
    ]
    if before.get("device") != now["device"]:
        changed.append(f"device {before.get('device')} -> {now['device']}")
    return changed
