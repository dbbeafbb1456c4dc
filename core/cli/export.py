"""`tunebook export`: a bundle's model as an ONNX file, for programs without Python."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tunebook.errors import UserError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tunebook export",
        description="Write a bundle's model as an ONNX file: pixels from 0 to 1 in, calibrated probabilities out.",
    )
    parser.add_argument("model", help="run folder or bundle folder of an image recipe")
    parser.add_argument("-o", "--output", required=True, help="file to write, ending in .onnx")
    parser.add_argument("--overwrite", action="store_true", help="replace the output file where it exists")
    return parser


def export_command(arguments: Sequence[str]) -> None:
    """Open the bundle, which checks it, and write the file whole."""
    options = _parser().parse_args(list(arguments))
    output = Path(options.output).absolute()
    if output.suffix != ".onnx":
        raise UserError("The output must end in .onnx.", where=str(output), fix=f"-o {output.with_suffix('.onnx')}")

    from tunebook.cli.predict import check_output

    check_output(output, [], options.overwrite)

    from tunebook.bundle.manifest import find_bundle, read_manifest
    from tunebook.bundle.read import open_bundle

    folder = find_bundle(options.model)
    manifest = read_manifest(folder)
    if manifest.image is None:
        task = "text-generation" if manifest.generation is not None else "text-classification"
        raise UserError(
            "Only image models are exported by Tunebook.",
            where=str(folder),
            fix="text models are plain transformers folders: optimum-cli export onnx --model "
            f"{folder} --task {task} out",
        )
    _, _, classifier = open_bundle(folder)

    from tunebook.families.image_classification.model.onnx import export_onnx

    activation = "sigmoid" if classifier.findings.several else "softmax"
    pre = classifier.preparation.preprocessing
    export_onnx(classifier.model, activation, classifier.temperature, pre, output, classifier.labels)
    print(f"{output}: {pre.channels} x {pre.size} x {pre.size} in, {len(classifier.labels)} probabilities out")
