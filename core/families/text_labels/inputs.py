"""What the family takes in: rows whose labels are in columns of 1 and 0, or listed in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.data.columns import Column
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.text_inputs import SequenceInputs
from tunebook.families.text_labels.columns import flag_columns, listing
from tunebook.families.text_labels.options import NewTextLabelsData
from tunebook.families.text_labels.recipe import TextLabels

_LABELS = ("flag", "labels")
"""Kinds of the columns that hold labels."""


class TextLabelsInputs(SequenceInputs[TextLabels[Any]]):
    """Texts with any number of labels."""

    def evaluate_columns(
        self, recipe: TextLabels[Any], manifest: Manifest, data: EvaluateDataConfig
    ) -> Sequence[Column]:
        """As in training, with what is renamed; labels may be listed where they were in columns of 1 and 0.

        Raises:
            UserError: There is a separator, and no column that lists labels.
        """
        own = node_as(data, NewTextLabelsData)
        trained = replace(own, label=None, separator=None)
        others = [each for each in super().evaluate_columns(recipe, manifest, trained) if each.kind not in _LABELS]
        label = own.label or manifest.columns.get("label")
        if label is not None:
            separator = own.separator or (manifest.several or {}).get("separator")
            return [*others, listing(label, separator)]
        if own.separator is not None:
            raise UserError(
                "data.separator is about the labels that data.label lists, and this model's are columns of 1 and 0",
                code="config.conflict",
                where="data.separator",
                fix="data.label=<column>, or leave it out",
            )
        return [*others, *flag_columns(manifest.labels)]
