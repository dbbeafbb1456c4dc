"""Text backbones with a final layer of their own, through transformers' own classes: one output a text, or a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunebook.config.schema import Method, ModelConfig
from tunebook.errors import RESTORE_BUNDLE, UserError
from tunebook.models.counted import load_counted
from tunebook.models.final_layer import final_layer, origin, settle_final_layer
from tunebook.models.quiet import quiet_transformers
from tunebook.models.sentence_model import Pooling, SentenceModel, find_pooling
from tunebook.models.sizes import in_proportion
from tunebook.models.source import ModelSource, weight_files
from tunebook.models.text import set_dropout


def load_sequence_model(
    source: ModelSource,
    config: ModelConfig,
    method: Method,
    names: Sequence[str],
    problem_type: str | None,
    tokenizer: Any,
    kind: str = "SequenceClassification",
) -> nn.Module:
    """A transformers model with a fresh final layer, in float32, all of its backbone from the file.

    A sentence encoder is read as its folder says, whatever class there is for it.

    Args:
        source: Where the weights are.
        config: The ``model`` node of the config.
        method: ``scratch`` takes the architecture alone.
        names: What each output is called in the saved config, ``[outputs]``.
        problem_type: What transformers calls the meaning of the outputs.
        tokenizer: Gives the padding token.
        kind: Of transformers' classes: ...For<kind>.

    Raises:
        UserError: transformers has no such class for this architecture, or weights of the backbone are missing.
    """
    from transformers import AutoConfig, AutoModel

    pooling, why = _pooling(source, kind)
    if method is Method.contrastive:
        pooling = pooling or _usual_pooling(source, why)
    auto_class = AutoModel if pooling else _auto_class(kind)
    labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    try:
        with quiet_transformers():
            settings = AutoConfig.from_pretrained(source.folder, trust_remote_code=False)
            theirs = [settings.id2label.get(i, "") for i in range(settings.num_labels)]
            settings.num_labels = len(names)
            settings.update(labels)
            settings.problem_type = problem_type
            settings.pad_token_id = tokenizer.pad_token_id
            set_dropout(settings, config.dropout)
            if method is Method.scratch:
                settings.dtype = torch.float32
                fresh: nn.Module = auto_class.from_config(settings)
                return SentenceModel(fresh, pooling) if pooling else fresh
            model = load_counted(auto_class, source, settings)
            if pooling:
                model = SentenceModel.around(model, pooling, source.folder)
            elif why:
                model.__dict__["_feature"] = f"as {type(model).__name__} makes it: {why}"
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        raise UserError(
            f"'{source.name}' cannot be used as a text classifier: {str(error).strip().splitlines()[0]}",
            code="model.wrong-kind",
            where="model.name",
            fix=f"choose a text model that transformers has a ...For{kind} class for",
        ) from error
    settle_final_layer(model, theirs, names)
    return model


def _pooling(source: ModelSource, kind: str) -> tuple[Pooling | None, str]:
    """How a sentence encoder is read, or None and why its folder cannot be followed; None and "" of any other model."""
    if kind != "SequenceClassification":
        return None, ""
    pooling, why = find_pooling(source.folder)
    if pooling and source.settings.get("is_encoder_decoder"):
        return None, "the model has a decoder"
    return pooling, why


def _usual_pooling(source: ModelSource, why: str) -> Pooling:
    """That of sentence-transformers for a folder that says nothing of it.

    Raises:
        UserError: The folder says something else, or has no encoder alone.
    """
    if why or source.settings.get("is_encoder_decoder"):
        raise UserError(
            f"adapt=contrastive tunes an encoder whose hidden states are pooled, and of '{source.name}' "
            f"{why or 'the model has a decoder'}.",
            code="model.wrong-kind",
            where="model.name",
            fix="choose a sentence encoder, such as sentence-transformers/all-MiniLM-L6-v2, or adapt=head",
        )
    return Pooling("mean", normalize=True)


def start_at(model: nn.Module, logits: Tensor | None) -> None:
    """Set the bias of a fresh final layer, where it has one of this size; decoders' have none."""
    if logits is None or not origin(model).fresh:
        return
    layer = final_layer(model, len(logits))
    if layer is not None and layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(logits)


def load_saved_sequence_model(source: ModelSource, kind: str = "SequenceClassification") -> nn.Module:
    """Backbone and final layer exactly as they were saved, in float32.

    Raises:
        UserError: The weights do not fit the config.
    """
    from transformers import AutoModel

    pooling, _ = _pooling(source, kind)
    try:
        with quiet_transformers(), in_proportion(weight_files(source.folder)):
            model: nn.Module
            model, report = (_auto_class(kind) if pooling is None else AutoModel).from_pretrained(
                source.folder,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
            if pooling:
                model = SentenceModel(model, pooling)
                model.load_final_layer(source.folder)
    except Exception as error:  # transformers raises nearly anything here
        raise _damaged(source, str(error).strip().splitlines()[0]) from error
    if report["missing_keys"] or report["mismatched_keys"]:
        raise _damaged(source, f"weights are missing: {', '.join(sorted(report['missing_keys'])[:3])}")
    return model


def _auto_class(kind: str) -> Any:
    import transformers

    return getattr(transformers, f"AutoModelFor{kind}")


def _damaged(source: ModelSource, reason: str) -> UserError:
    return UserError(
        f"The model cannot be loaded: {reason}",
        code="model.load-failed",
        where=str(source.folder),
        fix=RESTORE_BUNDLE,
    )
