"""A few of a recipe's rows, to be quick, and the same with broken ones among them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunebook.data.columns import Column
from tunebook.files import write_text
from tunebook.plugins import load_recipe_class

SIZES = {"train": 16, "validation": 8, "test": 12}
"""Rows of each split; more where there are many labels."""


@dataclass(frozen=True)
class Table:
    """The rows of a CSV or JSON Lines file.

    Attributes:
        header: Columns, in order.
        rows: Values by column.
        kind: ".csv" or ".jsonl".
    """

    header: Sequence[str]
    rows: Sequence[dict[str, Any]]
    kind: str


@dataclass(frozen=True)
class Broken:
    """A file with broken rows.

    Attributes:
        path: The file.
        lines: Line of each broken row, and what is wrong with it.
    """

    path: str
    lines: dict[int, str]


@dataclass(frozen=True)
class Slices:
    """The few rows that the checks use.

    Attributes:
        samples: File of each split that stands for the recipe's own samples; empty where the user named rows.
        broken: The training rows with broken ones among them; None where they are in no file that is cut.
        test: The test rows, where they have a source of their own.
    """

    samples: dict[str, str]
    broken: str | None
    test: Any

    def take_the_place_of_samples(self, name: str) -> None:
        """Let a recipe's samples be these, in this process; it may know more of its samples than of named rows."""
        recipe_class: Any = load_recipe_class(name)
        if self.samples:
            given = {split: Path(path) for split, path in self.samples.items()}
            recipe_class.samples = lambda recipe, cache_dir: given

    def with_broken(self) -> Slices:
        """The same with the broken rows for training."""
        return replace(self, samples={**self.samples, "train": str(self.broken)} if self.samples else {})


def is_sliced(path: Any) -> bool:
    """Whether a source of rows is one file of a kind that is cut here; others are used as they are."""
    return isinstance(path, (str, Path)) and Path(path).suffix in (".csv", ".jsonl") and Path(path).is_file()


def read_table(path: Path) -> Table:
    """Read a whole file; it is a recipe's samples, and small."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        return Table(list(reader.fieldnames or ()), list(reader), ".csv")
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    return Table(list(dict.fromkeys(key for row in rows for key in row)), rows, ".jsonl")


def first_row(path: Path) -> dict[str, Any]:
    """The first row of a file, whatever comes after it."""
    with path.open(encoding="utf-8", newline="") as stream:
        row: dict[str, Any] = next(iter(csv.DictReader(stream))) if path.suffix == ".csv" else json.loads(next(stream))
    return row


def some_rows(table: Table, wanted: int, label: str | None, each: int = 1) -> list[dict[str, Any]]:
    """As many rows as wanted, every label as often as the others; without labels from all over the file.

    Args:
        table: The rows.
        wanted: How many; more where there are many labels.
        label: The column of the label.
        each: Fewest rows of each label.
    """
    if label is None or label not in table.header:
        step = max(1, len(table.rows) // wanted)
        return list(table.rows[::step][:wanted])
    by_label: dict[str, list[dict[str, Any]]] = {}
    for row in table.rows:
        by_label.setdefault(str(row.get(label)), []).append(row)
    deepest = max((len(rows) for rows in by_label.values()), default=0)
    in_turn = [rows[depth] for depth in range(deepest) for rows in by_label.values() if depth < len(rows)]
    return in_turn[: max(wanted, each * len(by_label))]


def write_slices(
    sources: Mapping[str, Any], columns: Sequence[Column], folder: Path
) -> tuple[dict[str, str], Broken | None]:
    """Write a few rows of each split, and the training rows once more with broken ones.

    Args:
        sources: File of each split.
        columns: Those that the recipe reads.
        folder: Where to write.

    Returns:
        The file of each split, as it is where it cannot be cut; and the broken rows, of what can be.
    """
    label = next((c.name for c in columns if c.kind == "label"), None)
    images = [c.name for c in columns if c.kind == "file"]
    cut, broken = {}, None
    for split, source in sources.items():
        cut[split] = source
        if not is_sliced(source):
            continue
        table = read_table(Path(source))
        shared = split == "train" and len(sources) < len(SIZES)  # other splits are taken off these rows
        wanted, each = (sum(SIZES.values()), 4) if shared else (SIZES[split], 2 if split == "train" else 1)
        rows = [_with_whole_paths(row, images, Path(source).parent) for row in some_rows(table, wanted, label, each)]
        made = Table(table.header, rows, table.kind)
        cut[split] = _write(made, rows, folder / f"{split}{table.kind}")[0]
        if split == "train" and rows:
            broken = _write_broken(made, columns, folder / f"broken{table.kind}")
    return cut, broken


def _with_whole_paths(row: dict[str, Any], images: Sequence[str], beside: Path) -> dict[str, Any]:
    paths = {name: str((beside / str(row[name])).absolute()) for name in images if row.get(name)}
    return {**row, **paths}


def _line_writer(table: Table) -> Callable[[dict[str, Any]], str]:
    def csv_line(row: dict[str, Any]) -> str:
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerow(["" if row.get(c) is None else row[c] for c in table.header])
        return stream.getvalue()

    return csv_line if table.kind == ".csv" else lambda row: json.dumps(row, ensure_ascii=False) + "\n"


def _write(table: Table, rows: Sequence[dict[str, Any]], path: Path) -> tuple[str, int]:
    """Write rows; returns the path and the number of lines."""
    line = _line_writer(table)
    text = line(dict(zip(table.header, table.header, strict=True))) if table.kind == ".csv" else ""
    text += "".join(line(row) for row in rows)
    write_text(path, text)
    return str(path), text.count("\n")


def _write_broken(table: Table, columns: Sequence[Column], path: Path) -> Broken:
    """Good rows, then one with each required column empty, no picture or no number in it, and one that is no row."""
    line, first = _line_writer(table), table.rows[0]
    broken = [
        (f"'{column.name}' is empty", line({**first, column.name: "" if table.kind == ".csv" else None}))
        for column in columns
        if column.required and not column.gaps and column.name in table.header
    ]
    broken += [
        (f"'{column.name}' is not an image", line({**first, column.name: str(path)}))
        for column in columns
        if column.kind == "file" and column.name in table.header
    ]
    broken += [
        (f"'{column.name}' is not a number", line({**first, column.name: "seven"}))
        for column in columns
        if column.kind == "number" and column.name in table.header
    ]
    no_row = ",".join(["too many"] * (len(table.header) + 3)) if table.kind == ".csv" else "{no row"
    broken.append(("it is not a row", no_row + "\n"))
    _, lines = _write(table, table.rows, path)
    found, text = {}, path.read_text(encoding="utf-8")
    for what, written in broken:
        found[lines + 1] = what
        lines += written.count("\n")
        text += written
    write_text(path, text)
    return Broken(str(path), found)
