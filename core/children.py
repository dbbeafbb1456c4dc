"""Further processes of Tunebook: Python that imports nothing from the folder it is started in.

``python -m`` and ``python -c`` put the current folder before the libraries, where a file named as one of theirs, meant
or not, would be run in its place.
"""

from __future__ import annotations

import os
import runpy
import sys

SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""Says the same to what these processes start in turn; Python knows it from 3.11 on."""
_MODULE = "import runpy; runpy.run_module('tunebook', run_name='__main__', alter_sys=True)"


def run_command(*arguments: str) -> None:
    """Be ``python -m tunebook <arguments>`` from here on, in a process that was forked."""
    sys.argv = ["tunebook", *arguments]
    runpy.run_module("tunebook", run_name="__main__", alter_sys=True)


def tunebook_command(*arguments: str) -> list[str]:
    """``python -m tunebook <arguments>``, but for the current folder."""
    return [*python_command(_MODULE), *arguments]


def python_command(code: str) -> list[str]:
    """``python -c <code>``, but for the current folder."""
    return [sys.executable, "-c", f"import sys; sys.path[:] = filter(None, sys.path); {code}"]


def child_environment(**more: str) -> dict[str, str]:
    """The environment of such a process."""
    return {**os.environ, **SAFE_PATH, **more}
