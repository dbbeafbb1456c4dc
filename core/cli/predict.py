"""`tunebook predict`: predict for rows of files, images, or lines of standard input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunebook.cli.arguments import Arguments
from tunebook.errors import UserError


def _parser() -> Arguments:
    parser = Arguments(
        "predict",
        "tunebook predict <run or bundle> rows.csv",
        intermixed=True,
        description="Answer rows of files (csv, tsv, jsonl, parquet, each also gzipped; a datasets folder), images "
        "(files, folders, .npz) or each line of standard input. Writes file and line, then what the recipe tells: text "
        "or image, prediction and each label's probability; prompt and answer; brief and copies with their checks.",
    )
    parser.add_argument("model", help="run folder or bundle folder")
    parser.add_argument("files", nargs="*", default=[], help="files or globs; none: one text a line on standard input")
    parser.add_argument(
        "--text",
        "--image",
        dest="column",
        help="column that holds the text, the image's path or the whole brief (default: as in training)",
    )
    parser.add_argument(
        "--delimiter", help="character that separates the columns of .csv files, or \\t (default: a comma)"
    )
    parser.add_argument("-o", "--output", help="file to write, .csv or .jsonl (default: CSV on standard output)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output file where it exists")
    parser.add_argument(
        "--escape-formulas",
        action="store_true",
        help="CSV: write ' before texts that begin with =, +, - or @, which spreadsheets run as formulas",
    )
    parser.add_argument("--max-rejects", type=int, default=0, help="continue with up to this many unusable rows")
    parser.add_argument(
        "--not-sure",
        metavar="auto|PROBABILITY",
        help="text classifiers: add the column sure, which says no where the probability of the answer is below this; "
        "auto: the one chosen in training (evaluation.abstain_error)",
    )
    parser.add_argument("--accelerator", choices=["auto", "cpu", "gpu", "mps"], default="auto", help="device")
    parser.add_argument(
        "--engine",
        choices=["torch", "onnx", "onnx-int8"],
        default="torch",
        help="what answers: torch, or onnxruntime with an export of a text model (see `tunebook export`)",
    )
    return parser


def predict_command(arguments: Sequence[str]) -> None:
    """Read, check, label and write; an output file is whole or not there."""
    options = _parser().read(arguments)
    if options.max_rejects < 0:
        raise UserError(
            f"The number of unusable rows must be 0 or more, not {options.max_rejects}.",
            code="config.out-of-range",
            where="--max-rejects",
            fix="--max-rejects 10",
        )
    output = Path(options.output).absolute() if options.output else None
    if output and (output.suffix not in (".csv", ".jsonl") or output.is_dir()):
        raise UserError(
            "The output can be .csv or .jsonl.",
            code="command.wrong-extension",
            where=str(output),
            fix=f"-o {output / 'answers.csv' if output.is_dir() else output.with_suffix('.csv')}",
        )
    if output:
        check_output(output, options.files, options.overwrite)
        _check_rejects_beside(output, options.files, options.overwrite)

    from tunebook.cli.predict_rows import answer  # numpy begins here: `--help` does without it

    answer(options, output, rejects_beside(output) if output else None)


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
