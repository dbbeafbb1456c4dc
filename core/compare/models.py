"""The models that `compare.models` names: their labels, and the config of the comparison with each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tunebook.composing.models import composed_with, model_options
from tunebook.composing.overrides import quoted
from tunebook.config.compare import CompareConfig
from tunebook.errors import UserError
from tunebook.pipeline.prepare import typed

_WHERE = "compare.models"
_LONGEST = 40  # letters of a label


def configs_of_models(made: CompareConfig, overrides: Sequence[str]) -> dict[str, CompareConfig]:
    """The config with each model, by the model's label; with a single one it has none.

    Args:
        made: As it was composed.
        overrides: Of what, so that they take precedence over the page of each model too.

    Raises:
        UserError: A model is unknown or named twice, or the overrides choose another one besides.
    """
    named = made.compare.models
    if not named:
        return {"": made}
    _check_overrides(overrides)
    known = model_options("compare", overrides)
    _check_names(named, known)
    chosen = {name: f"model={name}" if name in known else f"model.name={quoted(name)}" for name in named}
    composed = {name: _typed(composed_with("compare", overrides, override)) for name, override in chosen.items()}
    _check_alike(composed)
    labels = [""] if len(named) == 1 else labels_of(named, known)
    return dict(zip(labels, composed.values(), strict=True))


def labels_of(named: Sequence[str], known: Sequence[str]) -> list[str]:
    """What models are called in rungs and folders: an option by its name, a folder by its last part."""
    labels: list[str] = []
    for name in named:
        last = name if name in known else Path(name).expanduser().resolve().name
        safe = re.sub(r"[^\w.+-]+", "-", last).strip("-.")[:_LONGEST] or "model"
        taken = [label.lower() for label in labels]  # some file systems do not tell them apart
        numbered = (f"{safe}_{number}" for number in range(2, len(named) + 2))
        labels.append(safe if safe.lower() not in taken else next(each for each in numbered if each not in labels))
    return labels


def _typed(config: Any) -> CompareConfig:
    made = typed(config)
    assert isinstance(made, CompareConfig)
    return made


def _check_overrides(overrides: Sequence[str]) -> None:
    """Refuse to choose one model for all of them."""
    for override in overrides:
        key = override.lstrip("+").partition("=")[0]
        if key in ("model", "model.name"):
            raise UserError(
                f"{key} has no effect: {_WHERE} says which models are compared.",
                code="config.conflict",
                where=override,
                fix=f"leave {key} out, or name that model in {_WHERE} too",
            )


def _check_names(named: Sequence[str], known: Sequence[str]) -> None:
    """Refuse what is neither an option nor a folder, and what is named twice."""
    unknown = [name for name in named if name not in known and not Path(name).expanduser().is_dir()]
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        said = ", ".join(f"'{name}'" for name in unknown)
        are = "There is no model" if len(unknown) == 1 else "There are no models"
        raise UserError(
            f"{are} {said}.",
            code="config.unknown-option",
            where=_WHERE,
            fix=f"{hint}the models are: {', '.join(known)}; or give the path of a local folder with a model",
        )
    twice = next((name for number, name in enumerate(named) if name in named[:number]), None)
    if twice is not None:
        raise _named_twice(f"'{twice}'")


def _check_alike(composed: Mapping[str, CompareConfig]) -> None:
    """Refuse two names that choose the same: a folder by two paths, say."""
    seen: dict[str, str] = {}
    for name, made in composed.items():
        model = {**asdict(made), "compare": None}
        folder = Path(made.model.name).expanduser()
        if folder.is_dir():
            model["model"] = {**model["model"], "name": str(folder.resolve())}
        other = seen.setdefault(repr(model), name)
        if other != name:
            raise _named_twice(f"'{other}' and '{name}'", " under two names")


def _named_twice(which: str, how: str = " twice") -> UserError:
    return UserError(
        f"{_WHERE} names one model{how}: {which}.", code="config.duplicate", where=_WHERE, fix="name each once"
    )
