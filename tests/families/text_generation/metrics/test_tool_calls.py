"""Measures of tool calls, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tests.families.text_generation.metrics.test_report import QUICK, Make
from tunebook.families.text_generation.data.message import ToolCall
from tunebook.families.text_generation.metrics.measures import score_answers
from tunebook.families.text_generation.metrics.report import generation_report
from tunebook.families.text_generation.metrics.tool_calls import TOOL_MEASURES, tool_measures
from tunebook.report.report import Table
from tunebook.statistics.sums import score

TRACK = (ToolCall("track", {"order": 17, "urgent": False}),)
WRITTEN = [
    (TRACK, '<tool_call>{"name": "track", "arguments": {"urgent": false, "order": 17.0}}</tool_call>'),
    (TRACK, '<tool_call>{"name": "track", "arguments": {"urgent": 0, "order": 17}}</tool_call>'),
    (TRACK, '{"name": "refund", "parameters": {}}'),
    (TRACK, "<tool_call>track(17)</tool_call>"),
    (TRACK, "It is on its way."),
    ((), "It is on its way."),
    ((), '{"name": "refund", "parameters": {}}'),
    ((), "<tool_call>"),
]
RIGHT = {"tool_called": (4, 5), "tool_name": (2, 5), "tool_arguments": (1, 5), "tool_needless": (2, 3)}


def test_each_share_is_that_counted_by_hand() -> None:
    references, outputs = zip(*WRITTEN, strict=True)
    found = tool_measures([*references, ()], [True] * len(outputs) + [False], [*outputs, "<tool_call>"])
    assert tuple(found) == TOOL_MEASURES
    for name, (hits, turns) in RIGHT.items():
        assert found[name].sums.sum(0).tolist() == [hits, turns]
        scored = score(found[name])
        low, high = binomtest(hits, turns).proportion_ci(method="wilson")
        assert (scored.value, scored.n) == (hits / turns, turns)
        assert (scored.low, scored.high) == pytest.approx((low, high), abs=1e-6)
        assert scored.higher_is_better is (name != "tool_needless")


def test_turns_of_one_conversation_are_resampled_together() -> None:
    references, outputs = zip(*WRITTEN[:5], strict=True)
    found = tool_measures(references, [True] * 5, outputs)
    assert "group" in score(found["tool_called"], np.array(list("aabbc")), resamples=50).method


def test_calls_have_a_table_of_their_own(make_answers: Make) -> None:
    references, outputs = zip(*WRITTEN, strict=True)
    calls = [score(each) for each in tool_measures(references, [True] * 8, outputs).values()]
    tuned = make_answers(6)
    scores = {"tuned": [*score_answers(tuned, **QUICK), *calls]}
    found = generation_report("t", tuned, scores, headline=["bleu"])
    sections = {section.title: section for section in (*found.sections, *found.details)}
    table, texts = sections["Tool calls"], sections["Scores"]
    assert isinstance(table, Table) and isinstance(texts, Table)
    assert [str(line[0]).split(" (")[0].casefold() for line in table.rows] == [
        name.replace("_", " ") for name in TOOL_MEASURES
    ]
    assert "8 turns with tools, 5 of them to be calls" in table.note and "left out of all comparisons" in table.note
    assert not any("tool" in str(line[0]).casefold() for line in texts.rows)
    plain = generation_report("t", tuned, {"tuned": score_answers(tuned, **QUICK)}, headline=["bleu"])
    assert "Tool calls" not in [section.title for section in (*plain.sections, *plain.details)]
