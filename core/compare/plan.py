"""The plan of a comparison: every run with its config, its key and its folder, as plain JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from tunebook import __version__
from tunebook.compare.step import Step, seeds_of, with_method
from tunebook.config.schema import Method, TrainConfig
from tunebook.data.paths import resolve_paths
from tunebook.errors import UserError
from tunebook.files import write_json
from tunebook.models.source import weights_digest
from tunebook.plugins.answers import samples_of
from tunebook.untrusted import read_json

if TYPE_CHECKING:
    from tunebook.families.prepared import Prepared

# What does not shape a run's outcome; a comparison bounds its scores anew, whatever the run's own report says.
_ASIDE = ("run_dir", "resume", "logger")
_ASIDE_IN = {"trainer": ("progress",), "data": ("cache_dir", "pii"), "evaluation": ("confidence", "resamples")}
_SHOWN = 12  # characters of a key in a folder's name


@dataclass(frozen=True)
class PlannedRun:
    """One run: a step with a seed.

    Attributes:
        step: Name of the rung or of the step of the curve.
        seed: Of everything random in it, but for the splits.
        kind: `train`, or which baseline: `majority`, `classical`.
        held_out: Whether it is also cross-validated on its training rows.
        folder: Its run folder, relative to that of the comparison.
        key: Equal keys mean equal runs.
        config: As `config.yaml` has it.
    """

    step: str
    seed: int
    kind: str
    folder: str
    key: str
    config: Mapping[str, Any]
    held_out: bool = False


@dataclass(frozen=True)
class Plan:
    """All runs of a comparison, those that two steps share once.

    Attributes:
        key: Of what is compared: the config of all runs, but for what tells the rungs apart.
        runs: In the order that they are run.
        members: Step -> numbers of its runs.
    """

    key: str
    runs: tuple[PlannedRun, ...]
    members: Mapping[str, tuple[int, ...]]

    def write(self, path: Path) -> None:
        """Write plan.json."""
        write_json(path, asdict(self))


def read_plan(path: Path) -> Plan:
    """Read plan.json.

    Raises:
        UserError: It is damaged.
    """
    try:
        found = read_json(path)
        runs = tuple(PlannedRun(**run) for run in found["runs"])
        return Plan(str(found["key"]), runs, {name: tuple(numbers) for name, numbers in found["members"].items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "remove that file and run the command again: finished runs are found by their keys"
        raise UserError(
            "The plan of the comparison is damaged.", code="compare.damaged-folder", where=str(path), fix=fix
        ) from error


def make_plan(steps: Sequence[Step], models: Mapping[str, Prepared[Any]]) -> Plan:
    """Give every run its key and its folder; runs of equal keys are one.

    Args:
        steps: What is run.
        models: The rows as each model takes them, by its label; what needs no model takes those of the first.
    """
    first = next(iter(models))
    contents = {label: content_digest(prepared) for label, prepared in models.items()}
    runs: dict[str, PlannedRun] = {}
    members: dict[str, list[str]] = {}
    for step, seed in _in_rounds(steps):
        config = plain(replace(step.config, seed=seed))
        content = contents[step.model if step.kind == "train" and step.model else first]
        shaping = {"kind": step.kind, "config": _shaping(config), "content": content, "version": __version__}
        key = _digest({**shaping, "held_out": True} if step.way_of else shaping)
        if key not in runs:
            folder = f"{step.folder}/seed-{seed}-{key[:_SHOWN]}"
            runs[key] = PlannedRun(step.name, seed, step.kind, folder, key, config, bool(step.way_of))
        members.setdefault(step.name, []).append(key)
    order = list(runs)
    numbers = {name: tuple(order.index(key) for key in keys) for name, keys in members.items()}
    return Plan(_key_of(models), tuple(runs.values()), numbers)


def _key_of(models: Mapping[str, Prepared[Any]]) -> str:
    """Key of what is compared: of several models, of all of them under their labels."""
    keys = {label: subject_key(prepared.config) for label, prepared in models.items()}
    return next(iter(keys.values())) if len(keys) == 1 else _digest({"models": list(keys.items())})[:_SHOWN]


def _in_rounds(steps: Sequence[Step]) -> Iterator[tuple[Step, int]]:
    """Each step once, then the others of their seeds: whoever stops early has every rung, not the first ones often."""
    for turn in range(max((step.runs for step in steps), default=0)):
        yield from ((step, seeds_of(step)[turn]) for step in steps if turn < step.runs)


def subject_key(config: TrainConfig) -> str:
    """Key of what is compared, whatever the rungs; the folder of a comparison has its name."""
    neutral = with_method(config, Method.full)
    neutral = replace(neutral, adapt=replace(neutral.adapt, method=Method.full))
    return _digest({"config": _shaping(plain(neutral))})[:_SHOWN]


def plain(config: TrainConfig) -> dict[str, Any]:
    """A config as plain values, as `config.yaml` has them."""
    made = OmegaConf.to_container(OmegaConf.structured(config), resolve=True, enum_to_str=True)
    assert isinstance(made, dict)
    return {str(key): value for key, value in made.items()}


def _shaping(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in config.items() if key not in _ASIDE}
    for node, names in _ASIDE_IN.items():
        kept[node] = {key: value for key, value in kept[node].items() if key not in names}
    return kept


def content_digest(prepared: Prepared[Any]) -> dict[str, str]:
    """Digests of the rows that were read, of the files that they are in, and of the model's weights."""
    rows = {name: part.fingerprint for name, part in prepared.encoded.rows.items()}
    return {**rows, "files": _files_digest(prepared), "weights": weights_digest(prepared.source)}


def _files_digest(prepared: Prepared[Any]) -> str:
    """Over the bytes of all data files; of a folder of images over names and sizes, as their pixels count by row."""
    data = prepared.config.data
    given = {name: getattr(data, name) for name in ("train", "validation", "test")}
    if data.train is None:
        given = dict(samples_of(prepared.recipe, data.cache_dir))
    digest = hashlib.sha256()
    for name, spec in given.items():
        if spec is None:
            continue
        for path in resolve_paths(spec, f"data.{name}", folders=True):
            digest.update(f"{name}\n{path.name}\n".encode())
            _add(digest, path)
    return digest.hexdigest()


def _add(digest: Any, path: Path) -> None:
    if path.is_dir():
        for inside in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{inside.relative_to(path)}\n{inside.stat().st_size}\n".encode())
        return
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
