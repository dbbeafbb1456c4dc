"""The options of all families whose rows hold a text."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from tunebook.config.schema import DataConfig


class Overlength(Enum):
    """What happens to a text over ``data.max_length``."""

    truncate = "truncate"
    reject = "reject"
    error = "error"


class PersonalData(Enum):
    """What happens to rows that hold personal data."""

    allow = "allow"
    error = "error"


@dataclass
class PersonalDataConfig:
    """Rows whose texts may hold personal data."""

    pii: PersonalData = PersonalData.allow
    """Rows that hold personal data (e-mail addresses, phone numbers, payment cards, IBAN, IP addresses): allow (counted
    and shown) or error."""


def personal_policy(data: object) -> PersonalData:
    """What the ``data`` part of a config says of personal data; families without the option allow it."""
    return data.pii if isinstance(data, PersonalDataConfig) else PersonalData.allow


@dataclass
class TextDataConfig(PersonalDataConfig, DataConfig):
    """Rows with a text."""

    text: str = "text"
    """Column that holds the text."""
    text_pair: str | None = None
    """Column with a second text that is read together with the first, such as an aspect or a question."""
    text_with: list[str] = field(default_factory=list)
    """Columns that are written before the text, such as [product,price]; the model reads them with it."""
    text_template: str | None = None
    """How data.text_with and the text become one text: 'Price {price}.\\n{text}' (default: each column by its name)."""
    max_length: int | None = None
    """Longest text in tokens (default: what the model takes, at most 512)."""
    overlength: Overlength = Overlength.truncate
    """Texts over max_length: truncate (counted and shown), reject or error."""
    group_by_length: bool = True
    """Batch texts of similar length together, to reduce padding."""


class Disagreement(Enum):
    """What happens to a task whose annotators disagree."""

    reject = "reject"
    vote = "vote"


@dataclass
class AnnotatedDataConfig:
    """Rows that several people may have labelled."""

    disagreement: Disagreement = Disagreement.reject
    """Tasks in exports of Label Studio whose annotators disagree: reject, or vote (the majority; a tie is rejected)."""


@dataclass
class ListedLabelsDataConfig(TextDataConfig):
    """Texts whose labels, any number of them, may be listed in one column."""

    label: str | None = None
    """Column that lists all labels of a row, in place of recipe.topics (an empty cell: none)."""
    separator: str | None = None
    """What separates the labels in a cell of data.label (default: ;); lists of JSON Lines or Parquet need none."""
    labels: list[str] | None = None
    """Label names of data.label in the order wanted (default: sorted); rows with others are rejected."""


def takes_votes(data: object) -> bool:
    """Whether the ``data`` part of a config lets the majority of annotators decide."""
    return isinstance(data, AnnotatedDataConfig) and data.disagreement is Disagreement.vote
