"""`tunebook evaluate`: score a finished model on new rows."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf

from tunebook.bundle.manifest import find_bundle, read_manifest
from tunebook.composing.own import family_of, own_config
from tunebook.config.evaluate import EvaluateConfig


def evaluate_command(config: Any, run_dir: str) -> float:
    """Write metrics.json, predictions.csv and report.html; returns the watched metric."""
    folder = find_bundle(config.bundle)
    name = read_manifest(folder).recipe
    made = OmegaConf.to_object(own_config(config, name, family_of(name)))
    assert isinstance(made, EvaluateConfig)
    from tunebook.cli.output import print_judged, say  # torch begins here
    from tunebook.pipeline.evaluate import evaluate

    run, judged = evaluate(made, folder, run_dir, say)
    print_judged(judged)
    print(f"report: {run.report}")
    return judged.evidence.watched
