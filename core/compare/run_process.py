"""The process of one run of a ladder: an ordinary training, or a baseline, that measures what it took."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch

from tunebook.compare import forked
from tunebook.compare.held_out import cross_validate
from tunebook.compare.lifetime import end_with_parent, running
from tunebook.compare.plan import read_plan
from tunebook.compare.run_state import RungRun
from tunebook.errors import UserError
from tunebook.files import write_json
from tunebook.pipeline.facts import config_facts, data_facts
from tunebook.pipeline.prepare import prepare
from tunebook.pipeline.record import make_record
from tunebook.pipeline.stored import read_config
from tunebook.pipeline.train import train
from tunebook.training.devices import choose_accelerator

Explain = Callable[[BaseException, str], UserError | None]
"""What an error means to a person, given the folder of the run; None where it is none of theirs."""


def member_command(member: str, explain: Explain) -> None:
    """Do the run ``<plan.json>#<number>``, or resume it where its folder says how far it is."""
    path, _, number = member.rpartition("#")
    plan = Path(path)
    run = RungRun.of(read_plan(plan).runs[int(number)], plan.parent)
    end_with_parent()
    with running(run):
        _load_libraries()
        with _failure_saved(run, explain):
            _hold_out(run)
        with _measured(run), _failure_saved(run, explain):
            if run.planned.kind == "train":
                _train(run)
            else:
                _answer(run)


def _load_libraries() -> None:
    """Load what every run needs before the clock runs: it takes as long for a baseline as for a model."""
    for name in ("transformers", "tunebook.report.figures", "matplotlib.figure"):
        importlib.import_module(name)


@contextmanager
def _measured(run: RungRun) -> Iterator[None]:
    """Write cost.json: an open attempt now, and what it took at the end, unless it is killed."""
    started = time.monotonic()
    before = run.attempts
    write_json(run.cost_file, [*before, {}])
    finished = False
    try:
        yield
        finished = True
    finally:
        took: dict[str, Any] = {"seconds": round(time.monotonic() - started, 3), "peak_memory": round(_peak(), 1)}
        took["device_memory"] = round(_device_peak(), 1)
        write_json(run.cost_file, [*before, {**took, "finished": finished}])


@contextmanager
def _failure_saved(run: RungRun, explain: Explain) -> Iterator[None]:
    """Save the sentence of a mistake where the comparison looks for it; an interrupted run has not failed."""
    try:
        yield
    except Exception as error:
        known = explain(error, str(run.run.path))
        if known and known.code != "run.interrupted":
            run.fail(known.message().splitlines()[0])
        raise


def _peak() -> float:
    """Most resident memory of this process or of one that it started, MiB, with all the libraries."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 1024**2
    import resource  # psutil knows no peak on Linux and macOS

    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return most / (1024 if sys.platform != "darwin" else 1024**2) + forked.unseen / 1024**2


def _device_peak() -> float:
    """Most memory that torch held on any GPU, MiB; 0 where none was used."""
    if not torch.cuda.is_initialized():
        return 0.0
    return max(torch.cuda.max_memory_reserved(device) for device in range(torch.cuda.device_count())) / 1024**2


def _hold_out(run: RungRun) -> None:
    """Cross-validate a way of learning that competes with others; its time is not that of the run."""
    if not run.planned.held_out or run.cross_validation_file.is_file():
        return
    with TemporaryDirectory(prefix="tunebook-held-out-") as scratch:
        cross_validate(run, prepare(read_config(run.run), Path(scratch) / "rejects.jsonl"))


def _train(run: RungRun) -> None:
    """As `tunebook train resume=<folder>` does it; the folder of a new run holds its config alone."""
    if run.run.report.is_file() and (run.run.bundle / "tunebook.json").is_file():
        return  # all but its time was written
    run.run.rejects.unlink(missing_ok=True)  # written again where there still are any
    train(read_config(run.run), run.run, print, lambda prepared: None, resumed=True)


def _answer(run: RungRun) -> None:
    """A baseline's answers to the same rows."""
    folder, rung = run.run, run.planned.kind
    config = read_config(folder)
    folder.rejects.unlink(missing_ok=True)
    prepared = prepare(config, folder.rejects)
    record = make_record(config, prepared.data, prepared.encoded, prepared.source, choose_accelerator(config.trainer))
    comparison = prepared.recipe.family.stages.comparison(prepared.recipe)
    evidence, extra = comparison.answer(rung, prepared, folder)
    report = evidence.report(
        subtitle=comparison.titles(prepared)[rung],
        data_facts=data_facts(prepared),
        config_facts=config_facts(config),
        notes=[*prepared.data.notes, *evidence.notes],
    )
    evidence.write(folder, report)
    write_json(folder.record, json.loads(json.dumps({**record, **extra})))
