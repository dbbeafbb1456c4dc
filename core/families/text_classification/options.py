"""The typed options of recipes that put a label on a text; a string beneath a field is its help."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import AugmentedDataConfig, FamilyConfig
from tunebook.config.score import BASELINE, SubgroupScoreConfig
from tunebook.config.texts import AnnotatedDataConfig, TextDataConfig


@dataclass
class TextClassificationConfig(FamilyConfig):
    """Options of every text classifier."""

    descriptions: dict[str, str] | None = None
    """What each label means, in words, for zero-shot: {label: description} (default: the recipe's own)."""
    calibrate: bool = True
    """Calibrate the probabilities of a softmax: fit a temperature on the validation rows."""


@dataclass
class TextData(TextDataConfig, AugmentedDataConfig, AnnotatedDataConfig):
    """Rows with a text and a label."""


@dataclass
class TextEvaluation(SubgroupScoreConfig):
    """What is measured on the test rows, and how surely."""

    zero_shot: bool = field(default=True, metadata={BASELINE: True})
    """Also score the backbone without any training, as a baseline."""
    suspects: bool | None = field(default=None, metadata={BASELINE: True})
    """List the training and validation rows whose label is probably wrong, in suspects.csv (default: with adapt=head,
    whose features are stored anyway)."""
    abstain_error: float | None = None
    """Share of wrong answers wanted among those given, such as 0.02: the probability below which the model is not sure
    is chosen for it on the validation rows, and kept in the bundle (default: every answer is given)."""


@dataclass
class NewTextEvaluation(SubgroupScoreConfig):
    """What is measured on new rows, and how surely."""

    not_sure: str | None = None
    """Probability of an answer below which it is not given, or auto for the bundle's own (default: the bundle's own,
    where it has one)."""


@dataclass
class NewTextData(EvaluateDataConfig, AnnotatedDataConfig):
    """Texts to score a finished model on."""

    text: str | None = None
    """Column that holds the text (default: as in training)."""
    text_pair: str | None = None
    """Column that holds the second text of a model that reads two (default: as in training)."""
    label: str | None = None
    """Column that holds the label (default: as in training)."""
