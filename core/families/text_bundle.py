"""What the bundles of all families of texts have in common: how models are saved, and what is checked of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunebook.bundle.manifest import FILE, Manifest
from tunebook.bundle.write import system_refusals
from tunebook.errors import RESTORE_BUNDLE, UserError
from tunebook.models.literal import save_tokenizer
from tunebook.models.quiet import quiet_transformers
from tunebook.models.sentence_model import save_max_length


def save_text_model(folder: Path, model: Any, tokenizer: Any, max_length: int) -> None:
    """Write the files of a model that other tools open: weights, config, tokenizer, and where it cuts texts.

    Args:
        folder: Takes them.
        model: A transformers model, or a `SentenceModel`.
        tokenizer: Its own.
        max_length: Longest text in tokens.
    """
    with system_refusals(), quiet_transformers():
        model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    save_max_length(folder, max_length)


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
