"""One small run, looked at from inside: its model in memory, its bundle, its files; and the same run killed."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file

from tunebook.bundle.read import open_bundle
from tunebook.cli.resume import resume_command
from tunebook.cli.train import train_command
from tunebook.plugins import load_recipe_class
from tunebook.testing.agreement import labels_agree, metrics_agree
from tunebook.testing.first_look import compose_config
from tunebook.testing.head_use import BUNDLE, TESTING, HeadUse
from tunebook.testing.outcome import Failed, Status, outcome_of
from tunebook.testing.sample_rows import Slices
from tunebook.testing.zygote import in_a_line
from tunebook.training.checkpoints import step_checkpoints
from tunebook.training.finetuner import FineTuner

if TYPE_CHECKING:
    from tunebook.data.batch import Batch
    from tunebook.families.prepared import Prepared

TOLERANCE = 1e-4
"""Largest difference between outputs that count as equal: saved weights are the same, sums may be ordered otherwise."""
KILLED_AFTER = 5
"""Optimizer steps done when the process is killed; with a checkpoint every 3 steps the last ones are lost."""


@dataclass
class Seen:
    """What the small run held in memory when its model was tuned."""

    prepared: Prepared[Any] | None = None
    outputs: Any = None
    use: HeadUse = field(default_factory=HeadUse)


def train(name: str, overrides: Sequence[str], rows: Mapping[str, Any], folder: str, home: str) -> dict[str, list[str]]:
    """Train, and check what came of it: check -> status and reason."""
    run, seen, failure, slices = Path(folder) / "run", Seen(), "", Slices(**rows)
    slices.take_the_place_of_samples(name)
    config = compose_config([*overrides, f"run_dir={run}"])
    _look_in(name, seen)
    try:
        train_command(config, str(run))
    except BaseException as error:
        if seen.outputs is None:
            raise
        failure = in_a_line(error, home)
    prepared = seen.prepared
    assert prepared is not None
    made = {"trains": [Status.passed.value, _steps(run)]}
    made["head"] = outcome_of(lambda: seen.use.summary(prepared.recipe, home, tested=not failure))
    try:
        predictor = _reopened(run, seen, failure, home)
    except Failed as failed:
        return {**made, "save_load": [Status.failed.value, str(failed)]}
    made["save_load"] = [Status.passed.value, "the same outputs for validation rows, in memory and after reloading"]
    _write_example(run.parent, predictor, seen)
    if failure:
        return {**made, "metrics": [Status.failed.value, f"the test rows cannot be scored: {failure}"]}
    made["metrics"] = outcome_of(lambda: metrics_agree(prepared, run, predictor))
    made["labels"] = outcome_of(lambda: labels_agree(prepared, run, slices.test))
    return made


def _look_in(name: str, seen: Seen) -> None:
    """Take down what the tuned model answers before it is written; this process does nothing else afterwards."""
    recipe_class = load_recipe_class(name)
    stages: Any = recipe_class.family.stages
    seen.use.watch(recipe_class)
    write_bundle, judge = stages.write_bundle, stages.judge

    def watched(prepared: Prepared[Any], model: Any, *rest: Any) -> None:
        seen.prepared, seen.use.stage = prepared, BUNDLE
        seen.outputs = _outputs(prepared.recipe, prepared, model)
        write_bundle(prepared, model, *rest)

    def judged(*rest: Any) -> Any:
        seen.use.stage = TESTING
        return judge(*rest)

    stages.write_bundle, stages.judge = watched, judged


def example_batch(prepared: Prepared[Any]) -> Batch:
    """A few validation rows as the model takes them."""
    items = prepared.encoded.splits["validation"].items
    batch = prepared.encoded.collate([items[i] for i in range(min(4, len(items)))])
    if "inputs" not in batch:  # stored pixels, which are made ready on the device
        batch = prepared.encoded.tokenizer(batch)
    return batch


def _outputs(recipe: Any, prepared: Prepared[Any], model: Any) -> Any:
    """What the recipe's head makes of the example batch, ``[...]``."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        outputs = recipe.head(prepared.labels).forward(model, example_batch(prepared)).float().cpu().numpy()
    model.train(was_training)
    return outputs


def _steps(run: Path) -> str:
    with (run / "logs" / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    losses = [float(row["train/loss"]) for row in rows if row.get("train/loss")]
    return f"training loss {losses[0]:.3f} at first, {losses[-1]:.3f} at last"


def _reopened(run: Path, seen: Seen, failure: str, home: str) -> Any:
    """The bundle's model, which must answer as the one in memory did."""
    if not (run / "model").is_dir():
        raise Failed(f"the bundle cannot be written: {failure}")
    try:
        _, recipe, predictor = open_bundle(run / "model")
    except Exception as error:
        raise Failed(f"the bundle cannot be read back: {in_a_line(error, home)}") from error
    assert seen.prepared is not None
    again = _outputs(recipe, seen.prepared, predictor.model)
    if again.shape != seen.outputs.shape or not np.allclose(again, seen.outputs, atol=TOLERANCE):
        off = np.abs(again - seen.outputs).max() if again.shape == seen.outputs.shape else float("nan")
        raise Failed(
            f"the model loaded from the bundle gives other outputs than the one in memory (off by {off:.4f}): "
            "something that it needs is saved in no weight and no file"
        )
    return predictor


def _write_example(folder: Path, predictor: Any, seen: Seen) -> None:
    """Inputs and plain outputs of the bundle's model, for the process that must do without Tunebook."""
    assert seen.prepared is not None
    inputs = {k: v.contiguous() for k, v in example_batch(seen.prepared)["inputs"].items() if torch.is_tensor(v)}
    with torch.no_grad():
        made = predictor.model.eval()(**inputs)
    logits = (made if torch.is_tensor(made) else made.logits).float().contiguous()
    save_file({**inputs, "__logits__": logits}, folder / "example.safetensors")


def killed(name: str, overrides: Sequence[str], rows: Mapping[str, Any], folder: str) -> None:
    """The same run, killed by the operating system in the midst of training."""

    def kill(module: Any, batch: Any, batch_idx: int) -> None:
        if module.global_step == KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)

    Slices(**rows).take_the_place_of_samples(name)
    FineTuner.on_train_batch_start = kill  # type: ignore[method-assign, assignment]
    run = Path(folder) / "killed"
    train_command(compose_config([*overrides, f"run_dir={run}"]), str(run))


def resumed(name: str, rows: Mapping[str, Any], folder: str) -> list[str]:
    """Go on with the killed run, and compare its weights with those of the run that was never touched."""
    Slices(**rows).take_the_place_of_samples(name)
    return outcome_of(lambda: _same_weights(Path(folder) / "killed", Path(folder) / "run"))


def _same_weights(run: Path, whole: Path) -> str:
    checkpoints = [path.stem for path in step_checkpoints(run / "checkpoints")]
    if not checkpoints:
        raise Failed("the killed run left no checkpoint")
    resume_command([f"resume={run}"])
    different = [
        path.name
        for path in sorted((whole / "model").glob("*.safetensors"))
        if path.read_bytes() != (run / "model" / path.name).read_bytes()
    ]
    if different:
        raise Failed(
            f"killed after step {KILLED_AFTER} and resumed from {checkpoints[-1]}, it ends with other weights "
            f"({', '.join(different)}): something that shapes training is neither saved nor derived from the seed"
        )
    return f"killed after step {KILLED_AFTER}, resumed from {checkpoints[-1]}: the same weights, bit for bit"
