"""Which program answers for `predict`: torch with the bundle itself, or onnxruntime with an export of it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from tunebook.bundle.manifest import Manifest, read_manifest
from tunebook.errors import UserError
from tunebook.models.onnx_texts import ABOUT, FILES, read_about
from tunebook.recipe import Recipe
from tunebook.untrusted import check_folder

TORCH = "torch"
PRECISIONS = {"onnx": "float32", "onnx-int8": "int8"}
_INSIDE = "onnx"


def find_export(engine: str, folder: Path, manifest: Manifest, recipe: Recipe[Any], accelerator: str) -> Path | None:
    """The export that answers; None where the bundle itself does.

    Args:
        engine: What was typed.
        folder: A bundle, whose export is looked for in its folder ``onnx``, or an export.
        manifest: What it says of itself.
        recipe: Its recipe.
        accelerator: The device, by name.

    Raises:
        UserError: There is none, not with this precision, or it was made of another bundle.
    """
    is_export = (folder / ABOUT).is_file()
    if engine == TORCH:
        if is_export:
            raise UserError(
                "This folder is an ONNX export, which torch cannot open.",
                code="bundle.not-found",
                where=str(folder),
                fix="--engine onnx",
            )
        return None
    recipe.family.inputs.check_export(recipe, folder, manifest)
    if not recipe.family.inputs.exports_folder:
        raise UserError(
            f"A model that {recipe.family.does} is answered by torch alone.",
            code="export.unsupported",
            where="--engine",
            fix="leave --engine out",
        )
    if accelerator not in ("auto", "cpu"):
        raise UserError(
            "An ONNX export answers on the CPU.",
            code="command.conflict",
            where="--accelerator",
            fix=f"leave --accelerator out, or --engine {TORCH}",
        )
    export = folder if is_export else folder / _INSIDE
    again = f"tunebook export {shlex.quote(str(folder))} -o {shlex.quote(str(folder / _INSIDE))}"
    if not (export / ABOUT).is_file():
        raise UserError("This bundle has no ONNX export.", code="export.missing", where=str(export), fix=again)
    check_folder(export)
    precision = PRECISIONS[engine]
    if precision not in read_about(export)["precisions"] or not (export / FILES[precision]).is_file():
        raise UserError(
            f"The export has no file in {precision}.",
            code="export.missing",
            where=str(export),
            fix="export with --precision both, or choose another --engine",
        )
    if not is_export and read_manifest(export) != manifest:
        raise UserError(
            "The ONNX export was made of another bundle.",
            code="bundle.mismatch",
            where=str(export),
            fix=f"export this one: {again} --overwrite",
        )
    return export
