"""A training run from its config to its report: prepare, tune, judge, record."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tunebook.config.schema import TrainConfig
from tunebook.errors import UserError
from tunebook.families.prepared import Prepared
from tunebook.files import write_json
from tunebook.pipeline.judge import Judged, judge
from tunebook.pipeline.prepare import prepare
from tunebook.pipeline.record import check_same, make_record
from tunebook.pipeline.rehearse import rehearsed
from tunebook.pipeline.stored import read_config
from tunebook.pipeline.tune import tune, world_size
from tunebook.plugins.measures import check_metrics
from tunebook.run_folder import RunFolder, open_run_folder
from tunebook.training.devices import choose_accelerator, choose_precision, choose_strategy, note_on_cores
from tunebook.training.interrupts import interruption_named
from tunebook.training.ranks import started_by_torchrun
from tunebook.untrusted import read_object


def train(
    config: TrainConfig,
    run: RunFolder,
    say: Callable[[str], None],
    on_prepared: Callable[[Prepared[Any]], None],
    resumed: bool = False,
    main: bool = True,
) -> Judged | None:
    """The whole way; a further process (``main=False``) leaves after training, with None.

    Args:
        config: All that shapes the run.
        run: Its folder.
        say: Takes a line for whoever waits.
        on_prepared: Is shown the rows before anything is trained.
        resumed: Whether to go on from the newest checkpoint.
        main: Whether this is the run's first process.
    """
    with interruption_named(run.path) if main else nullcontext():
        if config.trainer.threads is not None:
            torch.set_num_threads(config.trainer.threads)
        if main:
            prepared = prepare(config, run.rejects)
        else:  # the first process logs the same rejects
            with tempfile.TemporaryDirectory(prefix="tunebook-rank-") as scratch:
                prepared = prepare(config, Path(scratch) / "rejects.jsonl")
        check_metrics(prepared.recipe, prepared.labels)
        if main and not resumed:
            prepared = rehearsed(prepared)
        record = _record(prepared, run, resumed, say) if main else {}
        if main:
            on_prepared(prepared)
            if not resumed:
                write_json(run.record, record)
        model, fitted, resolved = tune(prepared, run, record, say, resumed, main)
        if fitted is not None and not fitted.is_main:
            return None
        return judge(replace(prepared, config=resolved), model, fitted, run, record)


def train_as_follower(run_dir: str) -> None:
    """Be a further process of the run in a folder."""
    run = open_run_folder(run_dir)
    resumed = any(run.checkpoints.glob("step-*.ckpt"))
    train(read_config(run), run, lambda line: None, lambda prepared: None, resumed=resumed, main=False)


def check_devices(config: TrainConfig) -> list[str]:
    """Refuse a device that is not there before any row is read; returns notes on those that are."""
    accelerator = choose_accelerator(config.trainer)
    choose_precision(config.trainer, accelerator)
    choose_strategy(config.trainer, accelerator)
    wanted = world_size(config)
    started = int(os.environ.get("WORLD_SIZE", wanted))
    if started_by_torchrun() and started != wanted:
        raise UserError(
            f"torchrun started {started} processes, but the config has {wanted}.",
            code="training.wrong-world-size",
            where="trainer.devices, trainer.num_nodes",
            fix=f"trainer=ddp trainer.devices={started}",
        )
    if config.trainer.num_nodes > 1 and not started_by_torchrun():
        raise UserError(
            f"trainer.num_nodes={config.trainer.num_nodes}, but nothing starts a process on the other nodes.",
            code="training.wrong-world-size",
            where="trainer.num_nodes",
            fix="start the run with torchrun --nnodes=<machines>, or leave trainer.num_nodes out",
        )
    note = note_on_cores(config.trainer, accelerator)
    return [note] if note else []


def _record(prepared: Prepared[Any], run: RunFolder, resumed: bool, say: Callable[[str], None]) -> dict[str, Any]:
    record = make_record(
        prepared.config,
        prepared.data,
        prepared.encoded,
        prepared.source,
        choose_accelerator(prepared.config.trainer),
    )
    if resumed and run.record.is_file():
        before = _recorded(run)
        _use_threads(before.get("threads"))
        record["threads"] = before.get("threads")
        changed = check_same(before, record, run.path)
        if changed:
            say(f"note: this machine differs, so the result may too: {'; '.join(changed)}")
    return record


def _recorded(run: RunFolder) -> dict[str, Any]:
    """What the run was made of when it was started.

    Raises:
        UserError: The file is damaged.
    """
    try:
        return read_object(run.record)
    except (ValueError, OSError) as error:
        raise UserError(
            f"The run's record cannot be read: {error}.",
            code="run.damaged-record",
            where=str(run.record),
            fix="restore it, or delete it to resume without comparing rows and versions with those of the start",
        ) from error


def _use_threads(threads: Any) -> None:
    """Sums over another number of threads round differently."""
    if isinstance(threads, int) and threads > 0:
        torch.set_num_threads(threads)
