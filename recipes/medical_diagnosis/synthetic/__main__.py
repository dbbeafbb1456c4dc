"""``python -m tunebook.recipes.medical_diagnosis.synthetic <folder>``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tunebook import UserError

from .picture import LARGEST, SMALLEST
from .write import FEWEST, write


def main(words: Sequence[str] | None = None) -> int:
    """Write a folder of pictures as the words of the command line say; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tunebook.recipes.medical_diagnosis.synthetic",
        description="Draw synthetic chest X-rays or blood smears with known findings, split by patient.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("folder", help="where to write: a new folder")
    add("--kind", default="xray", metavar="xray|smear", help="what to draw")
    add("--patients", type=int, default=200, metavar="N", help=f"how many, {FEWEST} or more; each has 1 to 4 pictures")
    add("--size", type=int, default=64, metavar="PX", help=f"height and width, {SMALLEST} to {LARGEST} pixels")
    add("--difficulty", type=float, default=0.5, metavar="0..1", help="0: findings are obvious; 1: hardly visible")
    add("--prevalence", type=float, default=0.4, metavar="0..1", help="share of patients with a finding")
    add("--bits", type=int, default=8, metavar="8|16", help="16: an X-ray with a 12-bit detector's depth")
    add("--seed", type=int, default=0, metavar="N", help="another seed, other patients")
    options = vars(parser.parse_args(words))
    folder = options.pop("folder")
    try:
        count = write(folder, options.pop("kind"), options.pop("patients"), **options)
    except UserError as error:
        print(f"{error.kind}{error.message()}", file=sys.stderr)
        return error.exit_code
    print(f"{count} pictures in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
