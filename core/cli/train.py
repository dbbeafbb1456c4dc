"""`tunebook train`: from rows to a tuned model, its report and its bundle."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from tunebook.cli.output import data_facts, print_data
from tunebook.config.schema import Method, TrainConfig
from tunebook.errors import UserError
from tunebook.files import write_json
from tunebook.pipeline.prepare import Prepared, prepare, typed
from tunebook.pipeline.run_folder import RunFolder, make_run_folder, nothing_half_written, open_run_folder, save_config
from tunebook.plugins.answers import check_metrics
from tunebook.training.ranks import announce, started_by_torchrun, workers_join

if TYPE_CHECKING:
    from tunebook.training.fit import Fitted


def train_command(config: Any, run_dir: str) -> float | None:
    """Start a run in a new folder; returns the watched test metric, which sweepers can optimise."""
    made = typed(config)
    check_devices(made)
    run = make_run_folder(run_dir)
    made.run_dir = str(run.path)
    with nothing_half_written(run):
        save_config(made, run)
        announce(str(run.path))
        return _train(made, run)


def resume_command(arguments: Sequence[str]) -> None:
    """Go on with the run named by ``resume=<folder>``, with that run's own config."""
    paths = [a.removeprefix("resume=") for a in arguments if a.startswith("resume=")]
    others = [a for a in arguments if not a.startswith("resume=")]
    if others or len(paths) != 1:
        raise UserError(
            "A resumed run takes its own config; nothing else can be given with resume=.",
            where=" ".join(others) or "resume",
            fix=f"tunebook train resume={paths[0]}, or start a new run with these options",
        )
    run = open_run_folder(paths[0])
    if (run.bundle / "tunebook.json").is_file() and run.report.is_file():
        raise UserError("This run is finished.", where=paths[0], fix=f"look at {run.report}")
    announce(str(run.path))
    run.rejects.unlink(missing_ok=True)  # written anew where there still are any
    try:
        _train(read_config(run), run, resumed=True)
    except UserError as error:
        if "data.max_rejects=" not in (error.fix or ""):
            raise
        raise UserError(
            error.what, where=error.where, fix="put these rows back as they were, or start a new run"
        ) from error


def train_as_follower(run_dir: str) -> None:
    """Be a further process of the run in a folder."""
    run = open_run_folder(run_dir)
    resumed = any(run.checkpoints.glob("step-*.ckpt"))
    _train(read_config(run), run, resumed=resumed, main=False)


def read_config(run: RunFolder) -> TrainConfig:
    """The config of a run, checked against the schema as if it were typed.

    Raises:
        UserError: The file was changed to something no config can be.
    """
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        return typed(OmegaConf.merge(OmegaConf.structured(TrainConfig), OmegaConf.load(run.config)))
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        raise UserError(
            f"The run's config cannot be read: {str(error).splitlines()[0]}.",
            where=str(run.config),
            fix="put it back as it was written, or start a new run",
        ) from error


def check_devices(config: TrainConfig) -> None:
    """Refuse a device that is not there before any row is read."""
    import os

    from tunebook.training.devices import choose_accelerator, choose_precision, choose_strategy

    accelerator = choose_accelerator(config.trainer)
    choose_precision(config.trainer, accelerator)
    choose_strategy(config.trainer, accelerator)
    world_size = config.trainer.devices * config.trainer.num_nodes
    started = int(os.environ.get("WORLD_SIZE", world_size))
    if started_by_torchrun() and started != world_size:
        raise UserError(
            f"torchrun started {started} processes, but the config has {world_size}.",
            where="trainer.devices, trainer.num_nodes",
            fix=f"trainer=ddp trainer.devices={started}",
        )


def _train(config: TrainConfig, run: RunFolder, resumed: bool = False, main: bool = True) -> float | None:
    """The whole way; a further process (``main=False``) leaves after training."""
    import torch

    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    rejects = run.rejects if main else Path(tempfile.mkdtemp(prefix="tunebook-rank-")) / "rejects.jsonl"
    prepared = prepare(config, rejects)
    check_metrics(prepared.recipe, prepared.labels)
    record = _record(prepared, run, resumed) if main else {}
    if main:
        print_data(prepared)
        sys.stdout.flush()
        if not resumed:
            write_json(run.record, record)
    model, fitted, settled = _tuned(prepared, run, resumed, main, record)
    if fitted is not None and not fitted.is_main:
        return None
    finished = replace(prepared, config=settled)
    return prepared.recipe.finish(finished, model, fitted, run, record, data_facts(finished))


def _record(prepared: Prepared, run: RunFolder, resumed: bool) -> dict[str, Any]:
    from tunebook.pipeline.record import check_same, make_record
    from tunebook.training.devices import choose_accelerator

    record = make_record(
        prepared.config,
        prepared.checked,
        prepared.encoded,
        prepared.source,
        choose_accelerator(prepared.config.trainer),
    )
    if resumed and run.record.is_file():
        before = json.loads(run.record.read_text(encoding="utf-8"))
        _use_threads(before.get("threads"))
        record["threads"] = before.get("threads")
        changed = check_same(before, record, run.path)
        if changed:
            print(f"note: this machine differs, so the result may too: {'; '.join(changed)}")
    return record


def _use_threads(threads: Any) -> None:
    """Sums over another number of threads round differently."""
    import torch

    if isinstance(threads, int) and threads > 0:
        torch.set_num_threads(threads)


def _tuned(
    prepared: Prepared, run: RunFolder, resumed: bool, main: bool, record: dict[str, Any]
) -> tuple[Any, Fitted | None, TrainConfig]:
    """Build the model and train it; with ``adapt=none`` it is ready as it is."""
    from tunebook.training.optim import count_parameters
    from tunebook.training.seeding import seed_of, seed_torch

    config, recipe = prepared.config, prepared.recipe
    seed_torch(seed_of(config.seed, 0))
    model = recipe.build_model(prepared.source, prepared.labels, config, prepared.encoded)
    if config.adapt.method is Method.none:
        record["trained_parameters"] = 0
        return model, None, config
    adapted = recipe.adapted(model, config.adapt)
    trained, data = recipe.data(adapted, prepared.encoded, prepared.source, config)
    record["trained_parameters"] = count_parameters(trained)[0]  # adapters are merged away later
    config = _settled(prepared, model, data, run, main)
    fitted = _fit(prepared, config, trained, data, run, resumed)
    if not fitted.is_main:
        return adapted, fitted, config
    return recipe.merged(adapted, prepared.source, config, run), fitted, config


def _settled(prepared: Prepared, model: Any, data: Any, run: RunFolder, main: bool) -> TrainConfig:
    """Choose the numbers that the user left open, say so, and keep them in the run's config."""
    from tunebook.training.defaults import TrainingContext, resolve_defaults
    from tunebook.training.fit import planned_steps
    from tunebook.training.optim import count_parameters

    config = prepared.config
    method = config.adapt.method
    world_size = config.trainer.devices * config.trainer.num_nodes
    situation = TrainingContext(
        method=method,
        parameters=count_parameters(model)[1],
        steps_per_epoch=data.steps_per_epoch(world_size),
    )
    settled = resolve_defaults(config, situation)
    steps = planned_steps(settled, data, world_size)
    if config.adapt.unfreeze_epochs * situation.steps_per_epoch >= steps:
        raise UserError(
            f"The backbone would still be frozen in part at the end: there are {steps} steps, "
            f"{situation.steps_per_epoch} an epoch.",
            where="adapt.unfreeze_epochs",
            fix=f"at most {steps / situation.steps_per_epoch / 2:g} leaves as much time to learn with all of it",
        )
    if main:
        save_config(settled, run)
        if data.told:
            print(f"batches: {data.told}")
        print(
            f"training: adapt={method.name}, optim.lr={settled.optim.lr:g}, "
            f"trainer.max_epochs={settled.trainer.max_epochs} ({steps} steps)",
            flush=True,
        )
    return settled


def _fit(prepared: Prepared, config: TrainConfig, trained: Any, data: Any, run: RunFolder, resumed: bool) -> Fitted:
    from tunebook.training.checkpoints import newest_valid
    from tunebook.training.finetuner import FineTuner
    from tunebook.training.fit import fit, planned_steps
    from tunebook.training.seeding import seed_of, seed_torch

    recipe = prepared.recipe
    world_size = config.trainer.devices * config.trainer.num_nodes
    # Adapters drew numbers too; a cached feature file must not change what comes next.
    seed_torch(seed_of(config.seed, 1))
    module = FineTuner(
        trained,
        recipe.training_head(prepared.labels, prepared.encoded),
        recipe.metrics(prepared.labels),
        config.optim,
        planned_steps(config, data, world_size),
        gradient_clip=config.trainer.gradient_clip,
        unfreeze_steps=round(config.adapt.unfreeze_epochs * data.steps_per_epoch(world_size)),
        where=prepared.encoded.rows["train"].where,
    )
    run.checkpoints.mkdir(exist_ok=True)
    resume_from = newest_valid(run.checkpoints) if resumed else None
    with workers_join(str(run.path)):
        return fit(
            module,
            data,
            config,
            run.path,
            watch=recipe.watch,
            watch_mode=recipe.watch_mode,
            resume_from=resume_from,
        )
