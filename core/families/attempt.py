"""Baselines that some models have not: a run goes on without them, and says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tunebook.errors import UserError


@contextmanager
def attempt(baseline: str, missing: dict[str, str]) -> Iterator[None]:
    """Try to score a baseline; where it fails, note why.

    Args:
        baseline: Its name.
        missing: Takes the name with the reason.
    """
    try:
        yield
    except UserError as error:
        missing[baseline] = error.what.rstrip(".")
    except Exception as error:  # models of any architecture raise anything
        missing[baseline] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
