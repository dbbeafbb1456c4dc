"""Exports of Label Studio as rows: JSON, JSON-MIN and CSV, one row a task, whatever number of annotators it has.

The formats are those of https://labelstud.io/guide/export: in JSON a task has its ``data`` and a list of
``annotations``, each a list of results of the controls of the labelling interface; in JSON-MIN and CSV a row is one
annotation, with a column for each key of the data and for each control. Only choices are read: one a control, or any
number of them for a column that lists labels.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

from tunebook.data.chunks import Chunk, Reject
from tunebook.data.columns import Column, read_names
from tunebook.data.json_arrays import array_objects
from tunebook.data.label_studio_keys import Found
from tunebook.data.unread import ANNOTATED, COLUMNS, RESULTS, Unread
from tunebook.data.values import as_text
from tunebook.errors import UserError

TASK = Column("task of label studio", "id", "", "any", required=False)
"""What tells the annotations of one task from those of the next in a table."""
OF_TABLES = frozenset({"id", "annotator", "annotation_id", "lead_time"})
"""Columns that every row of JSON-MIN and CSV has."""
_HEAD = 1 << 16


@dataclass(frozen=True)
class _Annotation:
    """What one annotator said of a task.

    Attributes:
        task: The task's id.
        line: Where it stands: the line of a table; of JSON the task's id, or its number where ids are no numbers.
        values: One a column; None where there is none.
        fault: Column, reason and text where it cannot be used.
    """

    task: str
    line: int
    values: Sequence[str | None]
    fault: tuple[str, str, str] | None = None


def _chosen(column: Column, cell: str | None) -> str | None:
    """A cell of an annotation: where labels are listed, one without a choice says that there is none."""
    return "[]" if column.kind == "labels" and not (cell or "").strip() else cell


def is_table(file: BinaryIO, columns: Sequence[Column]) -> bool:
    """Whether a delimited file is an export of labels, by its header; the file is left at its beginning."""
    header = file.readline(_HEAD).decode("utf-8-sig", "replace")
    file.seek(0)
    names = {name.strip().strip('"') for name in header.replace("\t", ",").replace(";", ",").split(",")}
    return names >= OF_TABLES and not any(column.role == "id" or column.name == "id" for column in columns)


def is_array(file: BinaryIO, columns: Sequence[Column]) -> bool:
    """Whether a JSON file is an export, by its first object; the file is left at its beginning."""
    head = file.read(_HEAD).decode("utf-8-sig", "ignore").lstrip()
    file.seek(0)
    if not head.startswith("[") or not any(column.kind in ("text", "file") for column in columns):
        return False
    try:
        first = next(array_objects(file, Path("head")), None)
    except UserError:
        return False
    finally:
        file.seek(0)
    return first is not None and (_is_task(first) or set(first) >= OF_TABLES)


def _is_task(record: dict[str, Any]) -> bool:
    """Whether it is a task as JSON has it; one that was only prepared for labelling has predictions alone."""
    parts = [record.get("annotations"), record.get("predictions")]
    return isinstance(record.get("data"), dict) and any(isinstance(part, list) for part in parts)


def read_array(
    file: BinaryIO, path: Path, columns: Sequence[Column], reject: Reject, rows: int, unread: Unread, vote: bool
) -> Iterator[Chunk]:
    """Stream a JSON or JSON-MIN export, one row a task.

    Args:
        file: The file, unpacked.
        path: The file as the user knows it.
        columns: The columns wanted: keys of the tasks' data, and controls.
        reject: Takes the tasks that cannot be used.
        rows: Most rows in a chunk.
        unread: Counts what nothing reads, and the tasks of several annotators.
        vote: Whether the majority of disagreeing annotators decides.

    Raises:
        UserError: It lacks a column, or its annotations are no choices.
    """
    found = Found()
    annotations = _annotations(file, path, columns, found, unread)
    yield from _chunks(_merged(annotations, columns, reject, unread, vote), columns, rows, found, path)


def merged_table(
    chunks: Iterator[Chunk], columns: Sequence[Column], reject: Reject, rows: int, unread: Unread, vote: bool
) -> Iterator[Chunk]:
    """One row a task of chunks of annotations that were read with `TASK` behind the ``columns``."""

    def annotations() -> Iterator[_Annotation]:
        for chunk in chunks:
            values = zip(*(chunk.values[column.role] for column in columns), strict=True)
            for line, task, cells in zip(chunk.lines, chunk.values[TASK.role], values, strict=True):
                row = [_chosen(column, cell) for column, cell in zip(columns, cells, strict=True)]
                fault = next(
                    (
                        (column.name, "has several choices, and one label is wanted", value or "")
                        for column, value in zip(columns, row, strict=True)
                        if column.kind == "label" and (value or "").startswith('{"choices":')
                    ),
                    None,
                )
                yield _Annotation(task or f"line {line}", line, row, fault)

    yield from _chunks(_merged(annotations(), columns, reject, unread, vote), columns, rows)


def _chunks(
    found_rows: Iterator[_Annotation],
    columns: Sequence[Column],
    rows: int,
    found: Found | None = None,
    path: Path | None = None,
) -> Iterator[Chunk]:
    chunk, checked = Chunk.empty(columns), found is None
    for row in found_rows:
        chunk.append(columns, row.values, row.line)
        if chunk.is_full(rows):
            if found is not None and path is not None and not checked:
                found.check(columns, path)
                checked = True
            yield chunk
            chunk = Chunk.empty(columns)
    if found is not None and path is not None and not checked:
        found.check(columns, path)
    if chunk.lines:
        yield chunk


def _annotations(
    file: BinaryIO, path: Path, columns: Sequence[Column], found: Found, unread: Unread
) -> Iterator[_Annotation]:
    named, beside = read_names(columns), Counter[str]()
    for number, record in enumerate(array_objects(file, path), start=1):
        task = record.get("id", number)
        line = task if isinstance(task, int) and task > 0 else number
        each = _of_task(record, columns, found) if _is_task(record) else [_of_row(record, columns, found)]
        for values, several in each:
            beside.update(name for name in values if name not in named and values[name] not in (None, ""))
            yield _annotation(str(task), line, values, several, columns)
    unread.add(COLUMNS, beside)
    unread.add(RESULTS, found.results)


def _of_row(
    record: dict[str, Any], columns: Sequence[Column], found: Found
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The values of a row of JSON-MIN, and the controls with several choices, or with any where labels are listed."""
    several = {}
    for column in columns:
        if column.kind == "labels" and column.name in record and not isinstance(record[column.name], (list, dict)):
            value = record[column.name]
            several[column.name] = [value] if isinstance(value, str) and value.strip() else []
    for name, value in record.items():
        choices = value.get("choices") if isinstance(value, dict) else None
        if isinstance(choices, list):
            several[name] = [str(choice) for choice in choices]
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            found.add_other(name, "regions")
        else:
            found.names[name] = None
    return {name: value for name, value in record.items() if name not in several}, several


def _of_task(
    record: dict[str, Any], columns: Sequence[Column], found: Found
) -> list[tuple[dict[str, Any], dict[str, list[str]]]]:
    """The values of each annotation of a task that was not skipped; of a task without any those of its data."""
    found.add_data(record["data"])
    made = [
        each for each in record.get("annotations") or () if isinstance(each, dict) and not each.get("was_cancelled")
    ]
    truth = [each for each in made if each.get("ground_truth")]
    every: list[tuple[dict[str, Any], dict[str, list[str]]]] = []
    for annotation in truth or made:
        values, several = dict(record["data"]), dict[str, list[str]]()
        for result in annotation.get("result") or []:
            control, kind = (result.get("from_name"), result.get("type")) if isinstance(result, dict) else (None, None)
            value = result.get("value") if isinstance(result, dict) else None
            choices = value.get("choices") if isinstance(value, dict) else None
            if not isinstance(control, str) or not isinstance(choices, list):
                found.add_other(control if isinstance(control, str) else None, str(kind))
                continue
            found.names[control] = None
            several.setdefault(control, []).extend(str(choice) for choice in choices)
        values |= {control: choices[0] for control, choices in several.items() if len(choices) == 1}
        controls = [column.name for column in columns if column.kind == "labels" and column.name not in record["data"]]
        lists = {name: several.get(name, []) for name in controls}
        every.append((values, {control: each for control, each in several.items() if len(each) > 1} | lists))
    if not every:
        every.append((dict(record["data"]), {}))
    return every


def _annotation(
    task: str, line: int, record: dict[str, Any], several: dict[str, list[str]], columns: Sequence[Column]
) -> _Annotation:
    values: list[str | None] = []
    for column in columns:
        if column.name in several and column.kind == "labels":
            values.append(json.dumps(sorted(several[column.name]), ensure_ascii=False))
            continue
        if column.name in several:
            reason = f"has several choices in task {task}, {', '.join(several[column.name])}: one label is wanted"
            return _Annotation(task, line, [], (column.name, reason, ""))
        try:
            value = as_text(record.get(column.name), nested=column.nested)
            (value or "").encode("utf-8")
        except UnicodeEncodeError:
            return _Annotation(task, line, [], (column.name, "holds half of a surrogate pair (\\ud800-\\udfff)", ""))
        except ValueError as error:
            return _Annotation(task, line, [], (column.name, str(error), str(record.get(column.name))))
        values.append(value)
    return _Annotation(task, line, values)


def _merged(
    annotations: Iterator[_Annotation], columns: Sequence[Column], reject: Reject, unread: Unread, vote: bool
) -> Iterator[_Annotation]:
    """One a task; what cannot be used goes to ``reject``, once a task."""
    label = next(
        (i for i, column in enumerate(columns) if column.kind in ("label", "labels") and column.required), None
    )
    optional = next((i for i, column in enumerate(columns) if column.kind == "label" and not column.required), None)
    seen = set[str]()
    for task, group in groupby(annotations, key=lambda annotation: annotation.task):
        each = list(group)
        first = each[0]
        fault = next((one.fault for one in each if one.fault is not None), None)
        if task in seen:
            fault = ("", f"is of task {task}, whose other annotations stand further above: sort the file by id", "")
        seen.add(task)
        if fault is not None:
            reject(first.line, *fault)
            continue
        if label is None:
            yield next((one for one in each if optional is not None and (one.values[optional] or "").strip()), first)
            continue
        answered = [one for one in each if (one.values[label] or "").strip()]
        if not answered:
            reject(first.line, columns[label].name, f"has no choice in task {task}", "")
            continue
        counts = Counter(one.values[label] for one in answered)
        if len(answered) > 1:
            unread.count(ANNOTATED, "agree" if len(counts) == 1 else "disagree")
        (most, times), *others = counts.most_common()
        if not others or (vote and times > others[0][1]):
            yield next(one for one in answered if one.values[label] == most)
            continue
        said = ", ".join(f"{name!r} ({count})" for name, count in counts.most_common())
        tie = "without a majority" if others[0][1] == times else "data.disagreement=vote takes the majority"
        reason = f"differs between the {len(answered)} annotators of task {task}: {said}; {tie}"
        reject(first.line, columns[label].name, reason, "")
