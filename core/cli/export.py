"""`tunebook export`: a bundle's model as an ONNX file, for programs without Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunebook.bundle.manifest import find_bundle, read_manifest
from tunebook.cli.arguments import Arguments
from tunebook.cli.predict import check_output
from tunebook.errors import UserError


def _parser() -> Arguments:
    parser = Arguments(
        "export",
        "tunebook export <run or bundle> -o model.onnx",
        description="Write a bundle's model as an ONNX file: pixels from 0 to 1 in, calibrated probabilities out.",
    )
    parser.add_argument("model", help="run folder or bundle folder of an image recipe")
    parser.add_argument("-o", "--output", required=True, help="file to write, ending in .onnx")
    parser.add_argument("--overwrite", action="store_true", help="replace the output file where it exists")
    return parser


def export_command(arguments: Sequence[str]) -> None:
    """Open the bundle, which checks it, and write the file whole."""
    options = _parser().read(arguments)
    output = Path(options.output).absolute()
    if output.suffix != ".onnx":
        raise UserError(
            "The output must end in .onnx.",
            code="command.wrong-extension",
            where=str(output),
            fix=f"-o {output.with_suffix('.onnx')}",
        )
    check_output(output, [], options.overwrite)
    from tunebook.bundle.read import recipe_of  # numpy begins here: `--help` does without it

    folder = find_bundle(options.model)
    manifest = read_manifest(folder)
    recipe = recipe_of(manifest)
    recipe.family.inputs.check_export(recipe, folder, manifest)
    print(f"{output}: {recipe.family.stages.export(recipe, folder, manifest, output)}")
