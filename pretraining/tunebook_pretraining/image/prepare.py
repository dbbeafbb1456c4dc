"""List the pictures that the image starter learns from: python -m tunebook_pretraining.image.prepare FOLDER.

A row names a picture by its formula, "fractal 12 87"; the label is the formula's class.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from .formulas import CLASSES, FAMILIES

PICTURES = {"train": range(0, 200), "validation": range(200, 210), "test": range(210, 220)}


def main() -> None:
    """Write train.csv, validation.csv and test.csv."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write the rows")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for split, numbers in PICTURES.items():
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["picture", "label"])
            for family in FAMILIES:
                for kind in range(CLASSES):
                    writer.writerows([f"{family} {kind} {n}", f"{family} {kind:02d}"] for n in numbers)
    print(
        f"{folder}: {len(FAMILIES) * CLASSES} classes, {', '.join(f'{len(n)} {s}' for s, n in PICTURES.items())} each"
    )


if __name__ == "__main__":
    main()
