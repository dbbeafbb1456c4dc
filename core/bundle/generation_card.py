"""The model card of a model that writes: what it is, how it opens without Tunebook, what it was not tested on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebook import __version__
from tunebook.bundle.manifest import Manifest
from tunebook.config import TrainConfig

_USAGE = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "path/to/this/folder"
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder).eval()
turns = [{{"role": "user", "content": "Where is my parcel?"}}]
inputs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
written = model.generate(**inputs, max_new_tokens={max_new_tokens})
print(tokenizer.decode(written[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
```

The template writes the beginning of a text itself: where you encode what it rendered, do it with
`add_special_tokens=False`.
"""

_ADAPTER = """\

`adapter/` holds the LoRA adapters alone, as peft reads them, for use beside the untuned model:

```python
from peft import PeftModel

model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{base}"), folder + "/adapter")
```
"""


def generation_card(manifest: Manifest, config: TrainConfig, facts: Mapping[str, Any], adapter: bool) -> str:
    """README.md of the bundle, with the front matter that hubs read.

    Args:
        manifest: What the bundle says of itself.
        config: The run's config.
        facts: ``data``, ``training``, ``scores``.
        adapter: Whether the adapters alone lie in it too.
    """
    # A folder of this machine says nothing elsewhere, and is nobody else's business.
    is_folder = Path(config.model.name).expanduser().is_dir()
    name = Path(config.model.name).name if is_folder else config.model.name
    base = "" if is_folder or "/" not in name else f"base_model: {name}\n"
    data = "\n".join(f"- {key}: {value}" for key, value in facts.get("data", {}).items())
    training = "\n".join(f"- {key}: {value}" for key, value in facts.get("training", {}).items())
    scores = "\n".join(f"- {line}" for line in facts.get("scores", ()))
    usage = _USAGE.format(max_new_tokens=(manifest.generation or {})["max_new_tokens"])
    return f"""\
---
library_name: transformers
pipeline_tag: text-generation
{base}tags: [tunebook, {manifest.recipe}]
---

# {manifest.recipe}: {name}, {config.adapt.method.name}

A language model that writes the assistant's next turn of a conversation, made by Tunebook {__version__} with the
recipe `{manifest.recipe}` ({manifest.recipe_version}). It was trained on conversations of up to {manifest.max_length}
tokens.

## Use

```
tunebook chat path/to/this/folder
tunebook predict path/to/this/folder conversations.jsonl
```

{usage}{_ADAPTER.format(base=name if base else f"path/to/{name}") if adapter else ""}
## Data

{data}

## Training

{training}

## Scores on the validation rows

{scores or "- none: the model was not trained"}

The run's report has the scores on the test rows, with intervals. A language model says what is likely, not what is
true: let nobody act on its prices, dates and promises unread. Other languages, other customers and other years than
those of the rows were not tested.
"""
