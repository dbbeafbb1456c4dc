"""A GGUF file opened by transformers in a process of its own: what it makes of golden prompts.

Run as a program: the GGUF file, the folder of the bundle, a JSON file with the ``texts``, ``prompts`` and ``answers``
of the golden prompts, and the npz file to write.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(file: str, bundle: str, given: str, found: str) -> None:
    """Answer, and write what was found.

    ``ids/<n>``: token ids of a text. ``logits/<n>``: of an answer's places. ``about``: JSON with the name of the
    pre-tokenizer, whether it is known here, the tokens that are added to texts and those that end generation, and sizes
    that were not taken from the file.
    """
    from transformers import AutoTokenizer

    from tunebook.families.text_generation.gguf.golden import answer_logits
    from tunebook.families.text_generation.gguf.pre_tokenizers import as_llama_cpp_spaces, as_llama_cpp_splits
    from tunebook.models.quiet import quiet_transformers

    golden = json.loads(Path(given).read_text(encoding="utf-8"))
    folder, name = str(Path(file).parent), Path(file).name
    about = read_about(file)
    with quiet_transformers():
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        model, alone = _open(folder, name, bundle)
    if alone:
        about["sizes"] = {}
    backend = tokenizer.backend_tokenizer
    if about["model"] == "llama":
        as_llama_cpp_spaces(backend, about["prefix"])
    about["known"] = about["model"] != "gpt2" or as_llama_cpp_splits(backend, about["pre"]) or _knows(about["pre"])
    results: dict[str, Any] = {}
    for number, text in enumerate(golden["texts"]):
        results[f"ids/{number}"] = np.array(backend.encode(text, add_special_tokens=False).ids, dtype=np.int64)
    for number, (prompt, answer) in enumerate(zip(golden["prompts"], golden["answers"], strict=True)):
        results[f"logits/{number}"] = answer_logits(model, prompt, answer)
    np.savez(found, about=np.array(json.dumps(about)), **results)


def _open(folder: str, name: str, bundle: str) -> tuple[Any, bool]:
    """The model, and whether the file alone was enough.

    transformers does not read all sizes from all kinds of files, and takes its own for them, which the weights then do
    not fit: those are opened with the bundle's config, and the sizes in the file are compared with it.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    given = {"gguf_file": name, "dtype": torch.float32}
    try:
        return auto.from_pretrained(folder, **given).eval(), True
    except Exception as error:
        try:
            config = AutoConfig.from_pretrained(bundle, trust_remote_code=False)
            return auto.from_pretrained(folder, config=config, **given).eval(), False
        except Exception:
            raise error from None  # it says why


def _knows(pre_tokenizer: str) -> bool:
    """Whether transformers splits as this pre-tokenizer does, and not as GPT-2's for want of better."""
    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
    except ImportError:  # of other versions nothing is known
        return False
    return pre_tokenizer in GGUF_PRE_TOKENIZER_SPLITS


def read_about(file: str) -> dict[str, Any]:
    """What a GGUF file says of its tokenizer."""
    from gguf import GGUFReader

    fields = GGUFReader(file).fields
    kind = fields["general.architecture"].contents() + "."
    sizes = {name.removeprefix(kind): field.contents() for name, field in fields.items() if name.startswith(kind)}

    def value(key: str, default: Any = None) -> Any:
        return fields[f"tokenizer.{key}"].contents() if f"tokenizer.{key}" in fields else default

    return {
        "model": value("ggml.model", ""),
        "pre": value("ggml.pre", ""),
        "prefix": bool(value("ggml.add_space_prefix", True)),
        "adds": [name for name in ("bos", "eos", "sep") if value(f"ggml.add_{name}_token", name != "sep")],
        "ends": [value(f"ggml.{name}_token_id") for name in ("eos", "eot")],
        "chat_template": value("chat_template", ""),
        "sizes": {name: size for name, size in sizes.items() if isinstance(size, (int, float))},
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
