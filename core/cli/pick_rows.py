"""What `tunebook pick` picks: the pool, read and checked without torch, and the rows drawn from it."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tunebook.bundle.manifest import Manifest, find_bundle, read_manifest
from tunebook.bundle.read import recipe_of
from tunebook.bundle.seen import seen_before, text_hashes
from tunebook.cli.predict_rows import in_words_of_predict
from tunebook.data.columns import TEXT, Column, with_names
from tunebook.data.delimiters import parse_delimiter
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog, log_apart
from tunebook.data.rows import Rows
from tunebook.data.sources import check_readable
from tunebook.data.text_template import with_role
from tunebook.errors import UserError
from tunebook.files import write_json, written_whole
from tunebook.recipe import Recipe
from tunebook.terminal import drawn

COLUMNS = ("file", "line", "text", "prediction", "probability")


def pick(options: argparse.Namespace) -> None:
    """Read the pool, leave out what need not be labelled, pick and write.

    Args:
        options: What was typed.
    """
    delimiter = parse_delimiter(options.delimiter, "--delimiter")
    folder = find_bundle(options.model)
    manifest = read_manifest(folder)
    recipe = recipe_of(manifest)
    _check_kind(recipe, manifest, folder)
    with in_words_of_predict("pick"), log_apart("pick") as log:
        given = recipe.family.inputs.predict_columns(recipe, manifest, options.text, options.files, delimiter)
        columns = [
            *given,
            Column("label", manifest.columns.get("label", "label"), "", "label", required=False, choice=""),
        ]
        check_readable(options.files, "files", columns, delimiter=delimiter)
        rejects = RejectLog(log, options.max_rejects)
        rows = read_rows(list(options.files), "files", columns, rejects, split="rows", delimiter=delimiter)
        rejects.write()
        rejects.check()
        left = _worth_labelling(recipe, rows, folder, options.n)
        from tunebook.bundle.read import open_bundle
        from tunebook.cli.pick_by_model import picked_rows  # torch begins here: the rows are read without it

        _, _, predictor = open_bundle(folder)
        chosen, predicted, probability = picked_rows(
            predictor, rows.take(left), options.n, options.seed, options.accelerator
        )
        if manifest.template is not None:  # whoever labels a row, and reads it again, has its columns apart
            apart = [replace(column, template=None) for column in columns]
            log_again = RejectLog(log, options.max_rejects)
            rows = read_rows(list(options.files), "files", apart, log_again, split="rows", delimiter=delimiter)
    picked = rows.take(left[chosen])
    answers = [(manifest.labels[label], float(p)) for label, p in zip(predicted, probability, strict=True)]
    _write(options, picked, answers, manifest, folder)
    if rejects.count:
        print(f"note: {rejects.count} of {rejects.read} rows cannot be used: {rejects.path}", file=sys.stderr)


def _check_kind(recipe: Recipe[Any], manifest: Manifest, folder: Path) -> None:
    """Refuse models that cannot say which rows they are unsure of.

    Raises:
        UserError: It is such a model.
    """
    what = ""
    if not recipe.family.picks:
        what = f"This bundle's model {recipe.family.does}; rows are picked for text classifiers."
    elif manifest.head == "zero_shot":
        what = "This bundle's model was not tuned: it has no final layer whose gradient says what it would learn."
    if what:
        fix = "give a run of a text classification recipe, tuned on the first labels"
        raise UserError(what, code="pick.wrong-model", where=str(folder), fix=fix)


def _worth_labelling(recipe: Recipe[Any], rows: Rows, folder: Path, wanted: int) -> NDArray[np.int64]:
    """Positions of the rows without a label that the model has not seen, each text once; says how many are passed over.

    Raises:
        UserError: There are fewer than wanted.
    """
    keys = recipe.family.inputs.keys(recipe, rows)
    labelled = np.array([bool(label) for label in rows.texts("label")], dtype=bool)
    seen = np.zeros(len(rows), dtype=bool)
    seen[seen_before(folder, keys)] = True
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
    options: argparse.Namespace, rows: Rows, answers: Sequence[tuple[str, float]], manifest: Manifest, folder: Path
) -> None:
    beside = _beside(rows, manifest)
    found = zip(rows.texts("file"), rows.lines, rows.texts(TEXT), *beside.values(), strict=True)
    table = [[*cells, label, f"{p:.9g}"] for cells, (label, p) in zip(found, answers, strict=True)]
    head = [*COLUMNS[:3], *beside, *COLUMNS[3:]]
    if options.label_studio:
        write_json(Path(options.label_studio), _tasks(table, rows, beside, manifest, folder))
    if options.output:
        with written_whole(Path(options.output)) as stream:
            _write_csv(stream, head, table)
        print(f"{len(rows)} rows: {options.output}", file=sys.stderr)
    elif sys.stdout.isatty():  # no row's control characters reach a terminal
        shown = io.StringIO()
        _write_csv(shown, head, table)
        sys.stdout.write(drawn(shown.getvalue()))
    else:
        _write_csv(sys.stdout, head, table)


def _beside(rows: Rows, manifest: Manifest) -> dict[str, list[str]]:
    """The columns that a model reads beside the text: name -> cells."""
    names = [] if manifest.template is None else with_names(manifest.columns)
    return {name: rows.texts(with_role(number)) for number, name in enumerate(names)}


def _write_csv(stream: IO[str], head: Sequence[str], table: Sequence[Sequence[Any]]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(table)


def _tasks(
    table: Sequence[Sequence[Any]], rows: Rows, beside: Mapping[str, list[str]], manifest: Manifest, folder: Path
) -> list[dict[str, Any]]:
    """Tasks as Label Studio imports them, each with what the model says of it."""
    name, control = manifest.columns[TEXT], manifest.columns.get("label", "label")
    run = folder.resolve()
    version = f"{manifest.recipe} {run.parent.name if run.name == 'model' else run.name}"
    pairs = rows.texts("text_pair") if "text_pair" in rows.roles else None
    tasks = []
    for number, (file, line, text, *_, label, probability) in enumerate(table):
        result = {"from_name": control, "to_name": name, "type": "choices", "value": {"choices": [label]}}
        prediction = {"model_version": version, "score": float(probability), "result": [result]}
        data = {"file": file, "line": line, **{each: cells[number] for each, cells in beside.items()}, name: text}
        if pairs is not None:
            data[manifest.columns["text_pair"]] = pairs[number]
        tasks.append({"data": data, "predictions": [prediction]})
    return tasks
