"""Write a bundle that is a plain transformers folder, for a family that keeps nothing else in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunebook import __version__
from tunebook.bundle.manifest import Golden
from tunebook.bundle.seen import write_seen
from tunebook.bundle.write import system_refusals, write_manifest
from tunebook.families.prepared import Prepared
from tunebook.files import folder_written_whole, write_text
from tunebook.models.quiet import quiet_transformers

_CARD = """\
---
library_name: transformers
pipeline_tag: {task}
tags: [tunebook, {recipe}]
---

# {recipe}: {backbone}

A model that {does}, made by Tunebook {version}. Its outputs: {labels}.

```
tunebook predict path/to/this/folder rows.csv
```

## Data

{data}

## Training

{training}

## Scores on the validation rows

{scores}
"""


def write_plain_bundle(
    folder: Path,
    prepared: Prepared[Any],
    model: Any,
    *,
    head: str,
    labels: Sequence[str],
    card: Mapping[str, Any],
    golden: Sequence[Golden] = (),
    state: Mapping[str, Any] | None = None,
) -> None:
    """Write model, tokenizer, manifest and card next to the target, then rename; and the texts seen, as hashes.

    Args:
        folder: The bundle; must not exist.
        prepared: The rows that the model was made of, with their tokenizer.
        model: One of transformers' models.
        head: Kind of its head.
        labels: What its outputs are called.
        card: Facts for the model card: ``data``, ``training``, ``scores``.
        golden: A few inputs with their outputs.
        state: What the family needs besides to open it.
    """
    recipe, encoded, family = prepared.recipe, prepared.encoded, prepared.recipe.family
    data_facts = {
        name: "\n".join(f"- {what}: {value}" for what, value in card[name].items()) for name in ("data", "training")
    }
    scores = "\n".join(f"- {line}" for line in card["scores"]) or "- none"
    name = Path(prepared.source.name).name
    with folder_written_whole(folder) as partial:
        with system_refusals(), quiet_transformers():
            model.save_pretrained(partial)
        encoded.tokenizer.save_pretrained(partial)
        write_manifest(
            partial,
            recipe,
            head=head,
            max_length=encoded.max_length,
            columns={column.role: column.name for column in recipe.columns(prepared.config.data)},
            labels=labels,
            golden=golden,
            state=state or {},
        )
        facts = {"task": family.task, "recipe": recipe.options.name, "backbone": name, "does": family.does}
        shown = {**facts, **data_facts, "version": __version__, "labels": ", ".join(labels), "scores": scores}
        write_text(partial / "README.md", _CARD.format(**shown))
        write_seen(partial, _seen(prepared))


def _seen(prepared: Prepared[Any]) -> Iterator[str]:
    """What identifies the rows that shaped the weights, or chose among them."""
    for split in ("train", "validation"):
        yield from prepared.recipe.family.inputs.keys(prepared.recipe, prepared.encoded.rows[split])
