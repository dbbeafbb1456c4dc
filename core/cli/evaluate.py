"""`tunebook evaluate`: score a finished model on new rows."""

from __future__ import annotations

import os
from typing import Any

from omegaconf import OmegaConf

from tunebook.bundle.manifest import find_bundle, read_manifest
from tunebook.bundle.read import recipe_of
from tunebook.composing.own import family_of, own_config
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.ranges import check_ranges
from tunebook.data.columns import check_names
from tunebook.data.delimiters import parse_delimiter
from tunebook.data.sources import check_readable
from tunebook.data.subgroups import check_scored, scored_columns
from tunebook.run_folder import check_unused
from tunebook.training.ranks import started_by_torchrun
from tunebook.training.surroundings import check_copies


def evaluate_command(config: Any, run_dir: str) -> float:
    """Write metrics.json, predictions.csv and report.html; returns the watched metric."""
    folder = find_bundle(config.bundle)
    manifest = read_manifest(folder)
    name = manifest.recipe
    made = OmegaConf.to_object(own_config(config, name, family_of(name)))
    assert isinstance(made, EvaluateConfig)
    check_ranges(made)
    if not started_by_torchrun():
        check_copies(os.environ)
    check_names(made.data)
    check_scored(made.evaluation)
    made.data.delimiter = parse_delimiter(made.data.delimiter)
    check_unused(run_dir)
    recipe = recipe_of(manifest)
    recipe.family.inputs.check_evaluation(recipe, folder, manifest, made.evaluation)
    columns = [*recipe.family.inputs.evaluate_columns(recipe, manifest, made.data), *scored_columns(made.evaluation)]
    check_readable(made.data.test, "data.test", columns, "test", made.data.delimiter)
    from tunebook.cli.output import print_judged, say  # torch begins here: a wrong path is answered without it
    from tunebook.pipeline.evaluate import evaluate

    run, judged = evaluate(made, folder, run_dir, say)
    print_judged(judged)
    print(f"report: {run.report}")
    return judged.evidence.watched
