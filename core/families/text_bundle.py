"""What is checked of the bundles of all families whose texts have labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunebook.bundle.manifest import FILE, Manifest
from tunebook.errors import RESTORE_BUNDLE, UserError


def check_names(manifest: Manifest, model: Any, folder: Path) -> None:
    """Refuse a bundle whose config.json, which a plain pipeline reads, names other labels than its manifest.

    Raises:
        UserError: It is such a bundle.
    """
    named = [model.config.id2label.get(i) for i in range(model.config.num_labels)]
    if len(named) == len(manifest.labels) and named != manifest.labels:
        raise UserError(
            f"config.json names the labels {', '.join(map(str, named))}, and {FILE} {', '.join(manifest.labels)}.",
            code="bundle.mismatch",
            where=str(folder),
            fix=f"its files were changed, or belong to different models; {RESTORE_BUNDLE}",
        )
