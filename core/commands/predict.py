"""`tunebook predict`: answer rows of files, images, or lines of standard input."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tunebook.errors import UserError

if TYPE_CHECKING:
    from tunebook.data.columns import Column
    from tunebook.data.compare import Content
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows
    from tunebook.predictor import Predictor


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
    parser.add_argument("--max-rejects", type=int, default=0, help="go on with up to this many unusable rows")
    parser.add_argument("--accelerator", choices=["auto", "cpu", "gpu", "mps"], default="auto", help="device")
    return parser


def predict_command(arguments: Sequence[str]) -> None:
    """Read, check, label and write; an output file is whole or not there."""
    options = _parser().parse_args(list(arguments))
    output = Path(options.output).absolute() if options.output else None
    if output and output.suffix not in (".csv", ".jsonl"):
        raise UserError("The output can be .csv or .jsonl.", where=str(output), mend=f"-o {output.with_suffix('.csv')}")
    if output:
        check_output(output, options.files, options.overwrite)

    from tunebook.bundle.manifest import find_bundle, read_manifest
    from tunebook.bundle.read import recipe_of
    from tunebook.data.rejects import RejectLog

    folder = find_bundle(options.model)
    manifest = read_manifest(folder)
    recipe = recipe_of(manifest)
    columns = recipe.predict_columns(manifest, options.column, options.files)
    with tempfile.TemporaryDirectory(prefix="tunebook-predict-") as scratch:
        log = output.with_suffix(output.suffix + ".rejects.jsonl") if output else None
        content = recipe.bundle_content(manifest, Path(scratch), answered=False)
        rejects = RejectLog(log or Path(scratch) / "rejects.jsonl", options.max_rejects)
        rows = _rows(options.files, columns, content, rejects, Path(scratch))
        _label(folder, rows, content, options.accelerator, output, rejects)


def check_output(output: Path, files: Sequence[str], overwrite: bool) -> None:
    """Refuse an output that cannot be written, or that would destroy something, before any work is done."""
    if not output.parent.is_dir():
        raise UserError("The folder of the output is missing.", where=str(output.parent), mend="create it first")
    if any(output.resolve() == Path(file).absolute().resolve() for file in files):
        raise UserError("The output would replace its own input.", where=str(output), mend="give -o another name")
    if output.exists() and not overwrite:
        raise UserError("The output exists already.", where=str(output), mend="give -o another name, or --overwrite")
    probe = output.parent / f".{output.name}.probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"The output cannot be written: {error.strerror}.", where=str(output), mend="give -o another folder"
        ) from error


def _rows(
    files: Sequence[str], columns: Sequence[Column], content: Content | None, rejects: RejectLog, scratch: Path
) -> Rows:
    """The checked rows of the files, or of standard input."""
    from tunebook.data.columns import Column
    from tunebook.data.reading import read_rows

    try:
        if files:
            rows = read_rows(list(files), "files", columns, rejects, split="rows")
            if content is not None:
                rows = content.inspect(rows, rejects)
        elif content is not None and not content.line:
            raise UserError(f"There is no {content.what} to look at.", where="files", mend="give files or a folder")
        else:
            role = content.line if content is not None else "text"
            spool, column = _spool(scratch), Column(role, "text", "stdin", "text")
            rows = read_rows([str(spool)], "stdin", [column], rejects, names={spool: "stdin"})
            if content is not None:
                rows = content.inspect(rows, rejects)
        rejects.write()
        rejects.check()
    except UserError as error:
        raise _in_words_of_predict(error) from error
    return rows


def _answerable(predictor: Predictor, rows: Rows, rejects: RejectLog) -> Rows:
    """The rows that the model can be asked; the others are rejects like those that could not be read."""
    import numpy as np

    refused = predictor.refused(rows)
    for number, reason in refused.items():
        line = int(rows.column("line")[number].as_py())
        rejects.add(rows.column("file")[number].as_py(), line, "", f"cannot be answered: {reason}")
    rejects.write()
    try:
        rejects.check()
    except UserError as error:
        raise _in_words_of_predict(error) from error
    if rejects.count:
        print(f"note: {rejects.count} of {rejects.read} rows cannot be used: {rejects.path}", file=sys.stderr)
    return rows.take(np.setdiff1d(np.arange(len(rows)), list(refused))) if refused else rows


def _in_words_of_predict(error: UserError) -> UserError:
    """The gate speaks of config keys; here a file is an argument, and the limit an option."""

    def reworded(text: str | None) -> str:
        text = (text or "").replace("files=", "tunebook predict <bundle> ")
        return text.replace("data.max_rejects=", "--max-rejects ")

    return UserError(reworded(error.what), where=error.where, mend=reworded(error.mend))


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
                    where=repr(line[:60]),
                    mend="convert it: iconv -t utf-8 ...",
                )
            stream.write(json.dumps({"text": text}) + "\n")
            lines += 1
    if not lines:
        raise UserError("There is no line on standard input.", where="stdin", mend="give files, or one text a line")
    return file


def _label(
    folder: Path, rows: Rows, content: Content | None, accelerator: str, output: Path | None, rejects: RejectLog
) -> None:
    from tunebook.bundle.read import open_bundle
    from tunebook.config import Accelerator, TrainerConfig
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
        print(f"{len(rows)} rows: {output}", file=sys.stderr)
    if predictor.truncated:
        print(f"note: {predictor.truncated} rows are over the model's length and were cut", file=sys.stderr)
    if predictor.unfinished:
        told = f"{predictor.unfinished} of {len(rows)} answers stop at the most tokens allowed, unfinished"
        print(f"note: {told} (recipe.max_new_tokens in training)", file=sys.stderr)


def _write(stream: IO[str], kind: str, predictor: Predictor, rows: Rows, content: Content | None, device: str) -> None:
    """One line a row: where it is from, then what the predictor answers; numbers with six decimals."""
    from tunebook.progress import counting

    writer = csv.writer(stream, lineterminator="\n")
    if kind == "csv":
        writer.writerow(["file", "line", *predictor.columns])
    places = zip(rows.column("file"), rows.column("line"), strict=True)
    with counting("answering", len(rows)) as advance:
        for (file, line), answer in zip(places, predictor.answers(rows, content, device, advance), strict=True):
            place = {"file": file.as_py(), "line": line.as_py()}
            if kind == "csv":
                writer.writerow(
                    [*place.values(), *(f"{v:.6f}" if isinstance(v, float) else v for v in answer.values())]
                )
            else:
                plain = {k: round(v, 6) if isinstance(v, float) else v for k, v in answer.items()}
                stream.write(json.dumps({**place, **plain}, ensure_ascii=False) + "\n")
