"""`tunebook export`: a bundle's model as ONNX or GGUF, for programs without Python."""

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

MODELFILE = "Modelfile"
"""Written beside a GGUF file, for Ollama."""


def _parser() -> Arguments:
    parser = Arguments(
        "export",
        "tunebook export <run or bundle> -o model.onnx",
        description="Write a bundle's model as ONNX or GGUF. Of images an ONNX file: pixels from 0 to 1 in, calibrated "
        "probabilities out. Of texts a folder with ONNX files: token ids in, answers out, with tokenizer, labels and "
        "golden rows. Of a model that writes a GGUF file for llama.cpp and Ollama, with a Modelfile beside it. What is "
        "of texts is only written once it is found to answer as the bundle does.",
    )
    parser.add_argument("model", help="run folder or bundle folder")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        help="images: file to write, ending in .onnx; texts: folder to write, <bundle>/onnx for `predict` to find it; "
        "models that write: file to write, ending in .gguf",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output where it exists")
    parser.add_argument(
        "--precision",
        help="texts: float32 weights, weights in 8 bits (int8), or both (default); models that write: f32, f16 "
        "(default), bf16 or q8_0",
    )
    parser.add_argument(
        "--converter",
        help="models that write: llama.cpp's convert_hf_to_gguf.py, or its folder (default: on the PATH, or installed)",
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
    _check_options(options, inputs.export_precisions, inputs.exports_gguf)
    if inputs.exports_gguf:
        _check_file(output, ".gguf", options)
        check_output(output.with_name(MODELFILE), [], options.overwrite)
        precision = options.precision or "f16"
        said = recipe.family.stages.export_gguf(recipe, folder, manifest, output, precision, options.converter)
    elif inputs.exports_folder:
        _check_folder(output, options)
        precisions = ["float32", "int8"] if options.precision in (None, "both") else [options.precision]
        with _replaced(output) as target:
            said = recipe.family.stages.export_folder(recipe, folder, manifest, target, precisions)
    else:
        _check_file(output, ".onnx", options)
        said = recipe.family.stages.export(recipe, folder, manifest, output)
    print(f"{output}: {said}")


def _check_options(options: argparse.Namespace, precisions: Sequence[str], gguf: bool) -> None:
    """Refuse options that models of this kind have no use for."""
    if options.precision is not None and not precisions:
        raise UserError(
            "The precision is chosen for models of texts alone; this one is written in float32.",
            code="command.conflict",
            where="--precision",
            fix="leave --precision out",
        )
    if options.precision is not None and options.precision not in precisions:
        raise UserError(
            f"This model is not written in the precision '{options.precision}'.",
            code="command.unknown-choice",
            where="--precision",
            fix=f"choose one of {', '.join(precisions)}",
        )
    if options.converter is not None and not gguf:
        raise UserError(
            "The converter is for models that write; this one is written as ONNX.",
            code="command.conflict",
            where="--converter",
            fix="leave --converter out",
        )


def _check_file(output: Path, suffix: str, options: argparse.Namespace) -> None:
    if output.suffix != suffix:
        raise UserError(
            f"The output must end in {suffix}.",
            code="command.wrong-extension",
            where=str(output),
            fix=f"-o {output.with_suffix(suffix)}",
        )
    check_output(output, [], options.overwrite)


def _check_folder(output: Path, options: argparse.Namespace) -> None:
    if output.suffix in (".onnx", ".gguf"):
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
