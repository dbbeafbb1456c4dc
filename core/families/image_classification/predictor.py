"""A tuned image model ready to answer: the one code path behind test scores and `predict`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunebook.data.rows import IMAGE, Rows
from tunebook.data.subgroups import values_of
from tunebook.errors import UserError
from tunebook.families.image_classification.data.content import ImageContent
from tunebook.families.image_classification.data.decoded import Decoding
from tunebook.families.image_classification.findings import Findings
from tunebook.families.image_classification.metrics.operating import OperatingPoint, answers
from tunebook.families.image_classification.model.final_layer import final_layer
from tunebook.families.image_classification.model.image_features import ends_with_final_layer
from tunebook.families.image_classification.preprocessing import ImageItems, ImagePreparation, moved, stack_images
from tunebook.progress import counting
from tunebook.recipe import Head
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.temperature import scaled
from tunebook.training.softmax_head import activation_of

BATCH = 32
_SAID = {1: "positive", 0: "negative", -1: "abstain"}
NONE = "none"
"""What `prediction` says where there are several findings and none is present."""


@dataclass
class ImageClassifier:
    """Images in, labels or findings and their probabilities out.

    Attributes:
        model: A timm or torchvision network.
        head: Makes probabilities and answers of logits.
        labels: Label or finding names by output.
        findings: Which of them are findings.
        preparation: Makes inputs of stored pixels.
        decoding: How files become pictures.
        temperature: Divides the logits; fitted on the validation rows.
        points: Operating points of each finding.
        point: Name of the one that gives the answer; None: what the head decides.
    """

    model: nn.Module
    head: Head
    labels: tuple[str, ...]
    findings: Findings
    preparation: ImagePreparation
    decoding: Decoding = field(default_factory=Decoding)
    temperature: float = 1.0
    points: tuple[OperatingPoint, ...] = ()
    point: str | None = None
    truncated: int = 0
    unfinished: int = 0

    @property
    def columns(self) -> list[str]:
        """Columns of `answers`."""
        at = [f"{point.finding}_at_{point.name}" for point in self.points]
        return [IMAGE, "prediction", *(f"probability_{label}" for label in self.labels), *at]

    def refused(self, rows: Rows) -> dict[int, str]:
        """None: whatever passes the gate has an answer."""
        return {}

    def answers(
        self,
        rows: Rows,
        content: Any = None,
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> Iterator[dict[str, str | float]]:
        """Answer inspected rows in order; ``content`` holds their pictures."""
        assert isinstance(content, ImageContent)
        items = ImageItems.of(rows, content, np.zeros(len(rows), dtype=np.int64))
        probabilities = self.probabilities(self.logits(items, device, advance))
        predicted = self.predictions(probabilities)
        flags = [self.sides(point, probabilities) for point in self.points]
        for i, image in enumerate(rows.texts(IMAGE)):
            row: list[str | float] = [image, predicted[i], *map(float, probabilities[i]), *(flag[i] for flag in flags)]
            yield dict(zip(self.columns, row, strict=True))

    @torch.no_grad()
    def logits(
        self,
        items: ImageItems,
        device: torch.device | str | None = None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> NDArray[np.float64]:
        """The model's outputs, ``[rows, outputs]``."""
        device = torch.device(device or "cpu")
        self.model.eval().to(device)
        parts = [np.zeros((0, self.head.outputs))]
        for start in range(0, len(items), BATCH):
            batch = stack_images([items[i] for i in range(start, min(start + BATCH, len(items)))])
            out = self.head.forward(self.model, self.preparation(moved(batch, device)))
            parts.append(out.double().cpu().numpy())
            advance(len(out))
        return np.concatenate(parts)

    def rows_with_features(
        self, rows: Rows, content: Any, device: torch.device | None, advance: Callable[[int], None]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Calibrated probabilities ``[rows, labels]`` and what the final layer takes ``[rows, features]``.

        Raises:
            UserError: The probabilities are no softmax of the final layer's outputs.
        """
        assert isinstance(content, ImageContent)
        items = ImageItems.of(rows, content, np.zeros(len(rows), dtype=np.int64))
        taken: list[Tensor] = []
        layer = final_layer(self.model)[1]
        hook = layer.register_forward_pre_hook(lambda module, inputs: taken.append(inputs[0].flatten(1).float().cpu()))
        try:
            one = replace(items, places=items.places[:1], targets=items.targets[:1])
            outputs = torch.from_numpy(self.logits(one, device)).float()
            self.model.cpu()
            if activation_of(self.head) != "softmax" or not ends_with_final_layer(self.model, taken[0], outputs):
                raise UserError(
                    f"The probabilities of this {type(self.model).__name__} are no softmax of its final layer's "
                    "outputs, so that layer's gradient does not rank images.",
                    code="model.no-final-layer",
                    where="model",
                    fix="pick by a model with such a final layer, trained with a head of the kind softmax",
                )
            taken.clear()
            logits = self.logits(items, device, advance)
        finally:
            hook.remove()
        return self.probabilities(logits), torch.cat(taken).double().numpy()

    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities ``[rows, labels]`` of logits ``[rows, outputs]``."""
        calibrated = torch.from_numpy(scaled(logits, self.temperature))
        probabilities: NDArray[np.float64] = self.head.probabilities(calibrated).double().numpy()
        return probabilities

    def decide(self, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
        """The answers: label numbers ``[rows]``, or flags ``[rows, findings]``.

        At the chosen operating point where it takes a side on every row, else what the head decides.
        """
        chosen = {point.finding: point for point in self.points if point.name == self.point}
        decided: NDArray[np.int64] = self.head.decide(torch.from_numpy(probabilities.copy())).long().numpy()
        if self.findings.several:
            for column, name in enumerate(self.labels):
                if name in chosen and chosen[name].low == chosen[name].high:
                    decided[:, column] = answers(chosen[name], probabilities[:, column])
            return decided
        only = chosen.get(self.findings.names[0]) if self._is_one_against_none else None
        if only is None or only.low != only.high:
            return decided
        column = self.findings.columns[0]
        sides: NDArray[np.int64] = np.where(answers(only, probabilities[:, column]) == 1, column, 1 - column)
        return sides

    @property
    def _is_one_against_none(self) -> bool:
        return not self.findings.several and len(self.labels) == 2 and len(self.findings.names) == 1

    def predictions(self, probabilities: NDArray[np.float64]) -> list[str]:
        """The answers in words; "abstain" where the chosen operating point takes no side."""
        decided = self.decide(probabilities)
        if self.findings.several:
            return [self.named(row) for row in decided]
        chosen = [point for point in self.points if point.name == self.point]
        if self._is_one_against_none and chosen:
            return [self._side(side) for side in self.sides(chosen[0], probabilities)]
        return [self.labels[label] for label in decided]

    def named(self, flags: NDArray[np.int64]) -> str:
        """The findings of one row ``[findings]`` in words."""
        return "; ".join(name for name, flag in zip(self.labels, flags, strict=True) if flag) or NONE

    def _side(self, decision: str) -> str:
        if decision == "abstain":
            return decision
        return self.findings.names[0] if decision == "positive" else str(self.findings.negative)

    def sides(self, point: OperatingPoint, probabilities: NDArray[np.float64]) -> list[str]:
        """What an operating point says of each row, in words."""
        column = self.labels.index(point.finding)
        return [_SAID[int(side)] for side in answers(point, probabilities[:, column])]


def finding_predictions(
    classifier: ImageClassifier,
    rows: Rows,
    items: ImageItems,
    probabilities: NDArray[np.float64],
    subgroups: Sequence[str],
) -> FindingPredictions:
    """The model's probability of each finding, with the identity of each row."""
    columns = list(classifier.findings.columns)
    return FindingPredictions(
        findings=classifier.findings.names,
        target=classifier.findings.flags(items.targets),
        probabilities=probabilities[:, columns],
        files=rows.texts("file"),
        lines=rows.lines,
        images=rows.texts(IMAGE),
        groups=rows.groups,
        subgroups={name: np.array(values) for name, values in values_of(rows, subgroups).items()},
    )


def logits_of(classifier: ImageClassifier, items: ImageItems, what: str, device: str, progress: bool) -> Any:
    """Logits of pictures, with a progress bar."""
    with counting(what, len(items), progress) as advance:
        return classifier.logits(items, device, advance)
