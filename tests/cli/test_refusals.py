"""A refusal of the operating system behind another error: found with its number, and nothing else is changed."""

from __future__ import annotations

import errno

import pytest

from tunebook.bundle.write import system_refusals
from tunebook.cli.refusals import refusal


def test_a_full_disk_is_found_behind_the_error_of_safetensors() -> None:
    with pytest.raises(OSError) as caught, system_refusals():
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    assert caught.value.errno == errno.ENOSPC
    told = refusal(caught.value, "run")
    assert told is not None and "no room left" in told.what


def test_any_other_error_stays_what_it_is() -> None:
    mine = ValueError("no number")
    with pytest.raises(ValueError) as caught, system_refusals():
        raise mine
    assert caught.value is mine and mine.__cause__ is None


def test_an_error_that_was_raised_from_itself_ends() -> None:
    mine, other = ValueError("one"), ValueError("other")
    mine.__cause__, other.__cause__ = other, mine
    assert refusal(mine) is None
