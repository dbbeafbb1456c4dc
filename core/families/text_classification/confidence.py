"""What the probabilities of a text classifier are worth on test rows, and its answers if it may be not sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunebook.config.score import ScoreConfig
from tunebook.families.strata import resampling
from tunebook.families.text_classification.calibration import Calibration
from tunebook.report.confidence import answered_table, calibration_table, risk_coverage_figure
from tunebook.report.files import by_name
from tunebook.report.report import Section
from tunebook.statistics.abstention import answered_scores, area_score
from tunebook.statistics.intervals import Score
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.probability_scores import probability_scores
from tunebook.statistics.temperature import undone


@dataclass(frozen=True)
class Confidence:
    """Scores of probabilities.

    Attributes:
        calibration: What was chosen on the validation rows; None where nothing was.
        predictions: On the test rows.
        earlier: The same before the temperature; None where there is none.
        after: Scores of the probabilities.
        before: Those of the earlier ones, in the same order; none where there are none.
        area: Under the risk-coverage curve.
        below: The probability of an answer below which it is held back; None where all are given.
        answered: The share of rows answered, and the error among them; none where all are.
    """

    calibration: Calibration | None
    predictions: Predictions
    earlier: Predictions | None
    after: Sequence[Score]
    before: Sequence[Score]
    area: Score
    below: float | None
    answered: Sequence[Score]

    @classmethod
    def of(
        cls,
        calibration: Calibration | None,
        predictions: Predictions,
        config: ScoreConfig,
        seed: int,
        below: float | None = None,
    ) -> Confidence:
        """That of some predictions; ``below`` stands in for the threshold chosen on the validation rows."""
        settings = resampling(config, seed)
        temperature = None if calibration is None else calibration.temperature
        earlier = None
        if temperature is not None:
            earlier = replace(predictions, probabilities=undone(predictions.probabilities, temperature))
        if below is not None and calibration is not None:
            calibration = replace(calibration, wanted=None, threshold=None)  # which promises nothing of another one
        elif calibration is not None and calibration.threshold is not None:
            below = calibration.threshold.value
        return cls(
            calibration,
            predictions,
            earlier,
            probability_scores(predictions, **settings),
            [] if earlier is None else probability_scores(earlier, **settings),
            area_score(predictions, **settings),
            below,
            [] if below is None else answered_scores(predictions, below, **settings),
        )

    @property
    def notes(self) -> list[str]:
        """What was chosen on the validation rows, a sentence each."""
        return [] if self.calibration is None else self.calibration.in_words

    @property
    def summary(self) -> list[str]:
        """What came of it on the test rows, in words."""
        lines = []
        if self.before:
            old, new = self.before[0], self.after[0]
            lines.append(f"calibration error {_shown(new)}, before the temperature {_shown(old)}")
        if self.calibration is not None:  # without a temperature the threshold is of raw probabilities
            lines += self.calibration.in_words if self.calibration.temperature is None else self.calibration.promise
        if self.below is not None:
            coverage, error = self.answered
            found = f"answered {_shown(coverage)}, error among them {_shown(error)}"
            found = found if error.defined else f"none of {coverage.n} is answered"
            lines.append(f"on the test rows, not sure below {self.below:.4f}: {found}")
        return lines

    def to_json(self) -> Mapping[str, Any]:
        """Keys of metrics.json."""
        chosen = None if self.calibration is None else self.calibration.to_json()
        found: dict[str, Any] = {"calibration": {"chosen": chosen, "after": by_name(self.after)}}
        if self.before:
            found["calibration"]["before"] = by_name(self.before)
        found["abstention"] = by_name([self.area, *self.answered])
        if self.below is not None:
            found["abstention"]["not_sure_below"] = self.below
        return found

    def sections(self) -> list[Section]:
        """The tables and the curve of the page."""
        shown: list[Section] = [calibration_table(self.after, self.before)]
        if self.below is not None:
            error = float((self.predictions.predicted != self.predictions.target).mean())
            shown.append(answered_table(self.below, self.answered, error))
        return [*shown, risk_coverage_figure(self.predictions, self.area, self.below)]


def _shown(score: Score) -> str:
    return f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f}, n = {score.n})"
