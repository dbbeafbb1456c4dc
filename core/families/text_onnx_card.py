"""README.md of a folder with a text model as ONNX: what was checked, and how it is used without Tunebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunebook import __version__
from tunebook.bundle.manifest import VALUE, Manifest
from tunebook.training.head import Head
from tunebook.training.softmax_head import answers_plainly

_CARD = """\
---
library_name: onnx
tags: [tunebook, {recipe}]
---

# {recipe} as ONNX

A text model that gives {gives}, written by `tunebook export` (Tunebook {version}). It was compared with the model that
it was made of: onnxruntime answered {rows} texts of different lengths, each alone and all padded in one batch.

{found}

```
tunebook predict path/to/this/folder rows.csv --engine onnx
```

Without Tunebook, with the packages onnxruntime and tokenizers:

```python
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("path/to/this/folder/tokenizer.json")
tokenizer.enable_truncation({max_length})
tokenizer.enable_padding(pad_id={pad})
session = onnxruntime.InferenceSession("path/to/this/folder/{file}")

texts = {texts}
encoded = tokenizer.encode_batch(texts)
inputs = {{
{inputs}
}}
({output},) = session.run(["{output}"], inputs)
```

{last}
"""
_OWN_RULE = "The recipe's head decides by a rule of its own, which is not in the file; `tunebook predict` goes by it."
_OF = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


def export_card(about: Mapping[str, Any], manifest: Manifest, found: Mapping[str, str], head: Head) -> str:
    """The card.

    Args:
        about: What `onnx.json` holds.
        manifest: Of the bundle.
        found: What the check found, in words, by precision.
        head: Decides on a label.
    """
    numbers = manifest.number is not None
    labels = ", ".join(manifest.labels)
    last = f"`probabilities` is float32 `[texts, labels]`, in the order of `labels` in `onnx.json`: {labels}. " + (
        "The answer is the most probable one." if answers_plainly(head) else _own_rule(manifest)
    )
    files = {name: of["file"] for name, of in about["precisions"].items()}
    golden = about["golden"][:2] or [{"text": "A text."}]
    shown = [tuple(v for k, v in each.items() if k in ("text", "text_pair")) for each in golden]
    texts = [each if len(each) == 2 else each[0] for each in shown]
    return _CARD.format(
        recipe=manifest.recipe,
        version=__version__,
        gives="a number" if numbers else f"the probabilities of {len(manifest.labels)} labels",
        rows=next(iter(about["precisions"].values()))["rows"],
        found="\n".join(f"- `{files[name]}` ({name}): {words}" for name, words in found.items()),
        max_length=manifest.max_length,
        pad=about["pad_token_id"],
        file=next(iter(files.values())),
        texts=texts,
        inputs="\n".join(
            f'    "{name}": np.array([each.{_OF[name]} for each in encoded]),' for name in about["inputs"]
        ),
        output=about["outputs"][0],
        last=f"`{VALUE}` is float32 `[texts, 1]`, in the units of the training rows." if numbers else last,
    )


def _own_rule(manifest: Manifest) -> str:
    """How answers are made of the probabilities, where they are not the most probable label."""
    chosen = (manifest.several or {}).get("chosen")
    if chosen is None:
        return _OWN_RULE
    edges = ", ".join(f"{label} {value:.4g}" for label, value in chosen["thresholds"].items())
    return f"A label is given from its threshold on, of which a text may have several, or none: {edges}."
