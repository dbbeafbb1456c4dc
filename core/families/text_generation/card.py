"""The model card of a model that writes: what it is, how it opens without Tunebook, what it was not tested on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebook import __version__
from tunebook.bundle.manifest import FILE, Manifest
from tunebook.config.schema import TrainConfig

_TALKS = """\
```
tunebook chat path/to/this/folder
tunebook predict path/to/this/folder conversations.jsonl
```
"""

_WRITES = """\
```
tunebook predict path/to/this/folder briefs.csv
```

That makes the prompt of each brief, checks what is written against it, and tells what was found. A brief becomes a
prompt by this Jinja template, which reads its fields and `channel`, `must_mention`, `must_avoid`, `max_characters` and
`max_words`:

````jinja
{template}
````

Without Tunebook:
"""

_IMPORTS = "from transformers import {model}, AutoTokenizer\n"
_BRIEF_IMPORTS = "import json\n\nfrom jinja2.sandbox import ImmutableSandboxedEnvironment\n"

_PROMPT = """\
fields = {fields}
asked = {{"channel": "tweet", "must_mention": []}}
with open(folder + "/{file}", encoding="utf-8") as file:
    template = json.load(file)["generation"]["kept"]["template"]
jinja = ImmutableSandboxedEnvironment(
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=lambda value: "; ".join(value) if isinstance(value, list) else value,
)
prompt = jinja.from_string(template).render(fields, fields=fields, **asked).rstrip("\\n")
"""

_ASK = {
    "AutoModelForCausalLM": """\
turns = [{{"role": "user", "content": {prompt}}}]
inputs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
written = model.generate(**inputs, max_new_tokens={max_new_tokens})
print(tokenizer.decode(written[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
```

The template {of_turns}writes the beginning of a text itself: where you encode what it rendered, do it with
`add_special_tokens=False`.
""",
    "AutoModelForSeq2SeqLM": """\
inputs = tokenizer({prompt}, return_tensors="pt")
written = model.generate(**inputs)
print(tokenizer.decode(written[0], skip_special_tokens=True))
```
""",
}

_ADAPTER = """\

`adapter/` holds the LoRA adapters alone, as peft reads them, for use beside the untuned model:

```python
from peft import PeftModel

model = PeftModel.from_pretrained({model}.from_pretrained("{base}", dtype="float32"), folder + "/adapter")
```
"""


def generation_card(
    manifest: Manifest, config: TrainConfig, facts: Mapping[str, Any], adapter: bool, reads_apart: bool = False
) -> str:
    """README.md of the bundle, with the front matter that hubs read.

    Args:
        manifest: What the bundle says of itself.
        config: The run's config.
        facts: ``data``, ``training``, ``scores``.
        adapter: Whether the adapters alone lie in it too.
        reads_apart: Whether the model has an encoder beside its decoder.
    """
    # A folder of this machine says nothing elsewhere, and is nobody else's business.
    is_folder = Path(config.model.name).expanduser().is_dir()
    name = Path(config.model.name).name if is_folder else config.model.name
    base = "" if is_folder or "/" not in name else f"base_model: {name}\n"
    data = "\n".join(f"- {key}: {value}" for key, value in facts.get("data", {}).items())
    training = "\n".join(f"- {key}: {value}" for key, value in facts.get("training", {}).items())
    scores = "\n".join(f"- {line}" for line in facts.get("scores", ()))
    model = "AutoModelForSeq2SeqLM" if reads_apart else "AutoModelForCausalLM"
    kept = _kept(manifest)
    talks = not _prompts(kept)
    does = "the assistant's next turn of a conversation" if talks else "copy from briefs"
    rows = "conversations" if talks else "prompts with their copy,"
    adapters = _ADAPTER.format(model=model, base=name if base else f"path/to/{name}") if adapter else ""
    return f"""\
---
library_name: transformers
pipeline_tag: {"text2text-generation" if reads_apart else "text-generation"}
{base}tags: [tunebook, {manifest.recipe}]
---

# {manifest.recipe}: {name}, {config.adapt.method.name}

A language model that writes {does}, made by Tunebook {__version__} with the
recipe `{manifest.recipe}` ({manifest.recipe_version}). It was trained on {rows} of up to {manifest.max_length}
tokens{" each" if reads_apart else ""}.

## Use

{_TALKS if talks else _WRITES.format(template=kept["template"].rstrip())}
{_usage(manifest, model)}{adapters}
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


def _kept(manifest: Manifest) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (manifest.generation or {}).get("kept", {})
    return found


def _prompts(kept: Mapping[str, Any]) -> bool:
    """Whether the recipe makes prompts of briefs: such a one keeps its template and the form of its rows."""
    return {"template", "form"} <= kept.keys()


def _usage(manifest: Manifest, model: str) -> str:
    """Code that runs as it stands, once the folder is named."""
    kept, max_new_tokens = _kept(manifest), (manifest.generation or {})["max_new_tokens"]
    brief, prompt = _prompts(kept), '"Where is my parcel?"'
    made = ""
    if brief:
        fields = {field: "..." for field in kept["form"]["fields"]} or {"name": "Tollgate Pepper Mill", "price": "$58"}
        made, prompt = _PROMPT.format(fields=json.dumps(fields, ensure_ascii=False), file=FILE), "prompt"
    opened = f"""\
```python
{_BRIEF_IMPORTS if brief else ""}{_IMPORTS.format(model=model)}
folder = "path/to/this/folder"
tokenizer = AutoTokenizer.from_pretrained(folder)
model = {model}.from_pretrained(folder).eval()
"""
    asked = _ASK[model].format(prompt=prompt, max_new_tokens=max_new_tokens, of_turns="of turns " if brief else "")
    return opened + made + asked
