"""Values that Hydra's grammar cannot read are quoted; everything else stays as it was typed."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from tunebook.composing.overrides import readable


@pytest.mark.parametrize("value", ["bücher.csv", "/home/jürgen/w p/é.csv", "Review Text (full)", "it's (new).csv"])
def test_a_text_that_hydra_cannot_read_becomes_one_that_means_the_same(value):
    made = OverridesParser.create().parse_override(readable(f"data.train={value}"))
    assert made.value() == value


@pytest.mark.parametrize("typed", ["a=1", "a=[b,c]", "a='x y'", "~a", "+a=1", "a=1,2", "a={b: c}", "a=null", "a=[b"])
def test_what_hydra_can_read_or_quotes_cannot_help_stays(typed):
    assert readable(typed) == typed
