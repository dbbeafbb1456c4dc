"""Build the model and train it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tunebook.config.schema import Method, Objective, TrainConfig
from tunebook.errors import UserError
from tunebook.families.prepared import Prepared
from tunebook.run_folder import RunFolder, save_config
from tunebook.training.checkpoints import newest_valid
from tunebook.training.defaults import TrainingContext, resolve_defaults
from tunebook.training.finetuner import FineTuner
from tunebook.training.fit import Fitted, fit, planned_steps
from tunebook.training.parameter_groups import count_parameters, final_parameters
from tunebook.training.ranks import workers_join
from tunebook.training.seeding import seed_of, seed_torch


def tune(
    prepared: Prepared[Any],
    run: RunFolder,
    record: dict[str, Any],
    say: Callable[[str], None],
    resumed: bool,
    main: bool,
) -> tuple[Any, Fitted | None, TrainConfig]:
    """Build the model and train it; with ``adapt=none`` it is ready as it is.

    Args:
        prepared: The rows.
        run: Takes checkpoints, logs and the resolved config.
        record: Is given how many weights learn.
        say: Takes a line for whoever waits.
        resumed: Whether to go on from the newest checkpoint.
        main: Whether this is the run's first process.

    Returns:
        The plain model, how training went (None of a model that was not trained), and the config with the numbers
        that the user had left open.
    """
    config, recipe = prepared.config, prepared.recipe
    stages = recipe.family.stages
    seed_torch(seed_of(config.seed, 0))
    model = stages.build_model(recipe, prepared.source, prepared.labels, config, prepared.encoded)
    if config.adapt.method is Method.none:
        record["trained_parameters"] = 0
        return model, None, config
    if stages.solves(model, config):
        say(f"training: adapt={config.adapt.method.name}, no steps: the final layer is solved")
        record["trained_parameters"] = final_parameters(model)
        save_config(config, run)
        adapted, fitted = model, Fitted(0, None, 0, True)
    else:
        adapted = stages.adapt(model, config.adapt)
        trained, data = stages.training_data(adapted, prepared.encoded, prepared.source, config)
        record["trained_parameters"] = count_parameters(trained)[0]  # adapters are merged away later
        config = _resolved(prepared, model, data)
        if main:
            save_config(config, run)
            for line in _plan_in_words(config, data, open_rate=prepared.config.optim.lr is None):
                say(line)
        fitted = _fit(prepared, config, trained, data, run, say, resumed)
        if not fitted.is_main:
            return adapted, fitted, config
    merged = stages.merge(adapted, prepared.source, config, run)
    solved = stages.finish(replace(prepared, config=config), merged)
    if solved:
        say(f"final layer: {solved}")
    return merged, replace(fitted, solved=solved), config


def world_size(config: TrainConfig) -> int:
    """Processes that train together."""
    return config.trainer.devices * config.trainer.num_nodes


def _resolved(prepared: Prepared[Any], model: Any, data: Any) -> TrainConfig:
    """Choose the numbers that the user left open.

    Raises:
        UserError: Training would end before the whole backbone learns.
    """
    config = prepared.config
    context = TrainingContext(
        method=config.adapt.method,
        parameters=count_parameters(model)[1],
        steps_per_epoch=data.steps_per_epoch(world_size(config)),
        objective=config.objective.name,
        library=prepared.source.library,
    )
    resolved = resolve_defaults(config, context)
    steps = planned_steps(resolved, data, world_size(config))
    if config.adapt.unfreeze_epochs * context.steps_per_epoch >= steps:
        raise UserError(
            f"The backbone would still be partly frozen at the end: there are {steps} steps, "
            f"{context.steps_per_epoch} an epoch.",
            code="config.out-of-range",
            where="adapt.unfreeze_epochs",
            fix=f"at most {steps / context.steps_per_epoch / 2:g} leaves as many steps with the whole backbone",
        )
    return resolved


def _plan_in_words(config: TrainConfig, data: Any, open_rate: bool) -> list[str]:
    steps = planned_steps(config, data, world_size(config))
    batches = [f"batches: {data.summary}"] if data.summary else []
    return [
        *batches,
        f"training: adapt={config.adapt.method.name}, {_objective_in_words(config)}"
        f"{_rate_in_words(config, open_rate)}, "
        f"trainer.max_epochs={config.trainer.max_epochs} ({steps} steps)",
    ]


def _objective_in_words(config: TrainConfig) -> str:
    """The objective, unless it is supervised."""
    return "" if config.objective.name is Objective.sft else f"objective={config.objective.name.name}, "


def _rate_in_words(config: TrainConfig, open_rate: bool) -> str:
    """The optimizer, unless it is the default one, and its learning rate; and that the rule for it is AdamW's."""
    rate = f"optim.lr={config.optim.lr:g}"
    if config.optim.name == "adamw":
        return rate
    return f"optim.name={config.optim.name}, {rate}{' (scaled from the default of AdamW)' if open_rate else ''}"


def _fit(
    prepared: Prepared[Any],
    config: TrainConfig,
    trained: Any,
    data: Any,
    run: RunFolder,
    say: Callable[[str], None],
    resumed: bool,
) -> Fitted:
    recipe, size = prepared.recipe, world_size(config)
    # Adapters drew numbers too; a cached feature file must not change what comes next.
    seed_torch(seed_of(config.seed, 1))
    module = FineTuner(
        trained,
        data.head or recipe.family.stages.training_head(recipe, prepared.labels, prepared.encoded),
        recipe.metrics(prepared.labels),
        config.optim,
        planned_steps(config, data, size),
        gradient_clip=config.trainer.gradient_clip,
        unfreeze_steps=round(config.adapt.unfreeze_epochs * data.steps_per_epoch(size)),
        where=prepared.encoded.rows["train"].where,
    )
    run.checkpoints.mkdir(exist_ok=True)
    resume_from = newest_valid(run.checkpoints, lambda path: say(f"note: {path} is damaged")) if resumed else None
    if resumed:
        start = f"step {int(resume_from.stem.rpartition('-')[2])}" if resume_from else "the beginning"
        say(f"resuming from {start}")
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
