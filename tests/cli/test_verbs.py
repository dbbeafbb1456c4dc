"""The table of verbs: each leads to a function, and the help names all that a person types."""

from __future__ import annotations

import inspect

import pytest

from tunebook.cli.main import USAGE
from tunebook.cli.verbs import COMPOSING, HIDDEN, PLAIN, VERBS, named


@pytest.mark.parametrize("place", [*COMPOSING.values(), *PLAIN.values(), *HIDDEN.values()])
def test_a_verb_leads_to_a_function_that_takes_what_it_is_given(place: str) -> None:
    given = (None, "folder") if place in COMPOSING.values() else ([],)
    inspect.signature(named(place)).bind(*given)


def test_the_help_names_every_verb_and_no_hidden_one() -> None:
    assert set(VERBS) == {*COMPOSING, *PLAIN}
    assert all(f"\n  {verb} " in USAGE for verb in VERBS)
    assert not any(verb in USAGE for verb in HIDDEN)
