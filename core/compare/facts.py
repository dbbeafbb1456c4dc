"""What is different from model to model, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tunebook.compare.candidates import Candidate, Candidates

FactsOf = Callable[[Candidate], Mapping[str, str]]


def differing_facts(candidates: Candidates, facts_of: FactsOf) -> dict[str, str]:
    """The facts of each further model that are others than the first one's, each with the model's label."""
    first = facts_of(candidates.first)
    return {
        f"{what} ({each.label})": value
        for each in candidates.every[1:]
        for what, value in facts_of(each).items()
        if first.get(what) != value
    }


def all_facts(candidates: Candidates, facts_of: FactsOf) -> dict[str, str]:
    """The facts of the first model, and what is different for the others."""
    return {**facts_of(candidates.first), **differing_facts(candidates, facts_of)}
