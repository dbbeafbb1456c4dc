"""`tunebook predict`: answer rows of files, images, or lines of standard input."""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tunebook.errors import UserError

if TYPE_CHECKING:
    from tunebook.data.columns import Column
    from tunebook.data.content import Content
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows
    from tunebook.families.predictor import Predictor


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tunebook predict",
        description="Answer rows of files (csv, tsv, jsonl, parquet, each also gzipped; a datasets folder), images "
        "(files, folders, .npz) or each line of standard input. Writes file and line, then what the recipe tells: text "
        "or image, prediction and each label's probability; prompt and answer; brief and copies with their checks.",
    )
    parser.add_argument("model", help="run folder or bundle folder")
    parser.add_argument("files", nargs="*", help="files or globs; none: one text a line on standard input")
    parser.add_argument(
        "--text",
        "--image",
        dest="column",
        help="column that holds the text, the image's path or the whole brief (default: as in training)",
    )
    parser.add_argument("-o", "--output", help="file to write, .csv or .jsonl (default: CSV on standard output)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output file where it exists")
    parser.add_argument("--max-rejects", type=int, default=0, help="continue with up to this many unusable rows")
    parser.add_argument("--accelerator", choices=["auto", "cpu", "gpu", "mps"], default="auto", help="device")
    return parser


def predict_command(arguments: Sequence[str]) -> None:
    """Read, check, label and write; an output file is whole or not there."""
    options = _parser().parse_args(list(arguments))
    output = Path(options.output).absolute() if options.output else None
    if output and output.suffix not in (".csv", ".jsonl"):
        raise UserError(
            "The output can be .csv or .jsonl.",
            code="command.wrong-extension",
            where=str(output),
            fix=f"-o {output.with_suffix('.csv')}",
        )
    if output:
        check_output(output, options.files, options.overwrite)
        _check_rejects_beside(output, options.files, options.overwrite)

    from tunebook.bundle.manifest import find_bundle, read_manifest
    from tunebook.bundle.read import recipe_of
    from tunebook.data.rejects import RejectLog, log_apart

    folder = find_bundle(options.model)
    manifest = read_manifest(folder)
    recipe = recipe_of(manifest)
    with (
        _in_words_of_predict(),
        tempfile.TemporaryDirectory(prefix="tunebook-predict-") as scratch,
        log_apart("predict") as log,
    ):
        columns = recipe.family.stages.predict_columns(recipe, manifest, options.column, options.files)
        content = recipe.family.stages.bundle_content(recipe, manifest, Path(scratch), answered=False)
        rejects = RejectLog(log, options.max_rejects)
        rows = _rows(options.files, columns, content, rejects, Path(scratch))
        _label(folder, rows, content, options.accelerator, output, rejects)


def rejects_beside(output: Path) -> Path:
    """The file that tells which rows an output lacks, and why."""
    return output.with_suffix(output.suffix + ".rejects.jsonl")


def _check_rejects_beside(output: Path, files: Sequence[str], overwrite: bool) -> None:
    """Refuse to replace a log that stands beside the output unasked, or one that is to be read."""
    beside = rejects_beside(output)
    if any(beside.resolve() == Path(file).absolute().resolve() for file in files):
        raise UserError(
            "The rejected rows would replace the input.",
            code="command.overwrites-input",
            where=str(beside),
            fix="give -o another name",
        )
    if beside.exists() and not overwrite:
        what = "There is a file of rejected rows beside the output already."
        raise UserError(what, code="file.exists", where=str(beside), fix="give -o another name, or --overwrite")


def _settle(rejects: RejectLog, output: Path) -> None:
    """Beside an output lies the log of the call that made it, or none: never that of an earlier one."""
    scratch, rejects.path = rejects.path, rejects_beside(output)
    if rejects.count:
        rejects.write()
    else:
        rejects.path.unlink(missing_ok=True)
    scratch.unlink(missing_ok=True)


def check_output(output: Path, files: Sequence[str], overwrite: bool) -> None:
    """Refuse an output that cannot be written, or that would destroy something, before any work is done."""
    if not output.parent.is_dir():
        raise UserError(
            "The folder of the output is missing.",
            code="file.missing-folder",
            where=str(output.parent),
            fix="create it first",
        )
    if any(output.resolve() == Path(file).absolute().resolve() for file in files):
        raise UserError(
            "The output would replace its own input.",
            code="command.overwrites-input",
            where=str(output),
            fix="give -o another name",
        )
    if output.exists() and not overwrite:
        raise UserError(
            "The output exists already.",
            code="file.exists",
            where=str(output),
            fix="give -o another name, or --overwrite",
        )
    probe = output.parent / f".{output.name}.probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"The output cannot be written: {error.strerror}.",
            code="file.not-writable",
            where=str(output),
            fix="give -o another folder",
        ) from error


def _rows(
    files: Sequence[str], columns: Sequence[Column], content: Content | None, rejects: RejectLog, scratch: Path
) -> Rows:
    """The checked rows of the files, or of standard input."""
    from tunebook.data.columns import Column
    from tunebook.data.reading import read_rows

    if files:
        rows = read_rows(list(files), "files", columns, rejects, split="rows")
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
    """Refuse lines of standard input for a model that reads two texts a row."""
    names = ", ".join(column.name for column in columns if column.kind == "text")
    if "," in names:
        what = f"A row of this model has several texts ({names}), and a line of standard input is one."
        raise UserError(what, code="command.no-input", where="stdin", fix=f"give files with the columns {names}")


def _answerable(predictor: Predictor, rows: Rows, rejects: RejectLog) -> Rows:
    """The rows that the model can be asked; the others are rejects like those that could not be read."""
    import numpy as np

    refused = predictor.refused(rows)
    for number, reason in refused.items():
        line = int(rows.column("line")[number].as_py())
        rejects.add(rows.column("file")[number].as_py(), line, "", f"cannot be answered: {reason}")
    rejects.write()
    rejects.check()
    return rows.take(np.setdiff1d(np.arange(len(rows)), list(refused))) if refused else rows


_WORDS = (
    (r"\bfiles=", "tunebook predict <bundle> "),
    (r"\bdata\.max_rejects=", "--max-rejects "),
    (r"\btrainer\.accelerator=", "--accelerator "),
    (r"\btrainer=", "--accelerator "),
)
"""Keys of the config, and how they are typed here."""


@contextmanager
def _in_words_of_predict() -> Iterator[None]:
    """Others speak of config keys; here a file is an argument, and columns, limit and device are options."""

    def reworded(text: str | None) -> str | None:
        for pattern, words in _WORDS:
            text = re.sub(pattern, words, text) if text else text
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
        for line in sys.stdin.buffer:
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


def _label(
    folder: Path, rows: Rows, content: Content | None, accelerator: str, output: Path | None, rejects: RejectLog
) -> None:
    from tunebook.bundle.read import open_bundle
    from tunebook.config.schema import Accelerator, TrainerConfig
    from tunebook.files import written_whole
    from tunebook.training.devices import choose_accelerator

    device = choose_accelerator(TrainerConfig(accelerator=Accelerator[accelerator]))
    _, _, predictor = open_bundle(folder)
    rows = _answerable(predictor, rows, rejects)
    predictor.truncated = 0  # the golden inputs were counted too
    if output is None:
        _write(sys.stdout, "csv", predictor, rows, content, device)
    else:
        with written_whole(output) as stream:
            _write(stream, output.suffix[1:], predictor, rows, content, device)
            _settle(rejects, output)
        print(f"{len(rows)} rows: {output}", file=sys.stderr)
    if rejects.count:
        print(f"note: {rejects.count} of {rejects.read} rows cannot be used: {rejects.path}", file=sys.stderr)
    if predictor.truncated:
        print(f"note: {predictor.truncated} rows are over the model's length and were cut", file=sys.stderr)
    if predictor.unfinished:
        told = f"{predictor.unfinished} of {len(rows)} answers stop at the most tokens allowed, unfinished"
        print(f"note: {told} (recipe.max_new_tokens in training)", file=sys.stderr)


def _write(stream: IO[str], kind: str, predictor: Predictor, rows: Rows, content: Content | None, device: str) -> None:
    """One line a row: where it is from, then what the predictor answers; numbers as in predictions.csv."""
    from tunebook.progress import counting
    from tunebook.report.files import show_probability

    writer = csv.writer(stream, lineterminator="\n")
    if kind == "csv":
        writer.writerow(["file", "line", *predictor.columns])
    places = zip(rows.column("file"), rows.column("line"), strict=True)
    with counting("answering", len(rows)) as advance:
        for (file, line), answer in zip(places, predictor.answers(rows, content, device, advance), strict=True):
            place = {"file": file.as_py(), "line": line.as_py()}
            if kind == "csv":
                writer.writerow(
                    [*place.values(), *(show_probability(v) if isinstance(v, float) else v for v in answer.values())]
                )
            else:
                plain = {k: float(show_probability(v)) if isinstance(v, float) else v for k, v in answer.items()}
                stream.write(json.dumps({**place, **plain}, ensure_ascii=False) + "\n")
