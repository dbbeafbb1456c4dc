"""What text classifiers take in, and the probability below which one is not sure."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

from tunebook.bundle.manifest import Manifest
from tunebook.config.score import ScoreConfig
from tunebook.data.columns import PAIR, TEXT, with_names
from tunebook.data.rows import Rows
from tunebook.data.text_template import with_role
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.picking import Shown, not_picked_for
from tunebook.families.text_classification.calibration import stored_calibration
from tunebook.families.text_classification.options import NewTextEvaluation
from tunebook.families.text_inputs import SequenceInputs

AUTO = "auto"
NOT_SURE = "evaluation.not_sure"


class TextClassificationInputs(SequenceInputs[Any]):
    """Texts with labels; an answer may be one that the model is not sure of."""

    def check_evaluation(self, recipe: Any, folder: Path, manifest: Manifest, options: ScoreConfig) -> None:
        """A probability that cannot be, or a bundle without one, is refused.

        Raises:
            UserError: It is such a one.
        """
        wanted = node_as(options, NewTextEvaluation).not_sure
        if wanted is not None:
            self.not_sure_below(recipe, folder, manifest, wanted, NOT_SURE)

    def check_pick(self, recipe: Any, folder: Path, manifest: Manifest) -> None:
        """A model that was not tuned has no final layer to ask.

        Raises:
            UserError: It is such a model.
        """
        if manifest.head == "zero_shot":
            what = "This bundle's model was not tuned: no final layer has a gradient that says what it would learn"
            raise not_picked_for(what, folder)

    def shown(self, manifest: Manifest, rows: Rows, as_tasks: bool) -> Shown:
        """By their text, with the columns that the model reads beside it."""
        names = with_names(manifest.columns)
        beside = {with_role(number): name for number, name in enumerate(names)}
        pair = {PAIR: manifest.columns[PAIR]} if PAIR in manifest.columns else {}
        return Shown(TEXT, TEXT, [manifest.columns[TEXT]], beside, pair)

    def not_sure_below(self, recipe: Any, folder: Path, manifest: Manifest, wanted: str, where: str) -> float:
        """A number as it is; for "auto" that of the bundle.

        Raises:
            UserError: It is neither, or the bundle has none.
        """
        stored = stored_calibration(manifest, folder)
        if wanted != AUTO:
            return _probability(wanted, where)
        if stored is None or stored.threshold is None:
            joint = " " if where.startswith("-") else "="
            raise UserError(
                "This bundle has no probability below which it is not sure.",
                code="bundle.no-threshold",
                where=str(folder),
                fix=f"train with evaluation.abstain_error=0.02, or give a probability: {where}{joint}0.8",
            )
        return stored.threshold.value


def _probability(wanted: str, where: str) -> float:
    value = math.nan
    with suppress(ValueError):
        value = float(wanted)
    if not 0 <= value <= 1:
        raise UserError(
            f"{where} is {AUTO} or a probability from 0 to 1, not {wanted}.",
            code="config.out-of-range",
            where=where,
            fix="choose such a number, or leave it out",
        )
    return value
