"""Whether a model has forgotten in tuning: general questions with their answers, measured before and after."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from tunebook.data.rows import FILE, LINE, Rows
from tunebook.families.text_generation.data.encoded import encode_cached
from tunebook.families.text_generation.data.message import CONVERSATION, Message, to_text
from tunebook.families.text_generation.data.packing import PackedItems, one_each
from tunebook.families.text_generation.data.pair_template import PairTemplate
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.metrics.perplexity import perplexity
from tunebook.families.text_generation.options import Overlength
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.report.report import Cell, Table, show_p
from tunebook.statistics.difference import Difference
from tunebook.statistics.sums import RowSums
from tunebook.statistics.sums_difference import sums_difference

PROBES = Path(__file__).parent / "probes" / "general.jsonl"
TOLERATED = 2.0
"""How many times as high perplexity may be: a model that learns a narrow task well moves somewhat on everything else.
See docs/benchmarks.md."""


@dataclass(frozen=True)
class Forgetting:
    """Losses on the probes, of the model before and after it was tuned.

    Attributes:
        before: Loss and tokens of each probe.
        after: The same of the tuned model.
        kinds: What each probe is about.
        settings: Confidence, resamples and seed of intervals.
    """

    before: RowSums
    after: RowSums
    kinds: Sequence[str]
    settings: Mapping[str, Any]

    @cached_property
    def loss(self) -> Difference:
        """Mean loss of a token after tuning minus that before, in nats: the logarithm of how often perplexity rose."""
        one, other = (RowSums("loss", each.sums, higher_is_better=False) for each in (self.after, self.before))
        return sums_difference(one, other, **self.settings)

    @property
    def times(self) -> tuple[float, float, float]:
        """How many times as high perplexity is as before, and the interval of that."""
        low, value, high = (float(np.exp(each)) for each in (self.loss.low, self.loss.value, self.loss.high))
        return value, low, high

    @property
    def shown(self) -> bool:
        """Whether the probes show that the model has forgotten: all of the interval is over what is tolerated."""
        return bool(self.loss.distinguishable and self.times[1] > TOLERATED)

    def sentence(self) -> str:
        """What became of the probes, in words."""
        value, low, high = self.times
        interval = f"{100 * self.loss.confidence:g} % CI {low:.2f} to {high:.2f}"
        asked = f"perplexity on {len(self.kinds)} general questions"
        return f"{asked} is {value:.2f} times what it was before tuning ({interval})"

    def verdict(self) -> list[str]:
        """Say that the model has forgotten, where that is shown, and what to do."""
        if not self.shown:
            return []
        return [
            f"The model has forgotten much of what it could do before tuning: {self.sentence()}. Do not ship it for "
            "anything but the task. A lower optim.lr, fewer epochs or adapt=lora keep more."
        ]

    def to_json(self) -> dict[str, Any]:
        """For metrics.json."""
        value, low, high = self.times
        scores = {"before": self.before.value(), "after": self.after.value(), "times": value, "low": low, "high": high}
        return {"probes": len(self.kinds), **scores, "p_value": self.loss.p_value, "shown": self.shown}

    def table(self) -> Table:
        """Perplexity by kind of question."""
        kinds = np.array(self.kinds)
        lines: list[list[Cell]] = []
        for kind in dict.fromkeys(self.kinds):
            some = np.flatnonzero(kinds == kind)
            lines.append([kind, len(some), *(_some(each, some) for each in (self.before, self.after))])
        lines.append(["all", len(kinds), self.before.value(), self.after.value()])
        note = (
            f"Perplexity of the answers to short general questions that ship with Tunebook; {self.sentence()}, "
            f"p {show_p(self.loss.p_value)}. The verdict says that the model has forgotten if the whole interval is "
            f"above {TOLERATED:g}."
        )
        return Table("Did it forget?", ["questions", "n", "before tuning", "tuned"], lines, note)


def _some(measure: RowSums, which: np.ndarray) -> float:
    return RowSums(measure.name, measure.sums[which], measure.formula).value()


class Probes:
    """The questions as a chat template writes them.

    Args:
        template: Of the model before and after tuning.
        max_length: Most tokens of a question with its answer; longer ones are left out.
    """

    def __init__(self, template: ChatTemplate, max_length: int) -> None:
        found = [json.loads(line) for line in PROBES.read_text(encoding="utf-8").splitlines()]
        told = [to_text([Message(turn["role"], turn["content"]) for turn in probe["messages"]]) for probe in found]
        places = {FILE: [PROBES.name] * len(told), LINE: range(1, len(told) + 1)}
        rows = Rows(pa.table({CONVERSATION: told, **places}), "probes")
        with tempfile.TemporaryDirectory(prefix="tunebook-probes-") as scratch:
            encoded = encode_cached(rows, template, max_length, Overlength.reject, Path(scratch))
            ids, supervised = np.array(encoded.ids), np.array(encoded.supervised)
            self._items = PackedItems(ids, supervised, encoded.offsets, one_each(len(encoded)), encoded.sources)
        self.kinds = [found[source]["kind"] for source in encoded.sources.tolist()]

    @classmethod
    def of(cls, writer: TextGenerator) -> Probes | None:
        """The probes; None for a model with an encoder, which answers no questions."""
        return None if isinstance(writer.template, PairTemplate) else cls(writer.template, writer.max_length)

    def losses(self, writer: TextGenerator, device: torch.device) -> RowSums:
        """Loss and tokens of each probe."""
        return perplexity(*writer.losses(self._items, device))
