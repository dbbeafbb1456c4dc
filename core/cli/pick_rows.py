"""What `tunebook pick` picks: the pool, read and checked without torch, and the rows drawn from it."""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tunebook.bundle.manifest import Manifest, find_bundle, read_manifest
from tunebook.bundle.read import recipe_of
from tunebook.bundle.seen import seen_before, text_hashes
from tunebook.cli.predict_rows import in_words_of_predict
from tunebook.data.content import Content
from tunebook.data.delimiters import parse_delimiter
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog, log_apart
from tunebook.data.rows import Rows
from tunebook.data.sources import check_readable
from tunebook.data.unread import RESULTS
from tunebook.errors import UserError
from tunebook.families.picking import Shown
from tunebook.files import write_json, written_whole
from tunebook.recipe import Recipe
from tunebook.terminal import drawn


def pick(options: argparse.Namespace) -> None:
    """Read the pool, leave out what need not be labelled, pick and write.

    Args:
        options: What was typed.
    """
    delimiter = parse_delimiter(options.delimiter, "--delimiter")
    folder = find_bundle(options.model)
    manifest = read_manifest(folder)
    recipe = recipe_of(manifest)
    inputs = recipe.family.inputs
    inputs.check_pick(recipe, folder, manifest)
    with (
        in_words_of_predict("pick"),
        tempfile.TemporaryDirectory(prefix="tunebook-pick-") as scratch,
        log_apart("pick") as log,
    ):
        columns = inputs.pick_columns(recipe, manifest, options.column, options.files, delimiter)
        check_readable(options.files, "files", columns, delimiter=delimiter)
        content = inputs.bundle_content(recipe, manifest, Path(scratch), answered=False)
        rejects = RejectLog(log, options.max_rejects)
        rows = read_rows(list(options.files), "files", columns, rejects, split="rows", delimiter=delimiter)
        if content is not None:
            rows = content.inspect(rows, rejects)
        rejects.write()
        rejects.check()
        results = rejects.unread.facts().get(RESULTS)
        if results:
            print(f"note: {RESULTS} label no row: {results}", file=sys.stderr)
        left = _worth_labelling(recipe, rows, content, folder, options.n)
        shown = inputs.shown(manifest, rows, as_tasks=options.label_studio is not None)
        from tunebook.bundle.read import open_bundle
        from tunebook.cli.pick_by_model import picked_rows  # torch begins here: texts are read without it

        _, _, predictor = open_bundle(folder)
        chosen, predicted, probability = picked_rows(
            predictor, rows.take(left), content, options.n, options.seed, options.accelerator
        )
        if manifest.template is not None:  # whoever labels a row, and reads it again, has its columns apart
            apart = [replace(column, template=None) for column in columns]
            log_again = RejectLog(log, options.max_rejects)
            rows = read_rows(list(options.files), "files", apart, log_again, split="rows", delimiter=delimiter)
    picked = rows.take(left[chosen])
    answers = [(manifest.labels[label], float(p)) for label, p in zip(predicted, probability, strict=True)]
    _write(options, picked, answers, shown, manifest, folder)
    if rejects.count:
        print(f"note: {rejects.count} of {rejects.read} rows cannot be used: {rejects.path}", file=sys.stderr)


def _worth_labelling(
    recipe: Recipe[Any], rows: Rows, content: Content | None, folder: Path, wanted: int
) -> NDArray[np.int64]:
    """Positions of the rows without a label that the model has not seen, each once; says how many are passed over.

    Raises:
        UserError: There are fewer than wanted.
    """
    keys = recipe.family.inputs.keys(recipe, rows)
    labelled = np.array([bool(label) for label in rows.texts("label")], dtype=bool)
    seen = np.zeros(len(rows), dtype=bool)
    seen[seen_before(folder, keys)] = True
    seen[recipe.family.inputs.copies_seen(rows, content, folder)] = True
    first = np.zeros(len(rows), dtype=bool)
    first[np.unique(text_hashes(keys), return_index=True)[1]] = True
    left = np.flatnonzero(~labelled & ~seen & first)
    counts = {
        "have a label": int(labelled.sum()),
        "were used in training": int((seen & ~labelled).sum()),
        "repeat another": int((~first & ~seen & ~labelled).sum()),
    }
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    if len(left) < wanted:
        why = f"of {len(rows)} rows{f' ({said})' if said else ''}"
        what = f"There are {len(left)} rows to label {why}, not {wanted}."
        fix = f"--n {len(left)}, or give more rows"
        if not len(left):
            what, fix = f"There is no row to label {why}.", "give other rows"
        raise UserError(what, code="pick.too-few-rows", where="files", fix=fix)
    if said:
        print(f"note: of {len(rows)} rows, {said}; they are passed over", file=sys.stderr)
    return left


def _write(
    options: argparse.Namespace,
    rows: Rows,
    answers: Sequence[tuple[str, float]],
    shown: Shown,
    manifest: Manifest,
    folder: Path,
) -> None:
    beside = [rows.texts(role) for role in shown.beside]
    found = zip(rows.texts("file"), rows.lines, rows.texts(shown.role), *beside, strict=True)
    table = [[*cells, label, f"{p:.9g}"] for cells, (label, p) in zip(found, answers, strict=True)]
    head = ["file", "line", shown.heading, *shown.beside.values(), "prediction", "probability"]
    if options.label_studio:
        write_json(Path(options.label_studio), _tasks(table, rows, shown, manifest, folder))
    if options.output:
        with written_whole(Path(options.output)) as stream:
            _write_csv(stream, head, table)
        print(f"{len(rows)} rows: {options.output}", file=sys.stderr)
    elif sys.stdout.isatty():  # no row's control characters reach a terminal
        shown_csv = io.StringIO()
        _write_csv(shown_csv, head, table)
        sys.stdout.write(drawn(shown_csv.getvalue()))
    else:
        _write_csv(sys.stdout, head, table)


def _write_csv(stream: IO[str], head: Sequence[str], table: Sequence[Sequence[Any]]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(table)


def _tasks(
    table: Sequence[Sequence[Any]], rows: Rows, shown: Shown, manifest: Manifest, folder: Path
) -> list[dict[str, Any]]:
    """Tasks as Label Studio imports them, each with what the model says of it."""
    control = manifest.columns.get("label", "label")
    run = folder.resolve()
    version = f"{manifest.recipe} {run.parent.name if run.name == 'model' else run.name}"
    more = {name: rows.texts(role) for role, name in {**shown.beside, **shown.in_tasks}.items()}
    tasks = []
    for number, (file, line, text, *_, label, probability) in enumerate(table):
        result = {"from_name": control, "to_name": shown.keys[0], "type": "choices", "value": {"choices": [label]}}
        prediction = {"model_version": version, "score": float(probability), "result": [result]}
        data = {"file": file, "line": line, **{name: cells[number] for name, cells in more.items()}}
        tasks.append({"data": {**data, **dict.fromkeys(shown.keys, text)}, "predictions": [prediction]})
    return tasks
