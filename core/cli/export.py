"""`tunebook export`: a bundle's model as ONNX, for programs without Python."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tunebook.bundle.manifest import find_bundle, read_manifest
from tunebook.cli.arguments import Arguments
from tunebook.cli.predict import check_output
from tunebook.errors import UserError


def _parser() -> Arguments:
    parser = Arguments(
        "export",
        "tunebook export <run or bundle> -o model.onnx",
        description="Write a bundle's model as ONNX. Of images a file: pixels from 0 to 1 in, calibrated "
        "probabilities out. Of texts a folder: token ids in, answers out, with tokenizer, labels and golden rows, "
        "once they are found to answer as the bundle does.",
    )
    parser.add_argument("model", help="run folder or bundle folder of a recipe for images, or texts with one answer")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        help="images: file to write, ending in .onnx; texts: folder to write, <bundle>/onnx for `predict` to find it",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output where it exists")
    parser.add_argument(
        "--precision",
        choices=["float32", "int8", "both"],
        help="texts: float32 weights, weights in 8 bits, or both (default)",
    )
    return parser


def export_command(arguments: Sequence[str]) -> None:
    """Open the bundle, which checks it, and write the file or folder whole."""
    options = _parser().read(arguments)
    output = Path(options.output).absolute()
    from tunebook.bundle.read import recipe_of  # numpy begins here: `--help` does without it

    folder = find_bundle(options.model)
    manifest = read_manifest(folder)
    recipe = recipe_of(manifest)
    inputs = recipe.family.inputs
    inputs.check_export(recipe, folder, manifest)
    if inputs.exports_folder:
        _check_folder(output, options)
        precisions = ["float32", "int8"] if options.precision in (None, "both") else [options.precision]
        with _replaced(output) as target:
            said = recipe.family.stages.export_folder(recipe, folder, manifest, target, precisions)
    else:
        _check_file(output, options)
        said = recipe.family.stages.export(recipe, folder, manifest, output)
    print(f"{output}: {said}")


def _check_file(output: Path, options: argparse.Namespace) -> None:
    if output.suffix != ".onnx":
        raise UserError(
            "The output must end in .onnx.",
            code="command.wrong-extension",
            where=str(output),
            fix=f"-o {output.with_suffix('.onnx')}",
        )
    if options.precision is not None:
        raise UserError(
            "The precision is chosen for models of texts alone; this one is written in float32.",
            code="command.conflict",
            where="--precision",
            fix="leave --precision out",
        )
    check_output(output, [], options.overwrite)


def _check_folder(output: Path, options: argparse.Namespace) -> None:
    if output.suffix == ".onnx":
        raise UserError(
            "The model of texts is exported as a folder.",
            code="command.wrong-extension",
            where=str(output),
            fix=f"-o {output.with_suffix('')}",
        )
    if options.overwrite and output.exists() and not (output / "onnx.json").is_file():
        raise UserError(
            "The output is not an export, and is not replaced.",
            code="file.exists",
            where=str(output),
            fix="give -o another name",
        )
    check_output(output, [], options.overwrite)


@contextmanager
def _replaced(output: Path) -> Iterator[Path]:
    """A folder to write that takes the place of the output once it is there; what was there stays until then."""
    if not output.exists():
        yield output
        return
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as beside:
        yield Path(beside) / "new"
        os.replace(output, Path(beside) / "old")
        os.replace(Path(beside) / "new", output)
