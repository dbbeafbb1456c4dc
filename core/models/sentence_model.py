"""Sentence encoders, read as their folders say: hidden states become one feature of a text, and a final layer reads it.

What transformers' own classes read instead, mostly the first token through a layer of its own, was never trained in
them. Saved, such a model is a folder that sentence-transformers opens: its ``encode`` gives the logits.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import SequenceClassifierOutput

from tunebook.errors import UserError
from tunebook.files import write_json
from tunebook.models.counted import Loaded, loaded
from tunebook.untrusted import read_json, read_object

MODULES = "modules.json"
"""What makes a folder a sentence encoder's: the parts that a text goes through, one after the other."""
SCALE = 16.0
"""What unit-length features are multiplied by, so that a final layer learns at the rates of others: near the square
root of their usual width, and a power of two, which rounds nothing."""
_MODES = ("cls_token", "max_tokens", "mean_tokens", "lasttoken")
_LENGTH = "sentence_bert_config.json"
_DENSE = "3_Dense"


@dataclass(frozen=True)
class Pooling:
    """How hidden states become one feature.

    Attributes:
        mode: Of sentence-transformers: cls, max, mean or lasttoken.
        normalize: Whether features are brought to unit length.
    """

    mode: str
    normalize: bool

    def __call__(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """The feature of each text, ``[batch, hidden]``, of ``[batch, tokens, hidden]`` padded on the right."""
        if mask is None:
            mask = torch.ones(hidden.shape[:2], dtype=torch.long, device=hidden.device)
        if self.mode == "cls":
            feature = hidden[:, 0]
        elif self.mode == "lasttoken":
            feature = hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]
        elif self.mode == "max":
            feature = hidden.masked_fill(mask[..., None] == 0, torch.finfo(hidden.dtype).min).amax(1)
        else:
            weights = mask[..., None].to(hidden.dtype)
            feature = (hidden * weights).sum(1) / weights.sum(1)
        return F.normalize(feature, dim=-1) if self.normalize else feature

    def __str__(self) -> str:
        what = {"cls": "the first token", "max": "the maximum", "mean": "the mean", "lasttoken": "the last token"}
        return f"{what[self.mode]} of the hidden states{', at unit length' if self.normalize else ''}"


def save_max_length(folder: Path, max_length: int) -> None:
    """Have sentence-transformers cut texts where the bundle in a folder does; of any other folder nothing is written.

    Args:
        folder: Of a saved model.
        max_length: Tokens of a text, special ones included.
    """
    if (folder / MODULES).is_file():
        write_json(folder / _LENGTH, {"max_seq_length": max_length, "do_lower_case": False})


def find_pooling(folder: Path) -> tuple[Pooling | None, str]:
    """How the folder of a sentence encoder says that it is read.

    Returns:
        The pooling, None of a folder that says nothing or something else; and what it says else, "" for nothing.

    Raises:
        UserError: Its files are damaged.
    """
    file = folder / MODULES
    if not file.is_file():
        return None, ""
    try:
        parts = [(each["type"].rpartition(".")[2], str(each["path"])) for each in read_json(file)]
        kinds = [kind for kind, _ in parts if kind != "Dense" or not _is_final(folder, parts)]
        if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]) or parts[0][1]:
            return None, f"{MODULES} lists {', '.join(kind for kind, _ in parts)}"
        mode = _mode(read_object(folder / parts[1][1] / "config.json"))
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"The sentence encoder's {MODULES} or its pooling is damaged: {error}.",
            code="model.damaged-config",
            where=str(file),
            fix="copy or download the model again",
        ) from error
    if mode is None:
        return None, f"{parts[1][1]} pools in another way than by cls, max, mean or lasttoken"
    return Pooling(mode, "Normalize" in kinds), ""


def _is_final(folder: Path, parts: list[tuple[str, str]]) -> bool:
    """Whether the last part is a final layer as it is saved here."""
    return parts[-1] == ("Dense", _DENSE) and (folder / _DENSE / "model.safetensors").is_file()


def _mode(settings: dict[str, Any]) -> str | None:
    if "pooling_mode" in settings:  # since sentence-transformers 5
        modes = [settings["pooling_mode"]]
    else:
        modes = [
            key.removeprefix("pooling_mode_") for key, on in settings.items() if key.startswith("pooling_mode_") and on
        ]
    short = {"cls_token": "cls", "max_tokens": "max", "mean_tokens": "mean"}
    found = [short.get(str(mode), str(mode)) for mode in modes]
    return found[0] if len(found) == 1 and found[0] in ("cls", "max", "mean", "lasttoken") else None


class SentenceModel(nn.Module):
    """A backbone, its pooling and a final layer.

    Args:
        backbone: A transformers model without a head; its config names the outputs.
        pooling: How it is read.
    """

    base_model_prefix = "backbone"
    _loaded: Loaded

    def __init__(self, backbone: Any, pooling: Pooling) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self._feature = str(pooling)
        self.config = backbone.config
        text = self.config.get_text_config()
        self.classifier = nn.Linear(text.hidden_size, self.config.num_labels)
        nn.init.normal_(self.classifier.weight, std=getattr(self.config, "initializer_range", None) or 0.02)
        nn.init.zeros_(self.classifier.bias)
        self.scale = SCALE if pooling.normalize else 1.0
        pooler = getattr(backbone, "pooler", None)
        if isinstance(pooler, nn.Module):  # nothing reads it
            pooler.requires_grad_(False)

    def get_input_embeddings(self) -> Any:
        """Those of the backbone."""
        return self.backbone.get_input_embeddings()

    def features(self, attention_mask: Tensor | None = None, **inputs: Any) -> Tensor:
        """The feature of each text, ``[batch, hidden]``, of token ids ``[batch, tokens]``."""
        hidden = self.backbone(attention_mask=attention_mask, **inputs).last_hidden_state
        return self.pooling(hidden, attention_mask)

    def forward(self, attention_mask: Tensor | None = None, **inputs: Any) -> SequenceClassifierOutput:
        """``logits`` ``[batch, outputs]`` of token ids ``[batch, tokens]``, or of features as one-token texts."""
        return SequenceClassifierOutput(
            logits=self.classifier(self.scale * self.features(attention_mask=attention_mask, **inputs))
        )

    def save_pretrained(self, folder: Path) -> None:
        """Write what sentence-transformers opens: the backbone, and modules for pooling and the final layer."""
        self.backbone.save_pretrained(folder)
        kinds = [("Transformer", ""), ("Pooling", "1_Pooling")]
        kinds += [("Normalize", "2_Normalize")] if self.pooling.normalize else []
        kinds += [("Dense", _DENSE)]
        modules = [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for number, (kind, path) in enumerate(kinds)
        ]
        write_json(folder / MODULES, modules)
        write_json(folder / "config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": None})
        write_json(folder / _LENGTH, {"do_lower_case": False})
        width = self.classifier.in_features
        mode = {f"pooling_mode_{name}": name.startswith(self.pooling.mode) for name in _MODES}
        (folder / "1_Pooling").mkdir()
        write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **mode})
        if self.pooling.normalize:
            (folder / "2_Normalize").mkdir()
        (folder / _DENSE).mkdir()
        dense: dict[str, Any] = {"in_features": width, "out_features": self.classifier.out_features, "bias": True}
        dense["activation_function"] = "torch.nn.modules.linear.Identity"
        write_json(folder / _DENSE / "config.json", dense)
        state = {"linear.weight": self.scale * self.classifier.weight, "linear.bias": self.classifier.bias}
        save_file({name: each.detach().clone() for name, each in state.items()}, folder / _DENSE / "model.safetensors")

    @classmethod
    def around(cls, backbone: nn.Module, pooling: Pooling, folder: Path) -> SentenceModel:
        """A backbone that `load_counted` gave, with the folder's own final layer if that has as many outputs."""
        model, counted = cls(backbone, pooling), loaded(backbone)
        assert counted is not None
        fresh = {"classifier.weight"}
        if (folder / _DENSE / "model.safetensors").is_file():
            with suppress(ValueError):
                model.load_final_layer(folder)
                fresh = set()
        model._loaded = replace(counted, fresh=frozenset(fresh))
        return model

    def load_final_layer(self, folder: Path) -> None:
        """Take over the final layer that `save_pretrained` wrote.

        Raises:
            ValueError: It is missing, or has another shape.
        """
        state = load_file(folder / _DENSE / "model.safetensors")
        weight, bias = state.get("linear.weight"), state.get("linear.bias")
        if weight is None or bias is None or weight.shape != self.classifier.weight.shape or len(bias) != len(weight):
            raise ValueError(f"{_DENSE} does not fit config.json")
        with torch.no_grad():
            self.classifier.weight.copy_(weight / self.scale)
            self.classifier.bias.copy_(bias)
