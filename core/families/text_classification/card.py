"""The model card: what the bundle is, how to open it, how it was made and what it was not tested on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebook import __version__
from tunebook.bundle.manifest import Manifest
from tunebook.config.schema import TrainConfig
from tunebook.data.pairs import example_arguments, example_input

_SOFTMAX = """\
```python
from transformers import pipeline

classify = pipeline("text-classification", "path/to/this/folder", truncation=True, max_length={max_length})
classify({example})
```
"""

_ORDINAL = """\
The final layer has {outputs} outputs for {labels} labels: output k answers "is the label above the k-th,
given that it is above the one before?" (CORN, arXiv:2111.08851). A plain `pipeline` shows these outputs, not
labels. Read them so, or let `tunebook predict` do it:

```python
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "path/to/this/folder"
model = AutoModelForSequenceClassification.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
inputs = tokenizer({arguments}, truncation=True, max_length={max_length}, return_tensors="pt")
logits = model(**inputs).logits
exceeds = torch.sigmoid(logits).cumprod(dim=1)             # P(label > k)
answer = (exceeds > 0.5).sum(dim=1)                        # index into {names}
```
"""

_OWN_RULE = """\
The recipe's head makes probabilities and answers of the outputs by a rule of its own, which a plain `pipeline` does not
know. `tunebook predict` goes by it.
"""

_ZERO_SHOT = """\
This model was not trained: it compares the mean of its hidden states for a text with those for a description
of each label (see `options.descriptions` in tunebook.json). There is no classification layer; `tunebook
predict` does the comparison.
"""


def text_card(
    manifest: Manifest, config: TrainConfig, facts: Mapping[str, Any], *, own_rule: bool, pair_format: bool
) -> str:
    """README.md of a text classifier's bundle, with the front matter that hubs read.

    Args:
        manifest: What the bundle says of itself.
        config: The run's config.
        facts: ``data``, ``training`` and ``scores``.
        own_rule: Whether the recipe's head makes answers otherwise than by the likeliest label.
        pair_format: Whether the tokenizer has a format of its own for two texts.
    """
    example = example_input(manifest.columns, pair_format)
    usage = {
        "zero_shot": _ZERO_SHOT,
        "ordinal": _ORDINAL.format(
            outputs=len(manifest.labels) - 1,
            labels=len(manifest.labels),
            names=manifest.labels,
            max_length=manifest.max_length,
            arguments=example_arguments(manifest.columns, pair_format),
        ),
    }.get(manifest.head, _OWN_RULE if own_rule else _SOFTMAX.format(max_length=manifest.max_length, example=example))
    data = "\n".join(f"- {key}: {value}" for key, value in facts.get("data", {}).items())
    training = "\n".join(f"- {key}: {value}" for key, value in facts.get("training", {}).items())
    scores = "\n".join(f"- {line}" for line in facts.get("scores", ()))
    # A folder of this machine says nothing elsewhere, and is nobody else's business.
    is_folder = Path(config.model.name).expanduser().is_dir()
    name = Path(config.model.name).name if is_folder else config.model.name
    base = "" if is_folder or "/" not in name else f"base_model: {name}\n"
    return f"""\
---
library_name: transformers
pipeline_tag: text-classification
{base}tags: [tunebook, {manifest.recipe}]
---

# {manifest.recipe}: {name}, {config.adapt.method.name}

A text classifier with the labels {", ".join(manifest.labels)} (in this order), made by Tunebook {__version__}
with the recipe `{manifest.recipe}` ({manifest.recipe_version}).
Texts over {manifest.max_length} tokens are cut.

## Use

```
tunebook predict path/to/this/folder reviews.csv
```

{usage}
## Data

{data}

## Training

{training}

## Scores on the validation rows

{scores or "- none: the model was not trained"}

The run's report has the scores on the test rows, with intervals. The model was tested on rows like those it
was trained on; other languages, other sources and other years were not tested.
"""
