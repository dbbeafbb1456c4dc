"""What `tunebook predict` answers: rows of files or lines of standard input, read and checked without torch."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tunebook.bundle.manifest import find_bundle, read_manifest
from tunebook.bundle.read import recipe_of
from tunebook.cli.engine import PRECISIONS, find_export
from tunebook.data.columns import Column
from tunebook.data.content import Content
from tunebook.data.delimiters import parse_delimiter
from tunebook.data.file_source import file_source
from tunebook.data.lines import byte_lines
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog, log_apart
from tunebook.data.rows import Rows
from tunebook.data.sources import check_readable
from tunebook.data.text_template import is_with
from tunebook.errors import UserError


def answer(options: argparse.Namespace, output: Path | None, beside: Path | None) -> None:
    """Read, check and answer.

    Args:
        options: What was typed.
        output: The file to write; None for standard output.
        beside: The file beside it for rows that cannot be answered.
    """
    delimiter = parse_delimiter(options.delimiter, "--delimiter")
    folder = find_bundle(options.model)
    manifest = read_manifest(folder)
    recipe = recipe_of(manifest)
    not_sure = None
    if options.not_sure is not None:
        inputs = recipe.family.inputs
        not_sure = inputs.not_sure_below(recipe, folder, manifest, options.not_sure, "--not-sure")
    export = find_export(options.engine, folder, manifest, recipe, options.accelerator)
    with (
        in_words_of_predict(),
        tempfile.TemporaryDirectory(prefix="tunebook-predict-") as scratch,
        log_apart("predict") as log,
    ):
        columns = recipe.family.inputs.predict_columns(recipe, manifest, options.column, options.files, delimiter)
        if options.files:
            # some families load torch to look at what rows hold
            check_readable(options.files, "files", columns, delimiter=delimiter)
        content = recipe.family.inputs.bundle_content(recipe, manifest, Path(scratch), answered=False)
        rejects = RejectLog(log, options.max_rejects, masking=file_source(columns) is None)
        rows = _rows(options.files, columns, content, rejects, Path(scratch), delimiter)
        from tunebook.cli.write_answers import (
            open_predictor,
            write_answers,
        )  # torch begins here: the rows are read without it

        opened = open_predictor(folder, export, PRECISIONS.get(options.engine, ""), not_sure)
        write_answers(opened, rows, content, options.accelerator, output, beside, rejects, options.escape_formulas)


def _rows(
    files: Sequence[str],
    columns: Sequence[Column],
    content: Content | None,
    rejects: RejectLog,
    scratch: Path,
    delimiter: str | None,
) -> Rows:
    """The checked rows of the files, or of standard input."""
    if files:
        rows = read_rows(list(files), "files", columns, rejects, split="rows", delimiter=delimiter)
        if content is not None:
            rows = content.inspect(rows, rejects)
    elif content is not None and not content.line:
        raise UserError(
            f"There is no {content.what} to look at.",
            code="command.no-input",
            where="files",
            fix="give files or a folder",
        )
    else:
        role = content.line if content is not None else "text"
        if content is None:
            _refuse_lines(columns)
        spool, column = _spool(scratch), Column(role, "text", "stdin", "text")
        rows = read_rows([str(spool)], "stdin", [column], rejects, names={spool: "stdin"})
        if content is not None:
            rows = content.inspect(rows, rejects)
    rejects.write()
    rejects.check()
    return rows


def _refuse_lines(columns: Sequence[Column]) -> None:
    """Refuse lines of standard input for a model that reads more than one text a row."""
    names = ", ".join(column.name for column in columns if column.kind == "text" or is_with(column.role))
    if "," in names:
        what = f"A row of this model has several texts ({names}), but a line of standard input is only one."
        raise UserError(what, code="command.no-input", where="stdin", fix=f"give files with the columns {names}")


_WORDS = (
    (r"\bfiles=", "tunebook predict <bundle> "),
    (r"\bdata\.max_rejects=", "--max-rejects "),
    (r"\bdata\.delimiter=", "--delimiter "),
    (r"\bdata\.delimiter\b", "--delimiter"),
    (r"\btrainer\.accelerator=", "--accelerator "),
    (r"\btrainer=", "--accelerator "),
)
"""Keys of the config, and how they are typed here."""


@contextmanager
def in_words_of_predict(verb: str = "predict") -> Iterator[None]:
    """Others speak of config keys; here a file is an argument, and columns, limit and device are options."""

    def reworded(text: str | None) -> str | None:
        for pattern, words in _WORDS:
            text = re.sub(pattern, words.replace("predict", verb), text) if text else text
        return text

    try:
        yield
    except UserError as error:  # the same one: an interrupt has an exit code of its own
        if error.code == "file.not-writable":
            error.fix = "free some space or choose another output: -o <file>"
        error.what, error.where, error.fix = reworded(error.what) or "", reworded(error.where), reworded(error.fix)
        raise


def _spool(scratch: Path) -> Path:
    """Standard input as a file that the data gate reads: line n is row n."""
    if sys.stdin.isatty():
        print("one text a line; end with Ctrl-D", file=sys.stderr)
    file, lines = scratch / "stdin.jsonl", 0
    with file.open("w", encoding="utf-8") as stream:
        for line in byte_lines(sys.stdin.buffer, "stdin"):
            text = line.decode("utf-8", errors="surrogateescape").rstrip("\r\n")
            if not text.isascii() and any("\udc80" <= c <= "\udcff" for c in text):
                raise UserError(
                    "Standard input is not UTF-8.",
                    code="command.not-utf8",
                    where=repr(line[:60]),
                    fix="convert it: iconv -t utf-8 ...",
                )
            stream.write(json.dumps({"text": text}) + "\n")
            lines += 1
    if not lines:
        raise UserError(
            "There is no line on standard input.",
            code="command.no-input",
            where="stdin",
            fix="give files, or one text a line",
        )
    return file
