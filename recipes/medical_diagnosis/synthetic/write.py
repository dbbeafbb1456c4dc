"""Pictures as files: PNG, tables of what they show, and a split by patient."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from tunebook import UserError

from .draw import picture
from .patients import Patient, Stream, patient
from .picture import FINDINGS, Order, Picture

SPLITS = ("train", "validation", "test")
HELD_OUT = 0.15
"""Share of patients in validation, and in test."""
FEWEST = 10
"""Patients; with fewer a split may be empty."""


def write(
    folder: str | Path,
    kind: str,
    patients: int,
    *,
    size: int = 64,
    difficulty: float = 0.5,
    prevalence: float = 0.4,
    bits: int = 8,
    seed: int = 0,
) -> int:
    """Write a new folder of pictures, whole or not at all.

    ``pictures/*.png``; ``manifest.csv`` and its parts ``train.csv``, ``validation.csv`` and ``test.csv`` with a row a
    picture: path, patient, site, sex, label (finding or no_finding), and 1 or 0 for each finding; ``findings.csv``
    with a row a finding: path, finding, row, column, size and contrast. Paths are relative to the folder. All pictures
    of a patient are in one split; patients with and without findings are split alike.

    Args:
        folder: Is made; may be there if it is empty.
        kind: xray or smear.
        patients: How many, 10 or more.
        size: Height and width in pixels.
        difficulty: 0 (findings are obvious) to 1 (hardly anyone sees them).
        prevalence: Share of patients with a finding.
        bits: 8, or 16 for an X-ray.
        seed: Another seed, other patients.

    Returns:
        The number of pictures.

    Raises:
        UserError: A value that no picture can be drawn with, or a folder that is not empty or cannot be written.
    """
    order = Order(kind, size, difficulty, prevalence, bits, seed)
    if patients < FEWEST:
        raise UserError(
            f"patients cannot be {patients}",
            code="synthetic.out-of-range",
            where="patients",
            fix=f"use {FEWEST} or more",
        )
    people = [patient(order, number) for number in range(patients)]
    with _new_folder(Path(folder)) as new:
        return _fill(new, order, people)


def split_of(order: Order, people: Sequence[Patient]) -> dict[int, str]:
    """The split of each patient, by number: drawn apart from all else, in equal shares of ill and healthy."""
    splits = {}
    for ill in (True, False):
        group = [who.number for who in people if bool(who.findings) == ill]
        group.sort(key=lambda number: order.draw(Stream.split, number).random())
        held = max(1, round(HELD_OUT * len(group))) if len(group) > 2 else 0
        for rank, number in enumerate(group):
            splits[number] = "test" if rank < held else "validation" if rank < 2 * held else "train"
    return splits


def _fill(folder: Path, order: Order, people: Sequence[Patient]) -> int:
    names, splits = FINDINGS[order.kind], split_of(order, people)
    rows: list[tuple[int, list[object]]] = []
    findings: list[list[object]] = []
    (folder / "pictures").mkdir()
    digits = max(4, len(str(len(people) - 1)))
    for who in people:
        for number in range(who.pictures):
            drawn = picture(order, who.number, number)
            path = f"pictures/p{who.number:0{digits}}_{number}.png"
            Image.fromarray(drawn.pixels).save(folder / path)
            rows.append((who.number, [path, *_row(drawn, names)]))
            findings += [
                [path, f.name, f"{f.row:.2f}", f"{f.column:.2f}", f"{f.size:.2f}", f"{f.contrast:.4f}"]
                for f in drawn.findings
            ]
    header = ["path", "patient", "site", "sex", "label", *names]
    _table(folder / "manifest.csv", header, [row for _, row in rows])
    for split in SPLITS:
        _table(folder / f"{split}.csv", header, [row for number, row in rows if splits[number] == split])
    _table(folder / "findings.csv", ["path", "finding", "row", "column", "size", "contrast"], findings)
    return len(rows)


def _row(drawn: Picture, names: Sequence[str]) -> list[object]:
    label = "finding" if drawn.findings else "no_finding"
    return [drawn.patient, drawn.site, drawn.sex, label, *(int(drawn.has(name)) for name in names)]


def _table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes this name when all of it is written, and goes when anything fails."""
    folder = folder.resolve()
    if folder.is_file():
        raise UserError(
            f"There is a file {folder.name}", code="file.exists", where=str(folder), fix="give the name of a new folder"
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(
            f"The folder {folder.name} is not empty",
            code="file.exists",
            where=str(folder),
            fix="give the name of a new folder",
        )
    if folder == Path.cwd():  # to replace it would leave the shell in a folder that is gone
        raise UserError(
            "The folder is the one you are in",
            code="file.exists",
            where=str(folder),
            fix="give the name of a new folder",
        )
    # Beside its place, because a rename between file systems is a copy.
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    except OSError as error:
        raise UserError(
            f"The folder {folder.name} cannot be written: {error.strerror or error}",
            code="file.not-writable",
            where=str(folder.parent),
            fix="free some space or choose a folder you may write to",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
