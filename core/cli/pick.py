"""`tunebook pick`: which unlabelled rows to label next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunebook.cli.arguments import Arguments
from tunebook.cli.predict import check_output
from tunebook.errors import UserError

USUAL = 100
"""Rows that are picked where nobody says how many."""


def _parser() -> Arguments:
    parser = Arguments(
        "pick",
        "tunebook pick <run or bundle> pool.csv",
        intermixed=True,
        description="Pick the rows of files that are worth labelling next: those that the model is unsure of and that "
        "are unlike each other (BADGE). Rows with a label, rows that the model was trained or chosen on, and repeats "
        "are passed over. Writes file, line, text or image, prediction and its probability, in the order picked.",
    )
    parser.add_argument("model", help="run folder or bundle folder of a classifier of texts or images")
    parser.add_argument("files", nargs="+", help="files, globs, folders of images; exports of Label Studio too")
    parser.add_argument("--n", type=int, default=USUAL, metavar="N", help=f"rows to pick (default: {USUAL})")
    parser.add_argument(
        "--text",
        "--image",
        dest="column",
        help="column that holds the text or the image's path (default: as in training)",
    )
    parser.add_argument(
        "--delimiter", help="character that separates the columns of .csv files, or \\t (default: a comma)"
    )
    parser.add_argument("-o", "--output", help="file to write, .csv (default: CSV on standard output)")
    parser.add_argument(
        "--label-studio", metavar="TASKS.json", help="also write the rows as tasks of Label Studio, with predictions"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output files where they exist")
    parser.add_argument("--max-rejects", type=int, default=0, help="continue with up to this many unusable rows")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the draws (default: 0)")
    parser.add_argument("--accelerator", choices=["auto", "cpu", "gpu", "mps"], default="auto", help="device")
    return parser


def pick_command(arguments: Sequence[str]) -> None:
    """Check what was asked for, read the rows, and pick."""
    options = _parser().read(arguments)
    for value, least, name in (
        (options.n, 1, "--n"),
        (options.max_rejects, 0, "--max-rejects"),
        (options.seed, 0, "--seed"),
    ):
        if value < least:
            raise UserError(
                f"{name} must be {least} or more, not {value}.",
                code="command.out-of-range",
                where=name,
                fix=f"{name} {max(least, 10)}",
            )
    outputs = [(options.output, ".csv", "-o"), (options.label_studio, ".json", "--label-studio")]
    for given, ending, name in outputs:
        if given is None:
            continue
        output = Path(given).absolute()
        if output.suffix != ending or output.is_dir():
            raise UserError(
                f"The output of {name} must end in {ending}.",
                code="command.wrong-extension",
                where=str(output),
                fix=f"{name} {output / f'picks{ending}' if output.is_dir() else output.with_suffix(ending)}",
            )
        check_output(output, options.files, options.overwrite)
    from tunebook.cli.pick_rows import pick  # numpy begins here: `--help` does without it

    pick(options)
