"""What can be checked of a recipe's rows, loss and model without a run: on one batch, in a process of its own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tunebook.data.batch import IGNORE_INDEX
from tunebook.errors import UserError
from tunebook.pipeline.prepare import make_recipe, prepare, typed
from tunebook.plugins.answers import invalid_of
from tunebook.plugins.contract import BrokenContract
from tunebook.plugins.heads import BrokenHead
from tunebook.testing.first_look import compose_config
from tunebook.testing.invariance import metrics_invariant
from tunebook.testing.outcome import Failed, NotApplicable, Status, outcome_of
from tunebook.testing.sample_rows import Slices, first_row
from tunebook.testing.zygote import in_a_line
from tunebook.training.seeding import seed_of, seed_torch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tunebook.config.schema import TrainConfig
    from tunebook.data.batch import Batch
    from tunebook.families.prepared import Prepared
    from tunebook.recipe import Head, Recipe

ODD_TEXTS = ("?", "0", "N/A", "\U0001f600", "two\nlines", "word " * 2000)
BATCH = 8
STEPS = 80
"""Most optimizer steps to overfit a batch."""
RATE = 1e-3
_OF_PARTS = 0.95
"""Right answers that are enough where a row has several: a model that reads from left to right cannot know them all."""
_TINY = 1e-4  # of the gradient's step, against the weights' own size
_EXTREME = 1e4  # logits that a model in trouble gives; a probability of them rounds to 0


@dataclass(frozen=True)
class Bench:
    """A model before training, with its head and a batch of training rows."""

    model: nn.Module
    head: Head
    batch: Batch

    def losses(self) -> tuple[Tensor, Tensor, Tensor]:
        """What the head makes of the batch: the outputs, the loss of each row, and the parts that each is a sum of."""
        outputs = self.head.forward(self.model, self.batch)
        losses = self.head.loss(outputs, self.batch["target"])
        units = self.head.units(self.batch)
        return outputs, losses, torch.ones_like(losses) if units is None else units.to(losses.dtype)

    def mean(self) -> Tensor:
        """The mean loss."""
        _, losses, units = self.losses()
        return losses.sum() / units.sum().clamp(min=1)


def examine(
    name: str, overrides: Sequence[str], rows: Mapping[str, Any], broken: Mapping[str, str], folder: str, home: str
) -> dict[str, list[str]]:
    """Check what is rejected, the loss, and whether a batch can be supervised: check -> status and reason."""
    slices = Slices(**rows)
    slices.with_broken().take_the_place_of_samples(name)
    made = {"bad_rows": outcome_of(lambda: _bad_rows(overrides, slices, broken, Path(folder), home))}
    slices.take_the_place_of_samples(name)
    try:
        config = typed(compose_config([*overrides, f"data.batch_size={BATCH}"]))
        prepared = prepare(config, Path(folder) / "bench.jsonl")
        bench = _set_up(prepared)
        bench.losses()
    except BrokenHead as error:
        return {**made, "head": [Status.failed.value, in_a_line(error, home)]}
    except Exception as error:  # a stranger's code may raise anything
        return {**made, "loss": [Status.failed.value, f"there is none: {in_a_line(error, home)}"]}
    made["head"] = [Status.passed.value, "its loss, probabilities and answers have the right form"]
    made["loss"] = outcome_of(lambda: _loss(bench))
    if made["loss"][0] == Status.passed.value:
        made["overfits"] = outcome_of(lambda: _overfits(bench))
    made["invariance"] = outcome_of(lambda: metrics_invariant(prepared.recipe, bench.head, prepared.labels, home))
    return made


def _bad_rows(overrides: Sequence[str], slices: Slices, broken: Mapping[str, str], folder: Path, home: str) -> str:
    """The training rows with broken ones among them go through the gate that every run's rows go through."""
    if slices.broken is None:
        raise NotApplicable("the rows are not in a CSV or JSON Lines file that broken ones could be added to")
    expected, file = {int(line): what for line, what in broken.items()}, folder / "rejects.jsonl"
    given = [o for o in overrides if not o.startswith(("data.train=", "data.max_rejects="))]
    given += ["data.max_rejects=1000", *([] if slices.samples else [f"data.train={json.dumps(slices.broken)}"])]
    config, refusal = typed(compose_config(given)), ""
    _odd_rows(make_recipe(config), config, first_row(Path(slices.broken)), home)
    try:
        prepare(config, file)
    except UserError as error:  # of what is left, perhaps, which is not the question here
        refusal = f" ({error.what})"
    log = {} if not file.is_file() else _reasons(file, Path(slices.broken).name)
    taken = [f"line {line} ({what})" for line, what in expected.items() if line not in log]
    if taken:
        raise Failed(
            f"of the broken rows, {', '.join(taken)} was not rejected{refusal}; say so in `columns` or `invalid`"
        )
    silent = [what for line, what in expected.items() if not log[line].strip()]
    if silent:
        raise Failed(f"a row was rejected without a reason: {silent[0]}")
    good = sorted(set(log) - set(expected))
    if good:
        raise Failed(f"line {good[0]} is one of the samples, and was rejected: {log[good[0]]}")
    return f"{len(expected)} broken rows rejected, such as: {log[min(expected)]}"


def _odd_rows(recipe: Recipe[Any], config: TrainConfig, row: Mapping[str, Any], home: str) -> None:
    """The recipe's own check must have an answer to any text, and a reason where it refuses one."""
    columns = recipe.columns(config.data)
    invalid = invalid_of(recipe)
    good = {column.role: str(row[column.name]) for column in columns if row.get(column.name)}
    for role in (column.role for column in columns if column.kind == "text"):
        for odd in ODD_TEXTS:
            try:
                reason = invalid({**good, role: odd})
            except BrokenContract as error:
                raise Failed(in_a_line(error, home)) from error
            except Exception as error:  # a stranger's code may raise anything
                raise Failed(f"`invalid` failed on the {role} {odd[:9]!r}: {in_a_line(error, home)}") from error
            if reason is not None and not reason.strip():
                raise Failed(f"`invalid` says {reason!r} of the {role} {odd[:9]!r}: None, or a reason in words")


def _reasons(file: Path, name: str) -> dict[int, str]:
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    mine = [entry for entry in entries if entry["file"].endswith(name)]
    return {entry["line"]: f"{entry['field']} {entry['reason']}".strip() for entry in mine}


def _set_up(prepared: Prepared[Any]) -> Bench:
    recipe, config, encoded = prepared.recipe, prepared.config, prepared.encoded
    seed_torch(seed_of(config.seed, 0))
    model = recipe.family.stages.build_model(recipe, prepared.source, prepared.labels, config, encoded)
    trained, data = recipe.family.stages.training_data(
        recipe.family.stages.adapt(model, config.adapt), encoded, prepared.source, config
    )
    batches = data.loader("train", shuffle=True)
    batch = max(batches, key=lambda batch: len(batch["target"].unique(dim=0)))  # one label alone is no task
    batch = batch if data.finish is None else data.finish(batch, False)
    trained.eval()  # dropout would make every loss another one
    return Bench(trained, recipe.family.stages.training_head(recipe, prepared.labels, encoded), batch)


def _loss(bench: Bench) -> str:
    outputs, losses, units = bench.losses()
    rows = len(bench.batch["target"])
    if tuple(losses.shape) != (rows,):
        raise Failed(f"the loss of {rows} rows has the shape {tuple(losses.shape)}: it must be one number a row")
    if not bool(losses.isfinite().all()):
        raise Failed(f"the loss of a fresh model is not finite: {losses.tolist()}")
    if bench.head.outputs:  # of a language model the outputs are losses already
        for sign in (1, -1):
            steep = torch.zeros_like(outputs)
            steep[..., :: 2 if outputs.shape[-1] > 1 else 1] = sign * _EXTREME
            extreme = bench.head.loss(steep, bench.batch["target"])
            if not bool(extreme.isfinite().all()):
                raise Failed(
                    f"the loss is not finite where logits are large ({sign * _EXTREME:g}): take the logarithm "
                    "together with the softmax (log_softmax, cross_entropy), not after it"
                )
    before = float(losses.detach().sum() / units.sum())
    after = _a_step_down(bench)
    if not after < before:
        raise Failed(f"a small step along the gradient changes the loss from {before:.6f} to {after:.6f}, not down")
    return f"{before:.3f} at first, finite at logits of {_EXTREME:g}, and decreases along its gradient"


def _a_step_down(bench: Bench) -> float:
    """The loss after a step so small that no loss could rise; the weights are put back."""
    parameters = [p for p in bench.model.parameters() if p.requires_grad]
    bench.model.zero_grad()
    torch.autograd.backward(bench.mean())
    slopes = [(p, p.grad) for p in parameters if p.grad is not None]
    norm = math.sqrt(sum(float(slope.square().sum()) for _, slope in slopes))
    if not norm:
        raise Failed("the loss has no gradient: nothing can be learned from it")
    size = math.sqrt(sum(float(p.detach().square().sum()) for p, _ in slopes))
    kept = [p.detach().clone() for p, _ in slopes]
    with torch.no_grad():
        for parameter, slope in slopes:
            parameter.sub_(slope * (_TINY * size / norm))
        after = float(bench.mean())
        for (parameter, _), before in zip(slopes, kept, strict=True):
            parameter.copy_(before)
    bench.model.zero_grad()
    return after


def _overfits(bench: Bench) -> str:
    parameters = [p for p in bench.model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.0)
    enough = 1.0 if bench.head.units(bench.batch) is None else _OF_PARTS
    first = goal = math.inf
    for step in range(STEPS + 1):
        outputs, losses, units = bench.losses()
        loss, right = losses.sum() / units.sum().clamp(min=1), _share_right(bench, outputs.detach())
        mean = float(loss.detach())
        if step == 0:
            first, goal = mean, mean / (4 if right is None else 2)  # right answers tell more than a loss
        said = f"loss {mean:.3f}" + ("" if right is None else f", {right:.0%} of the answers right")
        if mean < goal and (right is None or right >= enough):
            return f"{said} after {step} steps (loss at first {first:.3f})"
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    rows = len(bench.batch["target"])
    raise Failed(f"{said} after {STEPS} steps on {rows} rows alone (loss at first {first:.3f})")


def _share_right(bench: Bench, outputs: Tensor) -> float | None:
    """The share of answers that are right; None where outputs are losses or numbers, and none can be counted."""
    head = bench.head
    if not head.outputs or head.problem_type == "regression":
        return None
    answers, target = head.decide(head.probabilities(outputs)), bench.batch["target"]
    return float((answers == target)[target != IGNORE_INDEX].float().mean())
