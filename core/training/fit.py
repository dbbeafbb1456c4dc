"""Fit: put the parts together in a Lightning Trainer, train, and come back with the best weights."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar
from omegaconf import OmegaConf

from tunebook.config.schema import TrainConfig
from tunebook.data.module import FineTuneData
from tunebook.errors import UserError
from tunebook.training.callbacks import make_callbacks
from tunebook.training.checkpoints import CONFIG, LOG, AtomicCheckpointIO, Checkpoints, read_checkpoint
from tunebook.training.devices import choose_accelerator, choose_precision, choose_strategy
from tunebook.training.finetuner import FineTuner
from tunebook.training.interrupts import StopOnSignal
from tunebook.training.loggers import make_loggers
from tunebook.training.progress import progress_callbacks
from tunebook.training.ranks import started_by_torchrun
from tunebook.training.seeding import SeedEveryStep


@dataclass(frozen=True)
class Fitted:
    """How training went.

    Attributes:
        best_step: Optimizer step of the best validation; its weights are now in the module.
        best: Watched metric there.
        steps: Optimizer steps done.
        is_main: Whether this process is the one that goes on to evaluate and write.
        solved: How the final layer was found where no step found it, in words.
    """

    best_step: int
    best: float | None
    steps: int
    is_main: bool
    solved: str = ""


def shaping(config: TrainConfig) -> dict[str, str]:
    """The settings without which the same steps would be other steps, as text by key."""
    nodes: Any = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)
    left_out = {"trainer.progress", "trainer.threads", "trainer.checkpoint_every", "trainer.accelerator"}
    found = {"seed": str(config.seed)}
    for node in ("adapt", "objective", "optim", "trainer"):
        found |= {f"{node}.{key}": repr(value) for key, value in nodes[node].items()}
    return {key: value for key, value in found.items() if key not in left_out}


def planned_steps(config: TrainConfig, data: FineTuneData, world_size: int) -> int:
    """Optimizer steps of the whole run, early stopping aside."""
    assert config.trainer.max_epochs is not None
    steps = data.steps_per_epoch(world_size) * config.trainer.max_epochs
    return steps if config.trainer.max_steps is None else min(steps, config.trainer.max_steps)


_QUIET = (
    ".*does not have many workers.*",  # rows are encoded before training
    ".*smaller than the logging interval.*",
    ".*isinstance.treespec, LeafSpec.*",
    ".*lr_scheduler.step.*optimizer.step.*",  # torch, when a resumed schedule is rebuilt
    ".*GPU available but not used.*",
    ".*bitsandbytes::.*autograd kernel was not registered.*",  # its gradients are exact all the same
    ".*recommended to use .self.log.*sync_dist.*",  # torchmetrics has synchronised these values already
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's advice on loaders and logging, which does not fit how rows are fed here."""
    loggers = [logging.getLogger(n) for n in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for text in _QUIET:
                warnings.filterwarnings("ignore", text)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _cluster() -> ClusterEnvironment:
    """Who starts the processes of a run: torchrun or Lightning, and never SLURM, whose variables it would follow."""
    return TorchElasticEnvironment() if started_by_torchrun() else LightningEnvironment()


def make_trainer(
    config: TrainConfig,
    run_dir: Path,
    last: Sequence[Callback],
    steps_per_epoch: int,
    resumed: Mapping[str, Any],
    validates: bool = True,
) -> Trainer:
    """A Lightning Trainer for this config."""
    trainer = config.trainer
    accelerator = choose_accelerator(trainer)
    if not 0 < trainer.validate_every <= 1:
        raise UserError(
            "trainer.validate_every is a share of an epoch.",
            code="config.out-of-range",
            where="trainer.validate_every",
            fix="a number above 0.0 and up to 1.0",
        )
    done, rows = resumed.get("global_step", 0), resumed.get(LOG, ())
    loggers = make_loggers(config.logger, run_dir / "logs", run_dir.name, done, rows)
    return Trainer(
        accelerator=accelerator,
        devices=trainer.devices,
        num_nodes=trainer.num_nodes,
        strategy=choose_strategy(trainer, accelerator),
        precision=choose_precision(trainer, accelerator),
        max_epochs=trainer.max_epochs,
        max_steps=-1 if trainer.max_steps is None else trainer.max_steps,
        accumulate_grad_batches=trainer.accumulate_grad_batches,
        val_check_interval=_validation_interval(
            trainer.validate_every, trainer.accumulate_grad_batches, steps_per_epoch
        ),
        limit_val_batches=1.0 if validates else 0,
        log_every_n_steps=max(1, math.ceil(steps_per_epoch / 20)),
        callbacks=[
            SeedEveryStep(config.seed),
            *progress_callbacks(trainer.progress),
            *make_callbacks(trainer.callbacks),  # before the checkpoints, which hold their state after the step
            *last,
        ],
        logger=loggers,
        plugins=[AtomicCheckpointIO(), _cluster()],
        default_root_dir=run_dir,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(c, ProgressBar) for c in progress_callbacks(trainer.progress)),
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # the batch plan shares rows among the ranks itself
        deterministic=accelerator == "cpu",
    )


def _validation_interval(every: float, accumulate: int, steps_per_epoch: int) -> float | int:
    """Batches between validations, a whole number of optimizer steps: a half-made gradient cannot be saved."""
    if every == 1.0:
        return 1.0
    # Rounded down: a tenth rounded up would come a tenth time only after the end, and the last weights go unmeasured.
    return max(1, int(every * steps_per_epoch)) * accumulate


def fit(
    module: FineTuner,
    data: FineTuneData,
    config: TrainConfig,
    run_dir: Path,
    *,
    watch: str,
    watch_mode: str,
    resume_from: Path | None = None,
) -> Fitted:
    """Train, and leave the weights of the best validation in the module.

    Args:
        module: Module to train.
        data: Its rows.
        config: The run's config.
        run_dir: Folder of the run.
        watch: Metric that chooses the best checkpoint.
        watch_mode: "max" or "min".
        resume_from: Checkpoint to go on from.
    """
    trainer_config = config.trainer
    world_size = trainer_config.devices * trainer_config.num_nodes
    per_epoch = data.steps_per_epoch(world_size)
    every = trainer_config.checkpoint_every or max(1, math.ceil(module.total_steps / 10))
    checkpoints = Checkpoints(run_dir / "checkpoints", watch, watch_mode, every, trainer_config.early_stop)
    resumed = read_checkpoint(resume_from) if resume_from else {}
    checkpoints.config = shaping(config)
    before: dict[str, str] = resumed.get(CONFIG, {})
    keys = [key for key, value in checkpoints.config.items() if before.get(key, value) != value]
    if keys:
        raise UserError(
            f"This run cannot be resumed: its config changed since it was interrupted ({', '.join(keys)}).",
            code="run.changed",
            where=str(run_dir / "config.yaml"),
            fix="; ".join(f"{key}={before[key]}" for key in keys) + " was there before; or start a new run",
        )
    with quiet_lightning():
        stop = StopOnSignal(run_dir, checkpoints)
        trainer = make_trainer(config, run_dir, [checkpoints, stop], per_epoch, resumed, "validation" in data.splits)
        try:
            with stop.around(trainer):
                trainer.fit(module, datamodule=data, ckpt_path=resume_from, weights_only=True)
        finally:
            main = trainer.is_global_zero
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
    if main:
        checkpoints.restore_best(module)
    return Fitted(checkpoints.best_step, checkpoints.best, trainer.global_step, main)
