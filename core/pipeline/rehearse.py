"""All that a run will do, done once with a few rows: what would fail after hours of training fails before it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tunebook.config.schema import Method, TrainConfig
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.prepared import Prepared
from tunebook.models.adapt import check_adapters, check_merge
from tunebook.models.source import weight_files
from tunebook.pipeline.judge import open_own_bundle
from tunebook.pipeline.with_rows import with_rows
from tunebook.run_folder import RunFolder
from tunebook.training.optimizers import make_optimizer

ROWS = 8
"""Training rows of a rehearsal, the shortest ones, at least one of each label as far as they go."""
HELD_OUT = 2
"""Rows of its other splits."""
LARGEST = 2 << 30
"""Bytes of weights up to which there is one: it holds the model and its gradient, and writes and reads its bundle."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def rehearsed(prepared: Prepared[Any]) -> Prepared[Any]:
    """The run, with what a rehearsal found among its facts.

    Raises:
        UserError: The run would fail.
    """
    found = rehearse(prepared)
    encoded = prepared.encoded
    return replace(prepared, encoded=replace(encoded, facts={**encoded.facts, **found})) if found else prepared


def rehearse(prepared: Prepared[Any]) -> dict[str, str]:
    """Build, adapt, train, merge, save, open and judge the model as the run will, each with a few rows.

    Nothing of it stays: no file, and no random number is drawn.

    Args:
        prepared: The run's rows.

    Returns:
        What was found, to be shown.

    Raises:
        UserError: The run would fail; its message says in which step.
    """
    config, source, stages = prepared.config, prepared.source, prepared.recipe.family.stages
    weights = [source.weights] if source.weights else weight_files(source.folder)
    small = sum(file.stat().st_size for file in weights) <= LARGEST
    if not (config.trainer.rehearse and small and stages.rehearses(config)):
        return {}
    with (
        torch.random.fork_rng(devices=[]),
        TemporaryDirectory(prefix="tunebook-rehearsal-", ignore_cleanup_errors=True) as scratch,
    ):
        few = _few_rows(prepared, Path(scratch))
        found: dict[str, str] = {}
        if few is not None:
            with suppress(_NoRoom):
                _perform(few, RunFolder(Path(scratch) / "run"), found)
        return found


def _few_rows(prepared: Prepared[Any], scratch: Path) -> Prepared[Any] | None:
    """The run with a few rows of each split; None where they cannot be encoded without the others."""
    config = replace(
        prepared.config,
        data=replace(prepared.config.data, batch_size=HELD_OUT),
        trainer=replace(prepared.config.trainer, devices=1, num_nodes=1),
    )
    recipe = prepared.recipe.family.stages.rehearsed(prepared.recipe)
    rows = {name: _few(part, prepared, name) for name, part in prepared.encoded.rows.items()}
    try:
        return with_rows(replace(prepared, config=config, recipe=recipe), rows, scratch)
    except Exception:  # all rows could be encoded: that few cannot says nothing of the run
        return None


def _few(rows: Rows, prepared: Prepared[Any], split: str) -> Rows:
    lengths = prepared.encoded.splits[split].lengths
    order = np.argsort(lengths, kind="stable") if len(lengths) == len(rows) else np.arange(len(rows))
    wanted = ROWS if split == "train" else HELD_OUT
    chosen = [int(row) for row in order[:wanted]]
    if split == "train" and prepared.data.labels is not None and "label" in rows.roles:
        labels = np.array(rows.texts("label"))
        _, first = np.unique(labels[order], return_index=True)
        chosen = [int(order[place]) for place in first[:wanted]] + chosen
        chosen = list(dict.fromkeys(chosen))[:wanted]
    return rows.take(sorted(chosen))


def _perform(few: Prepared[Any], run: RunFolder, found: dict[str, str]) -> None:
    """Do all of it, and note what was found."""
    config, recipe, source, encoded = few.config, few.recipe, few.source, few.encoded
    stages = recipe.family.stages
    with _step("be loaded", config):
        model = stages.build_model(recipe, source, few.labels, config, encoded)
    if config.adapt.method is not Method.none:
        with _step("read rows", config):
            found.update(stages.examine(model, encoded))
        with _step(f"be trained with adapt={config.adapt.method.name}", config):
            if not stages.solves(model, config):
                model = stages.adapt(model, config.adapt)
                trained, data = stages.training_data(model, encoded, source, config)
                _take_a_step(few, trained, data)
        with _step("be put together after training", config):
            model = stages.merge(model, source, config, run)
            stages.finish(few, model)
    with _step("be saved and opened again", config):
        run.path.mkdir(exist_ok=True)
        stages.write_bundle(few, model, None, run, {"data": {}, "training": {}, "scores": {}})
        predictor = open_own_bundle(recipe, run)
    with _step("answer rows", config):
        evidence = stages.judge(few, predictor, run)
    found.update({f"{name} score": f"none: {why}" for name, why in evidence.missing.items()})


def _take_a_step(few: Prepared[Any], trained: Any, data: Any) -> None:
    """A forward and a backward pass of a batch; weights stay as they are."""
    stages = few.recipe.family.stages
    head = data.head or stages.training_head(few.recipe, few.labels, few.encoded)
    batch = next(iter(data.loader("train", shuffle=False)))
    if data.finish is not None:
        batch = data.finish(batch, True)
    trained.train()
    optim = few.config.optim
    rate = replace(optim, lr=1e-4 if optim.lr is None else optim.lr)  # an open one is chosen later
    make_optimizer(trained, rate, 1 if few.config.adapt.unfreeze_epochs else 0)
    _check_repeatable(trained, head, batch)
    head.loss(head.forward(trained, batch), batch["target"]).sum().backward()
    check_adapters(trained)
    if few.config.adapt.method is Method.lora:
        check_merge(trained, lambda model: head.forward(model, batch))
    trained.zero_grad(set_to_none=True)


def _check_repeatable(trained: Any, head: Any, batch: Any) -> None:
    """Refuse a model that draws random numbers from elsewhere than torch's generator, as Reformer does.

    Raises:
        UserError: It answers otherwise from the same state of the generator.
    """
    answers = []
    with torch.no_grad():
        for _ in range(2):
            torch.manual_seed(0)
            answers.append(head.forward(trained, batch))
    first, second = answers
    if not torch.allclose(first, second, atol=1e-4 * max(1.0, float(first.abs().max())), equal_nan=True):
        raise UserError(
            "This model draws random numbers of its own, so that a resumed run would end in other weights.",
            code="model.not-repeatable",
            where="model.name",
            fix="model.dropout=0, or choose another model",
        )


@contextmanager
def _step(doing: str, config: TrainConfig) -> Iterator[None]:
    """A step of the rehearsal, whose failure is refused by its name."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if error.errno not in _FULL:
            raise _failed(doing, config, error) from error
        raise _NoRoom from error
    except Exception as error:  # models of any architecture, and recipes of any author, raise anything
        raise _failed(doing, config, error) from error


def _failed(doing: str, config: TrainConfig, error: Exception) -> UserError:
    said = " ".join(str(error).split())[:300]
    return UserError(
        f"Tried with a few rows, '{config.model.name}' cannot {doing}: {type(error).__name__}: {said}",
        code="model.rehearsal-failed",
        where=f"model.name, adapt={config.adapt.method.name}",
        fix="choose another model or adapt; trainer.rehearse=false trains without trying first",
    )


class _NoRoom(Exception):
    """There is no room for a second bundle in the temporary directory: that says nothing of the run."""
