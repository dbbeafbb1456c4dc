"""What a test expects of a mistake: its code and its place, and its words where no other test looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tunebook.errors import UserError


@contextmanager
def user_error(
    code: str, *, where: str | None = None, match: str | None = None
) -> Iterator[pytest.ExceptionInfo[UserError]]:
    """A block that must end in a UserError of this code.

    Args:
        code: As in docs/errors.md.
        where: The place that it must name; None for any.
        match: A pattern that its text must hold.
    """
    with pytest.raises(UserError, match=match) as caught:
        yield caught
    assert caught.value.code == code, f"{caught.value.code} instead of {code}: {caught.value}"
    assert where is None or caught.value.where == where, f"at {caught.value.where} instead of {where}"
