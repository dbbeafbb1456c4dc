"""Open a bundle with transformers, timm or torchvision alone; Tunebook cannot be imported in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def opened(folder: str) -> str:
    """Open the bundle of the small run, and ask it what it was asked there.

    Args:
        folder: Holds ``run/model`` and ``example.safetensors``: inputs, and the outputs to expect.

    Returns:
        What was opened; an AssertionError says what differs.
    """
    import torch
    from safetensors.torch import load_file

    bundle = Path(folder) / "run" / "model"
    config = json.loads((bundle / "config.json").read_text(encoding="utf-8"))
    example = load_file(Path(folder) / "example.safetensors")
    expected = example.pop("__logits__")
    model, how = _image_model(bundle, config) if "architecture" in config else _text_model(bundle, config)
    with torch.no_grad():
        made = model.eval()(**example)
    logits = (made if torch.is_tensor(made) else made.logits).float()
    assert logits.shape == expected.shape, f"{how} gives outputs {tuple(logits.shape)}, not {tuple(expected.shape)}"
    off = float((logits - expected).abs().max())
    assert off < 1e-3, f"{how} gives other outputs than the bundle does in Tunebook (off by {off:.4f})"
    return f"{how} loads it and gives the same outputs"


def _text_model(bundle: Path, config: dict[str, Any]) -> tuple[Any, str]:
    import transformers

    (architecture,) = config["architectures"]
    _, task, work = architecture.rpartition("For")
    kind = {"ConditionalGeneration": "AutoModelForSeq2SeqLM"}.get(work, f"AutoModelFor{work}")
    if not task or not hasattr(transformers, kind):  # GPT2LMHeadModel and its like
        kind = "AutoModelForCausalLM"
    tokenizer = transformers.AutoTokenizer.from_pretrained(bundle)
    assert tokenizer("a text")["input_ids"], "its tokenizer returns no tokens for a text"
    return getattr(transformers, kind).from_pretrained(bundle), f"transformers.{kind}"


def _image_model(bundle: Path, config: dict[str, Any]) -> tuple[Any, str]:
    if config.get("library") == "torchvision":
        from safetensors.torch import load_file
        from torchvision import models

        outputs, arguments = config["num_classes"], config.get("model_args") or {}
        model = models.get_model(config["architecture"], num_classes=outputs, **arguments)
        model.load_state_dict(load_file(bundle / "model.safetensors"))
        return model, "torchvision"
    import timm

    channels = config["pretrained_cfg"]["input_size"][0]
    return timm.create_model(f"local-dir:{bundle}", pretrained=True, in_chans=channels), "timm"
