"""A folder with a text model as ONNX: what is in it, and sessions that answer token ids. No torch is imported."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.errors import UserError
from tunebook.untrusted import read_object

ABOUT = "onnx.json"
FILES = {"float32": "model.onnx", "int8": "model_int8.onnx"}
LOGITS = "logits"
FORMAT = 1
_FIX = "export the bundle again"


def read_about(folder: Path) -> dict[str, Any]:
    """What an export says of itself: its inputs, and for each precision what was found when it was checked.

    Raises:
        UserError: It cannot be read.
    """
    file = folder / ABOUT
    try:
        about = read_object(file)
        if isinstance(about["format"], int) and about["format"] > FORMAT:
            raise UserError(
                f"This export has format {about['format']}; this Tunebook reads up to {FORMAT}.",
                code="bundle.newer-format",
                where=str(file),
                fix="pip install -U tunebook",
            )
        if not all(isinstance(each, str) for each in about["inputs"]):
            raise ValueError("its inputs are no names")
        for precision, of in about["precisions"].items():
            if precision not in FILES:
                raise ValueError(f"'{precision}' is no precision of it")
            if not np.isfinite(np.array(of["golden"], dtype=np.float64)).all():
                raise ValueError("a golden answer is no number")
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        said = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"The export's {ABOUT} is damaged: {said}.", code="bundle.damaged", where=str(file), fix=_FIX
        ) from error
    return about


# onnxruntime sends usage data to its makers, and leaves a file in the temporary directory, unless it is told.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def open_session(file: Path, threads: int) -> Any:
    """An onnxruntime session on the CPU.

    Raises:
        UserError: onnxruntime is not installed, or the file is none that it reads.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            "Answers from an ONNX file need a package that is not installed: onnxruntime.",
            code="package.missing",
            fix="pip install 'tunebook[onnx]'",
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has errors of its own for each way that a file can be wrong
        raise UserError(
            f"{file.name} cannot be opened: {' '.join(str(error).split())[:200]}",
            code="bundle.damaged",
            where=str(file),
            fix=_FIX,
        ) from error


def run_session(session: Any, inputs: Mapping[str, NDArray[np.int64]], output: str) -> NDArray[np.float32]:
    """One output, ``[texts, outputs]``, for token ids and the like, ``[texts, tokens]``."""
    (found,) = session.run([output], dict(inputs))
    made: NDArray[np.float32] = found
    return made


def answer_batches(arguments: Sequence[str]) -> None:
    """What another process does to check an export: answer batches of token ids, and tokenise texts.

    Args:
        arguments: An ONNX file, the name of its output, a ``tokenizer.json``, an ``.npz`` with the arrays
            ``<batch>/<input>``, a JSON file with texts and pairs of texts, and an ``.npz`` to write:
            ``answers/<batch>`` and ``ids/<text>``.
    """
    file, output, tokenizer_file, batches_file, texts_file, answers_file = arguments
    from tokenizers import Tokenizer

    batches: dict[str, dict[str, NDArray[np.int64]]] = {}
    with np.load(batches_file, allow_pickle=False) as stored:
        for key in stored.files:
            batch, _, name = key.partition("/")
            batches.setdefault(batch, {})[name] = stored[key]
    session = open_session(Path(file), threads=1)
    found = {f"answers/{name}": run_session(session, inputs, output) for name, inputs in batches.items()}
    tokenizer = Tokenizer.from_file(tokenizer_file)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for number, texts in enumerate(json.loads(Path(texts_file).read_text(encoding="utf-8"))):
        found[f"ids/{number}"] = np.array(tokenizer.encode(*texts).ids, dtype=np.int64)
    np.savez(answers_file, **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    answer_batches(sys.argv[1:])
