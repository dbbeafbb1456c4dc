"""From a composed config to rows that are ready for a model: what `check` and `train` share."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from tunebook.composing.own import family_of, own_config
from tunebook.config.callbacks import check_callbacks
from tunebook.config.optimizers import check_optim
from tunebook.config.parts import check_named_parts
from tunebook.config.ranges import check_ranges
from tunebook.config.schema import ONLY_WITH, AdaptConfig, AugmentedDataConfig, Method, Objective, TrainConfig
from tunebook.data.columns import check_names
from tunebook.data.delimiters import parse_delimiter
from tunebook.data.file_source import file_source
from tunebook.data.load_and_validate import load_and_validate
from tunebook.data.rejects import RejectLog, log_apart
from tunebook.data.sources import SPLITS, check_readable, sources_of
from tunebook.data.split_column import check_split
from tunebook.data.subgroups import check_gap, check_scored, scored_columns
from tunebook.errors import UserError
from tunebook.families.prepared import Prepared
from tunebook.pipeline.offered import check_offered
from tunebook.plugins import load_recipe_class
from tunebook.plugins.answers import columns_of, invalid_of, samples_of
from tunebook.plugins.load import new_recipe
from tunebook.plugins.options import typed_recipe_options

if TYPE_CHECKING:
    from tunebook.recipe import Recipe


def typed(config: Any) -> TrainConfig:
    """The config as dataclasses of the recipe's family, independent of the folder it was composed in."""
    recipe = str(OmegaConf.select(config, "recipe.name"))
    family = family_of(recipe)
    made = OmegaConf.to_object(own_config(config, recipe, family))
    assert isinstance(made, TrainConfig)
    made.data.delimiter = parse_delimiter(made.data.delimiter)
    _check_values(made)
    check_optim(made.optim)
    check_callbacks(made.trainer.callbacks)
    if isinstance(made.data, AugmentedDataConfig):
        check_named_parts("augmentation", made.data.augmentations, "data.augmentations")
    return absolute_paths(made, family.paths)


_PATHS: dict[str, tuple[str, ...]] = {f"data.{name}": () for name in ("train", "validation", "test", "cache_dir")}


def absolute_paths(config: TrainConfig, own: Mapping[str, tuple[str, ...]]) -> TrainConfig:
    """Nothing in a run may depend on the folder it was started from: make the paths in its config absolute.

    Args:
        config: The run's config.
        own: The family's keys that hold paths, each with the words that it may be instead.
    """

    def absolute(value: Any, words: tuple[str, ...]) -> Any:
        if isinstance(value, (list, tuple)):
            return [absolute(v, words) for v in value]
        is_path = isinstance(value, str) and value and value not in words
        return str(Path(value).expanduser().absolute()) if is_path else value

    for key, words in {**_PATHS, **own}.items():
        node, name = key.split(".")
        if node == "recipe":  # not yet typed, and a page may leave out what has a default
            if name in config.recipe:
                config.recipe[name] = absolute(config.recipe[name], words)
        else:
            setattr(getattr(config, node), name, absolute(getattr(getattr(config, node), name), words))
    return config


def _check_values(config: TrainConfig) -> None:
    """Refuse values that no run can be made with."""
    check_ranges(config)
    check_names(config.data)
    check_scored(config.evaluation)
    for key, example in {**dict.fromkeys(SPLITS, "rows.csv"), "cache_dir": "<folder>"}.items():
        if getattr(config.data, key) == "":
            raise UserError(
                f"data.{key} has no value.",
                code="config.missing-value",
                where=f"data.{key}",
                fix=f"data.{key}={example}",
            )
    if config.adapt.unfreeze_epochs and config.adapt.method is not Method.full:
        raise UserError(
            f"adapt={config.adapt.method.name} has no backbone to unfreeze.",
            code="config.conflict",
            where="adapt.unfreeze_epochs",
            fix="adapt=full adapt.unfreeze_epochs=2",
        )
    if getattr(config.evaluation, "suspects", None) and config.adapt.method in (Method.scratch, Method.none):
        raise UserError(
            f"adapt={config.adapt.method.name} tunes no pre-trained model, whose features would show suspect labels.",
            code="config.conflict",
            where="evaluation.suspects",
            fix="adapt=head, or evaluation.suspects=false",
        )


def _check_method(recipe: Recipe[Any], config: TrainConfig) -> None:
    """Refuse pairs where the family has none, and what only another method reads."""
    contrastive = config.adapt.method is Method.contrastive
    if contrastive and not recipe.family.contrastive:
        raise UserError(
            f"adapt=contrastive tunes on pairs of rows of one label, which {recipe.family.name} has not.",
            code="config.conflict",
            where="adapt.method",
            fix="adapt=full or adapt=lora",
        )
    if contrastive and config.trainer.devices * config.trainer.num_nodes > 1:
        raise UserError(
            "adapt=contrastive makes pairs within a batch, which several processes would take apart.",
            code="config.conflict",
            where="trainer.devices",
            fix="trainer.devices=1",
        )
    for option in fields(AdaptConfig):  # a family looks at its own
        only = option.metadata.get(ONLY_WITH, config.adapt.method)
        if only is not config.adapt.method and getattr(config.adapt, option.name) != option.default:
            raise UserError(
                f"adapt.{option.name} has no effect with adapt={config.adapt.method.name}.",
                code="config.no-effect",
                where=f"adapt.{option.name}",
                fix=f"adapt={only.name}, or leave it out",
            )


def make_recipe(config: TrainConfig) -> Recipe[Any]:
    """The chosen recipe with its checked options, as it learns by the chosen objective."""
    name = str(config.recipe["name"])
    recipe_class = load_recipe_class(name)
    recipe = new_recipe(recipe_class, typed_recipe_options(config.recipe, recipe_class.Config, name))
    made: Recipe[Any] = recipe.family.inputs.with_objective(recipe, config)
    return made


def check_sources(config: TrainConfig) -> None:
    """Refuse rows that are not there or lack a column, before torch is loaded; what they hold is looked at later."""
    check_split(config.data)
    if config.objective.name is not Objective.sft:
        make_recipe(config)
    if all(getattr(config.data, name) is None for name in SPLITS):  # a recipe's own samples may have to be made first
        return
    recipe = make_recipe(config)
    _check_method(recipe, config)
    columns = columns_of(recipe, config.data, further=scored_columns(config.evaluation))
    sources, _, _ = sources_of(config.data, None, columns)
    for split, spec in sources.items():
        check_readable(spec, f"data.{split}", columns, split, config.data.delimiter)


@contextmanager
def rejects_apart(verb: str) -> Iterator[Path]:
    """A file for rejected rows of a verb that has no run folder: where any were rejected it stays, and is named."""
    with log_apart(verb) as rejects:
        try:
            yield rejects
        finally:
            if rejects.is_file():
                print(f"rejected rows: {rejects}")


def prepare(config: TrainConfig, rejects: Path) -> Prepared[Any]:
    """Find recipe and model, check all rows, encode them; nothing is trained or loaded yet.

    Args:
        config: The run's config.
        rejects: File for rejected rows.
    """
    recipe = make_recipe(config)
    _check_method(recipe, config)
    check_offered(config)
    source = recipe.family.inputs.find_model(recipe, config.model, weights=config.adapt.method is not Method.scratch)
    content = recipe.family.inputs.content(recipe, source, config)
    columns = columns_of(recipe, config.data, content, scored_columns(config.evaluation))
    log = RejectLog(rejects, config.data.max_rejects, masking=file_source(columns) is None)
    checked = load_and_validate(
        config.data,
        columns,
        samples=None if config.data.train is not None else samples_of(recipe, config.data.cache_dir),
        invalid=invalid_of(recipe),
        rejects=log,
        seed=config.seed,
        content=content,
        progress=config.trainer.progress and sys.stderr.isatty(),
    )
    check_gap(checked.test, config.evaluation)
    from tunebook.plugins.heads import try_head  # torch begins here: rows are read and checked without it

    if checked.labels is not None:
        data: Any = config.data  # of rows with one label a LabelledDataConfig, else what the family makes of it
        recipe.check_labels(checked.labels, data)
    try_head(recipe, checked.labels.names if checked.labels else ())
    encoded = recipe.family.stages.encode(recipe, checked, source, config, log)
    return Prepared(config, recipe, source, checked, encoded)
