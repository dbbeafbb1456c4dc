"""tunebook.json: what a bundle says of itself besides the plain model. Names and numbers only, never code."""

from __future__ import annotations

import math
import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tunebook.data.columns import with_names
from tunebook.data.text_template import TextTemplate
from tunebook.errors import RESTORE_BUNDLE, UserError
from tunebook.untrusted import check_folder, read_object

FILE = "tunebook.json"
LOSS = "loss"
VALUE = "value"
FORMAT = 1
LARGEST_TEXT, LARGEST_IMAGE = 10_000_000, 8192
"""The longest text in tokens and the highest picture in pixels that a bundle may be for."""


@dataclass(frozen=True)
class Golden:
    """An input, or the name of a test picture, and what the model answered to it when the bundle was written."""

    text: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Manifest:
    """What `predict` needs besides the model.

    Attributes:
        recipe: Name of the recipe, found again among the installed ones.
        recipe_version: Distribution and version that it came from.
        options: The recipe's own options.
        head: Kind of the head, or "zero_shot".
        labels: Label names by index.
        max_length: Longest text in tokens; of images their height and width.
        columns: Config key of each column ("text") to the column's name in the training rows.
        golden: A few inputs with their outputs.
        format: Version of this file.
        image: What an image model needs besides: preprocessing, temperature, operating points; None of text models.
        generation: What a model that writes needs besides: the longest answer; None of others. Its golden outputs are
            the mean loss of a token, `LOSS`.
        state: What the model of any other family needs besides, which that family looks at; None of those above.
        number: Mean and deviation of the training rows' numbers, of a model that answers with a number; None of
            others. Its golden outputs are such numbers, `VALUE`.
        calibration: The temperature of a text classifier, and the probability below which it is not sure; None of
            others.
        several: Of a model that puts several labels on a text: ``chosen``, the labels' thresholds (None where its head
            decides by a rule of its own), and the ``separator`` of rows that list labels; None of others.
        template: How the text and the columns beside it become what a model of texts reads; None where it is the text.
    """

    recipe: str
    recipe_version: str
    options: dict[str, Any]
    head: str
    labels: list[str]
    max_length: int
    columns: dict[str, str]
    golden: list[Golden]
    format: int = FORMAT
    image: dict[str, Any] | None = None
    generation: dict[str, Any] | None = None
    state: dict[str, Any] | None = None
    number: dict[str, float] | None = None
    template: str | None = None
    calibration: dict[str, Any] | None = None
    several: dict[str, Any] | None = None

    @property
    def row_labels(self) -> list[str]:
        """The labels that rows have; none where a family of another kind calls its outputs so."""
        return self.labels if self.state is None else []

    @property
    def outputs(self) -> list[str]:
        """What each golden input has a number for."""
        if self.number is not None:
            return [VALUE]
        return self.labels if self.generation is None else [LOSS]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def read_manifest(folder: Path) -> Manifest:
    """Read and check a bundle's manifest.

    Raises:
        UserError: It is missing, not JSON, of a newer format, or not what a manifest must be.
    """
    file = folder / FILE
    if not file.is_file():
        raise UserError(
            f"This is not a bundle: {FILE} is missing.",
            code="bundle.not-found",
            where=str(folder),
            fix="give a run folder, or the model/ folder inside one",
        )
    try:
        content = read_object(file)
        version = content["format"]
        if isinstance(version, int) and version > FORMAT:
            raise UserError(
                f"This bundle has format {version}; this Tunebook reads up to {FORMAT}.",
                code="bundle.newer-format",
                where=str(file),
                fix="pip install -U tunebook",
            )
        golden = [Golden(**g) for g in content.pop("golden")]
        unknown = content.keys() - {each.name for each in fields(Manifest)}
        if unknown:
            raise ValueError(f"{min(unknown)} is no key of it")
        manifest = Manifest(**content, golden=golden)
        _check(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, OSError, UserError) as error:
        if isinstance(error, UserError) and error.code != "config.bad-template":
            raise
        said = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        said = "a value is missing or of another type" if isinstance(error, (TypeError, AttributeError)) else said
        raise UserError(
            f"The bundle's {FILE} is damaged: {said}.",
            code="bundle.damaged",
            where=str(file),
            fix=RESTORE_BUNDLE,
        ) from error
    return manifest


def _check(manifest: Manifest) -> None:
    """A file that was edited by hand must not be half believed."""
    key, fewest = ("text", 2) if manifest.image is None else ("image", 1)
    if manifest.generation is not None:
        key, fewest = "conversation", 0
    if manifest.state is not None:
        key, fewest = next(iter(manifest.columns), "input"), 0
    if manifest.number is not None:
        fewest = 0
        if not all(isinstance(manifest.number.get(k), float) for k in ("mean", "deviation")):
            raise ValueError("number must have a mean and a deviation")
    if manifest.several is not None:
        _check_several(manifest.several, manifest.labels)
    if not isinstance(manifest.labels, list) or key not in manifest.columns:
        raise ValueError(f"labels must be a list, and columns must name the {key}")
    if manifest.template is not None:
        TextTemplate(manifest.template, with_names(manifest.columns)).check()
    strings = [manifest.recipe, manifest.head, *manifest.labels, *manifest.columns.values()]
    if not all(isinstance(s, str) for s in strings) or not fewest <= len(set(manifest.labels)) == len(manifest.labels):
        raise ValueError(f"labels and names must be text, and {fewest} different labels at least")
    largest = LARGEST_TEXT if manifest.image is None else LARGEST_IMAGE
    if not isinstance(manifest.max_length, int) or not 3 <= manifest.max_length <= largest:
        raise ValueError(f"max_length must be a whole number from 3 to {largest:,}")
    for golden in manifest.golden:
        numbers = golden.probabilities
        if set(numbers) != set(manifest.outputs) or not all(math.isfinite(p) for p in numbers.values()):
            raise ValueError("a golden answer does not have one number per output")


def _check_several(several: dict[str, Any], labels: list[str]) -> None:
    separator, chosen = several.get("separator"), several.get("chosen")
    if not (separator is None or (isinstance(separator, str) and separator)):
        raise ValueError("separator must be a text")
    if chosen is None:
        return
    if set(chosen) != {"thresholds", "positives", "rows"} or not isinstance(chosen["rows"], int):
        raise ValueError("chosen must have thresholds, positives and rows")
    thresholds, positives = (list(chosen[key].items()) for key in ("thresholds", "positives"))
    if [[name for name, _ in each] for each in (thresholds, positives)] != [labels, labels]:
        raise ValueError("every label must have a threshold")
    if not all(isinstance(each, float) and 0 <= each <= 1 for _, each in thresholds):
        raise ValueError("a threshold must be a number from 0 to 1")
    if not all(isinstance(each, int) for _, each in positives):
        raise ValueError("positives must be whole numbers")


def find_bundle(path: str) -> Path:
    """The bundle in a run folder, or the folder itself.

    Raises:
        UserError: There is none, or something in it is no file; of a run folder, leads out of it.
    """
    folder = Path(path).expanduser()
    if (folder / FILE).is_file():
        check_folder(folder)
        return folder
    if (folder / "model" / FILE).is_file():
        check_folder(folder, links=False)
        return folder / "model"
    if (folder / "checkpoints").is_dir():
        raise UserError(
            "This run has not finished: it has no model yet.",
            code="run.not-finished",
            where=path,
            fix=f"resume with: tunebook train resume={shlex.quote(path)}",
        )
    what = "This folder holds no bundle" if folder.is_dir() else "There is no such folder"
    raise UserError(
        f"{what}.", code="bundle.not-found", where=path, fix="give a run folder, or the model/ folder inside one"
    )
