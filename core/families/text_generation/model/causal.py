"""Causal language models to be tuned: checked before they load, loaded in float32 or 4 bits, adapted."""

from __future__ import annotations

import shutil
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunebook.config.schema import AdaptConfig, Method, Objective, TrainConfig
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.text_generation.model.kinds import is_seq2seq
from tunebook.families.text_generation.model.language_loss import check_language_head
from tunebook.families.text_generation.model.seq2seq import load_seq2seq
from tunebook.families.text_generation.options import GenerationAdapt, GenerationTrainer
from tunebook.files import folder_written_whole
from tunebook.freed_memory import return_freed_memory
from tunebook.models.adapt import adapt, merge
from tunebook.models.language_model import load_language_model
from tunebook.models.layers import plain_model
from tunebook.models.quiet import quiet_transformers
from tunebook.models.source import ModelSource
from tunebook.training.devices import choose_accelerator


def build_causal(source: ModelSource, config: TrainConfig) -> nn.Module:
    """A model ready to be adapted.

    Raises:
        UserError: It cannot be loaded, or computes its logits in a way that the loss would miss.
    """
    if node_as(config.adapt, GenerationAdapt).quantize:
        model = load_quantized(source, config)
    else:
        model = load_writing(source, config.adapt.method is Method.scratch, _dropout(config))
    check_language_head(model)
    if node_as(config.trainer, GenerationTrainer).gradient_checkpointing:
        enable_checkpointing(model)
        return_freed_memory()
    return model


def _dropout(config: TrainConfig) -> float | None:
    """Dropout while training; none beside a reference that has none, unless it is asked for."""
    beside_reference = config.objective.name is not Objective.sft
    return 0.0 if beside_reference and config.model.dropout is None else config.model.dropout


def load_writing(source: ModelSource, fresh: bool = False, dropout: float | None = None) -> nn.Module:
    """A model that writes, in float32: a causal one, or one with an encoder and a decoder."""
    load = load_seq2seq if is_seq2seq(source) else load_language_model
    return load(source, fresh, dropout)


def check_quantized(source: ModelSource, config: AdaptConfig) -> None:
    """Refuse weights in 4 bits where they cannot be used, before anything is loaded.

    Raises:
        UserError: bitsandbytes is missing, an encoder reads, or something else than LoRA is to learn.
    """
    where, fix = "adapt.quantize=true", "adapt.quantize=false"
    if not node_as(config, GenerationAdapt).quantize:
        return
    if is_seq2seq(source):
        raise UserError("Only causal models can be loaded in 4 bits.", code="config.no-effect", where=where, fix=fix)
    if config.method is not Method.lora:
        raise UserError(
            "4-bit weights cannot be trained, but adapters on top of them can.",
            code="config.no-effect",
            where=where,
            fix="adapt=lora",
        )
    if find_spec("bitsandbytes") is None:
        raise UserError(
            "The package that loads weights in 4 bits is not installed.",
            code="package.missing",
            where=where,
            fix=f"pip install bitsandbytes, or {fix}",
        )


def load_quantized(source: ModelSource, config: TrainConfig) -> nn.Module:
    """A model whose weights are held in 4 bits: NormalFloat, with its scales quantised too (Dettmers et al. 2023).

    Raises:
        UserError: bitsandbytes is missing or cannot work here, or something else than LoRA is to learn.
    """
    check_quantized(source, config.adapt)
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    device = choose_accelerator(config.trainer)
    half = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if half else torch.float32,
    )
    try:
        with quiet_transformers():
            model: nn.Module = AutoModelForCausalLM.from_pretrained(
                source.folder,
                quantization_config=bits,
                dtype=torch.float32,
                device_map={"": device},
                use_safetensors=True,
                trust_remote_code=False,
            )
    except Exception as error:  # transformers and bitsandbytes raise nearly anything here
        raise UserError(
            f"The model cannot be loaded in 4 bits: {str(error).strip().splitlines()[0]}",
            code="model.not-quantizable",
            where="adapt.quantize=true",
            fix="adapt.quantize=false",
        ) from error
    return model


def adapt_causal(model: nn.Module, config: AdaptConfig) -> nn.Module:
    """Make a model ready for training by the chosen method."""
    if node_as(config, GenerationAdapt).quantize:
        for parameter in model.parameters():
            parameter.requires_grad_(False)
    return adapt(model, config)


def save_adapter(model: nn.Module, source: ModelSource, folder: Path) -> None:
    """Write the adapters alone as peft reads them, a few megabytes; nothing where the model has none."""
    if "peft" not in sys.modules:  # nothing could have made adapters
        return
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        return
    shutil.rmtree(folder, ignore_errors=True)
    settings = model.peft_config["default"]
    settings.task_type = "SEQ_2_SEQ_LM" if is_seq2seq(source) else "CAUSAL_LM"  # other tools ask for it
    # Adapters name their base model so that the name is valid on another machine too.
    is_folder = Path(source.name).expanduser().is_dir()
    settings.base_model_name_or_path = Path(source.name).name if is_folder else source.name
    with folder_written_whole(folder) as partial, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft looks for the base model on the hub, to see whether its vocabulary grew
        model.save_pretrained(str(partial), save_embedding_layers=False)
        (partial / "README.md").unlink(missing_ok=True)  # a form that nobody filled in


def merge_causal(model: nn.Module, source: ModelSource, quantized: bool) -> nn.Module:
    """The plain model with any adapters added into its weights, whole ones where it was held in 4 bits."""
    if not quantized:
        return merge(model)
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    held: Any = model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft sees that the base model has a folder for its name
        whole = get_peft_model(load_writing(source), held.peft_config["default"])
    set_peft_model_state_dict(whole, get_peft_model_state_dict(held))
    return merge(whole)


def enable_checkpointing(model: nn.Module) -> None:
    """Let a model forget its activations between forward and backward, and compute them again: less memory, slower.

    Raises:
        UserError: The model is not built for it.
    """
    plain = plain_model(model)
    if not plain.supports_gradient_checkpointing:
        raise UserError(
            f"{type(plain).__name__} does not support gradient checkpointing.",
            code="model.no-gradient-checkpointing",
            where="model.name",
        )
    # Newer releases of transformers deprecate the second name, older ones do not know the first.
    name = "activation_checkpointing_enable"
    enable = getattr(plain, name if hasattr(plain, name) else "gradient_checkpointing_enable")
    enable({"use_reentrant": False})
