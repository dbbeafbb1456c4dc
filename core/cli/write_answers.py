"""A bundle's answers to rows, written as they come: torch is loaded."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from tunebook.bundle.read import open_bundle, open_export
from tunebook.config.schema import Accelerator, TrainerConfig
from tunebook.data.content import Content
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.data.text_template import empty_notes
from tunebook.families.predictor import DoubtingPredictor, JsonText, Predictor
from tunebook.files import written_whole
from tunebook.progress import counting
from tunebook.report.files import show_probability
from tunebook.terminal import drawn
from tunebook.training.devices import choose_accelerator


def open_predictor(folder: Path, export: Path | None, precision: str, not_sure: float | None = None) -> Predictor:
    """The model that answers: a bundle's own, or that of an export in this precision.

    Args:
        folder: The bundle.
        export: Its export, where that answers.
        precision: Of the export.
        not_sure: Probability of an answer below which the model is to say that it is not sure; None: it says nothing.
    """
    made: Predictor
    if export is None:
        _, _, made = open_bundle(folder)
    else:
        made = open_export(export, precision)
    if not_sure is not None:
        assert isinstance(made, DoubtingPredictor), f"{type(made).__name__} is always sure"
        made.not_sure = not_sure
    return made


def write_answers(
    predictor: Predictor,
    rows: Rows,
    content: Content | None,
    accelerator: str,
    output: Path | None,
    beside: Path | None,
    rejects: RejectLog,
    escape: bool = False,
) -> None:
    """Ask the model, and write what it answers; an output file is whole or not there.

    Args:
        predictor: The model.
        rows: The rows.
        content: What they hold beside their text.
        accelerator: The device, by name.
        output: The file to write; None for standard output.
        beside: The file beside it for rows that cannot be answered.
        rejects: Those that could not be read.
        escape: Whether texts that spreadsheets would run as formulas are escaped in CSV.
    """
    device = choose_accelerator(TrainerConfig(accelerator=Accelerator[accelerator]))
    rows = _answerable(predictor, rows, rejects)
    predictor.truncated = 0  # the golden inputs were counted too
    if output is None or beside is None:
        out = _Terminal() if sys.stdout.isatty() else sys.stdout
        _write(out, _Cells(out, predictor.columns, escape), predictor, rows, content, device)
    else:
        with written_whole(output) as stream:
            cells = _Cells(stream, predictor.columns, escape) if output.suffix == ".csv" else None
            _write(stream, cells, predictor, rows, content, device)
            _settle(rejects, beside)
        print(f"{len(rows)} rows: {output}", file=sys.stderr)
        if cells is not None and cells.formulas and not escape:
            said = f"{cells.formulas} texts begin with =, +, - or @, which spreadsheets run as formulas"
            print(f"note: {said}; --escape-formulas writes ' before them", file=sys.stderr)
    if rejects.count:
        print(f"note: {rejects.count} of {rejects.read} rows cannot be used: {rejects.path}", file=sys.stderr)
    for note in empty_notes(rejects.empty):
        print(f"note: {drawn(note)}", file=sys.stderr)
    if isinstance(predictor, DoubtingPredictor) and predictor.not_sure is not None:
        doubted = f"{predictor.unsure} of {len(rows)} answers are not sure"
        print(f"note: {doubted} (probability below {predictor.not_sure:.4f})", file=sys.stderr)
    if predictor.truncated:
        print(f"note: {predictor.truncated} rows exceed the model's maximum length and were truncated", file=sys.stderr)
    if predictor.unfinished:
        cut = f"{predictor.unfinished} of {len(rows)} answers were truncated at max_new_tokens"
        print(f"note: {cut} (recipe.max_new_tokens in training)", file=sys.stderr)


class _Terminal(io.TextIOBase):
    """A terminal, which no row's control characters reach; a file or a program gets them as they are."""

    def write(self, text: str) -> int:
        return sys.stdout.write(drawn(text.replace("\r\n", "\n")))


def _answerable(predictor: Predictor, rows: Rows, rejects: RejectLog) -> Rows:
    """The rows that the model can be asked; the others are rejects like those that could not be read."""
    refused = predictor.refused(rows)
    for number, reason in refused.items():
        line = int(rows.column("line")[number].as_py())
        rejects.add(rows.column("file")[number].as_py(), line, "", f"cannot be answered: {reason}")
    rejects.write()
    rejects.check()
    return rows.take(np.setdiff1d(np.arange(len(rows)), list(refused))) if refused else rows


def _settle(rejects: RejectLog, beside: Path) -> None:
    """Beside an output lies the log of the call that made it, or none: never that of an earlier one."""
    scratch, rejects.path = rejects.path, beside
    if rejects.count:
        rejects.write()
    else:
        rejects.path.unlink(missing_ok=True)
    scratch.unlink(missing_ok=True)


class _Cells:
    """CSV of which texts that begin as formulas do are counted, and escaped where that is wanted.

    Args:
        stream: Takes the lines.
        columns: Names of what the predictor answers.
        escape: Whether such texts get an apostrophe in front, as a spreadsheet writes them itself.
    """

    def __init__(self, stream: IO[str] | io.TextIOBase, columns: Sequence[str], escape: bool) -> None:
        self.formulas, self._escape = 0, escape
        self._writer = csv.writer(stream, lineterminator="\n")
        self._writer.writerow(["file", "line", *columns])

    def write(self, place: Sequence[Any], values: Iterable[Any]) -> None:
        """Write a line; numbers as in predictions.csv."""
        self._writer.writerow([*map(self._cell, place), *map(self._cell, values)])

    def _cell(self, value: Any) -> Any:
        if isinstance(value, float):
            return show_probability(value)
        if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
            return value
        self.formulas += 1
        return f"'{value}" if self._escape else value


def _write(
    stream: IO[str] | io.TextIOBase,
    cells: _Cells | None,
    predictor: Predictor,
    rows: Rows,
    content: Content | None,
    device: str,
) -> None:
    """One line a row, of CSV or else of JSON: where it is from, then what the predictor answers."""
    places = zip(rows.column("file"), rows.column("line"), strict=True)
    with counting("answering", len(rows)) as advance:
        for (file, line), answer in zip(places, predictor.answers(rows, content, device, advance), strict=True):
            place = {"file": file.as_py(), "line": line.as_py()}
            if cells is not None:
                cells.write(list(place.values()), answer.values())
            else:
                plain = {name: _plain(value) for name, value in answer.items()}
                stream.write(json.dumps({**place, **plain}, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    """A cell as a value of JSON; numbers as in predictions.csv."""
    if isinstance(value, JsonText):
        return json.loads(value)
    return float(show_probability(value)) if isinstance(value, float) else value
