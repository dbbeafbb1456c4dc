"""The page that a pre-training run leaves: its curve and its facts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from tunebook.files import write_text
from tunebook.report.figures import learning_curve
from tunebook.training.loggers import read_history

if TYPE_CHECKING:
    from tunebook.run_folder import RunFolder

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{name}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
th, td {{ padding: .2rem 1rem .2rem 0; text-align: left }}
</style>
<h1>{name}</h1>
{curve}
<table>{rows}</table>
</html>
"""


def write_page(run: RunFolder, name: str, facts: Mapping[str, str]) -> None:
    """Write report.html, and say on the terminal what it says."""
    rows = "".join(f"<tr><th>{escape(what)}<td>{escape(value)}" for what, value in facts.items())
    curve = learning_curve(read_history(run.path / "logs"))
    write_text(run.report, _PAGE.format(name=escape(name), curve=curve, rows=rows))
    for what, value in facts.items():
        print(f"{what}: {value}")
    print(f"report: {run.report}\nmodel: {run.bundle}")
