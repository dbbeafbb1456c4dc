"""What was chosen on the validation rows once a text classifier was trained, as its bundle keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunebook.bundle.manifest import FILE, Manifest
from tunebook.errors import RESTORE_BUNDLE, UserError
from tunebook.statistics.threshold import Threshold


@dataclass(frozen=True)
class Calibration:
    """A temperature, and the probability below which the model is not sure.

    Attributes:
        rows: Validation rows.
        temperature: What the logits were divided by: it is in the weights of the final layer. None where there is none.
        note: Why there is none; "" where nobody asked for one.
        wanted: The share of wrong answers wanted among those given; None where every answer is given.
        threshold: The probability chosen for it; None where no probability reaches it either.
    """

    rows: int
    temperature: float | None = None
    note: str = ""
    wanted: float | None = None
    threshold: Threshold | None = None

    @property
    def in_words(self) -> list[str]:
        """A line of each, for the report and the model card."""
        lines = []
        if self.temperature is not None:
            folded = f"fitted on {self.rows} validation rows and folded into the final layer"
            lines.append(f"temperature {self.temperature:.3f}, {folded}")
        elif self.note:
            lines.append(f"no temperature: {self.note}")
        return [*lines, *self.promise]

    @property
    def promise(self) -> list[str]:
        """What the threshold promises; nothing where nobody asked for one."""
        if self.threshold is not None:
            return [threshold_in_words(self.threshold)]
        if self.wanted is None:
            return []
        surest = f"even the most confident answers on the {self.rows} validation rows are wrong more often"
        return [f"no answer is held back for an error of {self.wanted:.3g}: {surest}"]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Calibration:
        """Read what `to_json` gave.

        Raises:
            ValueError: A value is missing, unknown, of another type or impossible.
        """
        if set(content) != {"rows", "temperature", "note", "wanted", "threshold"}:
            raise ValueError("calibration has other keys than rows, temperature, note, wanted and threshold")
        temperature, wanted, stored = content["temperature"], content["wanted"], content["threshold"]
        for name, value in (("temperature", temperature), ("wanted", wanted)):
            if value is not None and not (type(value) in (int, float) and 0 < value < 1e6):
                raise ValueError(f"{name} of a calibration must be a number above 0, not {value!r}")
        if type(content["rows"]) is not int or not isinstance(content["note"], str):
            raise ValueError("rows of a calibration must be a whole number, and its note text")
        threshold = None if stored is None else Threshold.from_json(stored)
        return cls(content["rows"], temperature, content["note"], wanted, threshold)


def threshold_in_words(threshold: Threshold) -> str:
    """Below what a model is not sure, and what that promises."""
    chosen, sure = f"not sure below {threshold.value:.4f}", f"{100 * threshold.confidence:g} % confidence"
    counted = f"{threshold.errors} of {threshold.answered} answers given on {threshold.rows} validation rows are wrong"
    bound = f"a share of up to {threshold.bound:.3g} (one-sided, {sure})"
    if threshold.promised:
        return f"{chosen}, for an error of {threshold.wanted:.3g}: {counted}, which allows for {bound}"
    few = f"the validation rows are too few, or too often wrong, to promise an error of {threshold.wanted:.3g}"
    return f"{chosen}, but {few}: {counted}, which allows for {bound}"


def stored_calibration(manifest: Manifest, folder: Path) -> Calibration | None:
    """That of a bundle; None of one that has none.

    Raises:
        UserError: It was edited to something that it cannot be.
    """
    if manifest.calibration is None:
        return None
    try:
        return Calibration.from_json(manifest.calibration)
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"The bundle's {FILE} is damaged: {error}.",
            code="bundle.damaged",
            where=str(folder),
            fix=RESTORE_BUNDLE,
        ) from error
