"""Single answers for a report: which rows are shown, and what each model wrote there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.data.personal import excerpt, masked
from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.facts import states
from tunebook.families.text_generation.metrics.overlap import bleu, bleu_of_sums, chrf, chrf_of_sums, rouge
from tunebook.families.text_generation.metrics.rouge import best_rouge
from tunebook.report.report import Answer, Dialogue, show_name

BASE = "before tuning"
"""Name of the same model before tuning."""
History = Sequence[tuple[str, str]]
"""The turns before an answer: role and text."""

TURNS, LONGEST = 8, 1500
"""What is shown of a long history (its last turns), and of a long text (its first characters)."""


@dataclass(frozen=True, eq=False)
class Systems:
    """What several models wrote on the same rows, with the measures of each row alone."""

    answers: Mapping[str, GeneratedAnswers]
    """Model -> its answers; the one that the report is about comes first."""
    by_row: Mapping[str, Mapping[str, NDArray[np.float64]]]
    """Model -> measure -> its value on each row, `[rows]`; chrF is always there."""
    histories: Sequence[History]
    """The turns before each answer, `[rows]`; where there are none the prompt stands in their place."""

    @property
    def first(self) -> str:
        """The model that the report is about."""
        return next(iter(self.answers))

    def chrf(self, model: str) -> NDArray[np.float64]:
        """ChrF of each answer of a model, `[rows]`, 0 to 100."""
        return self.by_row[model]["chrf"]

    def dialogue(self, row: int, heading: str, note: str = "", models: Sequence[str] = ()) -> Dialogue:
        """Show a row: what led to it, the reference, and the answer of each model, or of some."""
        tuned = self.answers[self.first]
        history = self.histories[row] if self.histories else [("user", tuned.prompts[row])]
        cards = [_reference(tuned, row), *(self._card(model, row) for model in models or self.answers)]
        return Dialogue(f"{heading} \N{MIDDLE DOT} {_place(tuned, row)}", _last_turns(history), cards, note)

    def _card(self, model: str, row: int) -> Answer:
        answers = self.answers[model]
        shown = {"bleu": "{:.1f}", "chrf": "{:.1f}", "rouge_l": "{:.3f}"}
        notes = [f"{show_name(name)} {shown[name].format(each[row])}" for name, each in self.by_row[model].items()]
        stated = _facts(answers.outputs[row], answers.facts[row] if answers.facts else [])
        return Answer(model, _cut(answers.outputs[row]), ", ".join([*notes, *stated]))


def systems_of(
    answers: Mapping[str, GeneratedAnswers], histories: Sequence[History], lowercase: bool, tokenize: str
) -> Systems:
    """Measure each row of each model; what is undefined on these texts is left out.

    Raises:
        ValueError: The models did not answer the same rows, or there is not one history a row.
    """
    tuned = next(iter(answers.values()))
    if not all(tuned.same_rows(other) for other in answers.values()):
        raise ValueError("answers side by side need the same rows")
    if histories and len(histories) != len(tuned):
        raise ValueError(f"{len(histories)} histories do not belong to {len(tuned)} rows")
    return Systems(answers, {name: _by_row(each, lowercase, tokenize) for name, each in answers.items()}, histories)


def _by_row(answers: GeneratedAnswers, lowercase: bool, tokenize: str) -> dict[str, NDArray[np.float64]]:
    found = {"chrf": chrf_of_sums(chrf(answers, lowercase).sums)}
    by_bleu, by_rouge = bleu(answers, lowercase, tokenize), rouge(answers)["rouge_l"]
    if not by_bleu.reason:
        found["bleu"] = bleu_of_sums(by_bleu.sums, effective_order=True)
    if not by_rouge.reason:
        found["rouge_l"] = by_rouge.sums[:, 0]
    return found


def best_and_worst(values: NDArray[np.float64], groups: NDArray[Any] | None, count: int) -> tuple[list[int], list[int]]:
    """Find the rows of highest and of lowest value, of each group one at most on either side, and no row on both.

    Args:
        values: Of each row, `[rows]`.
        groups: Conversation or brief of each row, `[rows]`.
        count: Most rows on either side.
    """
    order = np.argsort(-values, kind="stable").tolist()
    half = min(count, (len(order) + 1) // 2)
    best = _one_a_group(order, groups, half)
    rest = [row for row in order if row not in best]
    return best, _one_a_group(reversed(rest), groups, half)


def _one_a_group(order: Iterable[int], groups: NDArray[Any] | None, count: int) -> list[int]:
    first: dict[Any, int] = {}
    for row in order:
        first.setdefault(row if groups is None else groups[row], row)
    return list(first.values())[:count]


def helped_and_hurt(
    change: NDArray[np.float64], groups: NDArray[Any] | None, count: int
) -> tuple[list[int], list[int]]:
    """Find the rows that changed most for the better, and for the worse; those that did not change are neither."""
    order = np.argsort(-change, kind="stable").tolist()
    up, down = (row for row in order if change[row] > 0), (row for row in reversed(order) if change[row] < 0)
    return _one_a_group(up, groups, count), _one_a_group(down, groups, count)


def _reference(answers: GeneratedAnswers, row: int) -> Answer:
    """The reference, of several the one that ROUGE-L has nearest to the answer."""
    references = answers.references[row]
    nearest = max(references, key=lambda text: best_rouge(answers.outputs[row], [text])[2])
    return Answer("reference", _cut(nearest), f"the nearest of {len(references)}" if len(references) > 1 else "")


def _facts(output: str, facts: Sequence[str]) -> list[str]:
    """Say how many facts an answer states, and which it does not."""
    if not facts:
        return []
    missing = [
        f"\N{LEFT DOUBLE QUOTATION MARK}{masked(f)}\N{RIGHT DOUBLE QUOTATION MARK}"
        for f in facts
        if not states(output, f)
    ]
    named = f" (not {', '.join(missing)})" if missing else ""
    return [f"facts {len(facts) - len(missing)} of {len(facts)}{named}"]


def _last_turns(history: History) -> list[tuple[str, str]]:
    turns = [(speaker, _cut(text)) for speaker, text in history[-TURNS:]]
    left_out = len(history) - len(turns)
    return [("not shown", f"{left_out} earlier turns"), *turns] if left_out else turns


def _cut(text: str) -> str:
    return excerpt(text, LONGEST)


def _place(answers: GeneratedAnswers, row: int) -> str:
    return f"{answers.files[row]}:{answers.lines[row]}"
