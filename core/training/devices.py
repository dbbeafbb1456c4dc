"""From config to what Lightning's Trainer takes: device, strategy and number format."""

from __future__ import annotations

import os
from typing import Any

import torch

from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import Accelerator, Precision, Strategy, TrainerConfig
from tunebook.errors import UserError

_EACH = 8
"""More processes than this on a CPU core are a mistake."""


def choose_accelerator(config: TrainerConfig | EvaluateConfig) -> str:
    """Choose "cuda", "mps" or "cpu".

    Raises:
        UserError: The device asked for is not there.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if config.accelerator is Accelerator.gpu and not cuda:
        raise UserError(
            "There is no GPU that torch can use here.",
            code="training.no-device",
            where="trainer.accelerator=gpu",
            fix="trainer=auto or trainer=cpu; `python -c 'import torch; print(torch.cuda.is_available())'`"
            " says whether torch sees one",
        )
    if config.accelerator is Accelerator.mps and not mps:
        raise UserError(
            "There is no Apple GPU here.",
            code="training.no-device",
            where="trainer.accelerator=mps",
            fix="trainer=auto or trainer=cpu",
        )
    if config.accelerator is Accelerator.cpu:
        return "cpu"
    if config.accelerator is Accelerator.auto:
        return "cuda" if cuda else "mps" if mps else "cpu"
    return "cuda" if config.accelerator is Accelerator.gpu else "mps"


def choose_precision(config: TrainerConfig, accelerator: str) -> Any:
    """Lightning's name of the number format; ``auto`` never picks a slow or inexact one for the device.

    Raises:
        UserError: A half-precision format where the device would only emulate it.
    """
    if config.precision is Precision.auto:
        bf16 = accelerator == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if bf16 else "32-true"
    if config.precision is Precision.float32:
        return "32-true"
    if accelerator == "cpu" and not (config.precision is Precision.bf16 and _cpu_has_bf16()):
        raise UserError(
            f"This CPU has no {config.precision.name} arithmetic; it would be several times slower.",
            code="training.unsupported-precision",
            where="trainer.precision",
            fix="trainer.precision=auto",
        )
    return "bf16-mixed" if config.precision is Precision.bf16 else "16-mixed"


def _cpu_has_bf16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_strategy(config: TrainerConfig, accelerator: str) -> Any:
    """One process, or several that share each batch.

    Raises:
        UserError: More devices than there are, or FSDP without GPUs.
    """
    several = config.devices * config.num_nodes > 1
    if config.devices < 1 or config.num_nodes < 1:
        raise UserError(
            "At least one device is needed.",
            code="config.out-of-range",
            where="trainer.devices",
            fix="trainer.devices=1",
        )
    if accelerator == "cuda" and config.devices > torch.cuda.device_count():
        raise UserError(
            f"{config.devices} GPUs are requested, but torch sees {torch.cuda.device_count()}.",
            code="training.too-few-devices",
            where="trainer.devices",
            fix=f"trainer.devices={torch.cuda.device_count()}",
        )
    if accelerator == "cpu" and config.devices > _EACH * _cores():
        raise UserError(
            f"trainer.devices={config.devices} processes would share {_cores()} CPU cores.",
            code="training.too-few-devices",
            where="trainer.devices",
            fix=f"trainer.devices={_cores()} or fewer",
        )
    if config.strategy is Strategy.fsdp:
        if accelerator != "cuda":
            raise UserError(
                "FSDP needs GPUs.",
                code="training.no-device",
                where="trainer.strategy=fsdp",
                fix="trainer=ddp trainer.accelerator=cpu",
            )
        from lightning.pytorch.strategies import FSDPStrategy

        return FSDPStrategy(state_dict_type="full")
    if several or config.strategy is Strategy.ddp:
        from lightning.pytorch.strategies import DDPStrategy

        return DDPStrategy(process_group_backend="nccl" if accelerator == "cuda" else "gloo")
    return "auto"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def note_on_cores(config: TrainerConfig, accelerator: str) -> str:
    """What to tell of more processes on the CPU than it has cores; "" where there are enough."""
    cores = _cores()
    if accelerator != "cpu" or config.devices <= cores:
        return ""
    one = "the one CPU core" if cores == 1 else f"the {cores} CPU cores"
    return f"trainer.devices={config.devices} is more than {one} here: processes take turns on a core, which is slower"
