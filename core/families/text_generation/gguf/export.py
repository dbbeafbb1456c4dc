"""A bundle as a GGUF file with a Modelfile beside it, both or neither, once the file answers as the bundle does."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.bundle.manifest import Manifest
from tunebook.children import child_environment, python_command
from tunebook.errors import UserError
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.gguf.convert import (
    UnknownPreTokenizer,
    convert,
    last_line,
    stage,
    without_markers,
)
from tunebook.families.text_generation.gguf.golden import Reference, check_tokens, compare, reference, sizes_of
from tunebook.families.text_generation.gguf.modelfile import NAME, modelfile
from tunebook.families.text_generation.gguf.pre_tokenizers import Unproved, proved_pre_tokenizer
from tunebook.families.text_generation.gguf.sizes import other_sizes
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.files import write_text
from tunebook.untrusted import read_json

_LARGEST_TOKENIZER = 1 << 28


def export_gguf(
    writer: TextGenerator, folder: Path, manifest: Manifest, output: Path, precision: str, script: Path
) -> str:
    """Write a GGUF file and a Modelfile; only if the file's answers are right.

    Args:
        writer: The model of the bundle, opened.
        folder: The bundle.
        manifest: What it says of itself.
        output: The file to write.
        precision: Of `TOLERANCES`.
        script: llama.cpp's converter.

    Returns:
        What was compared and found, in words.

    Raises:
        UserError: The converter fails, or the file answers otherwise than the bundle.
    """
    template = writer.template
    assert isinstance(template, ChatTemplate)
    chosen, sizes = writer.generation, sizes_of(writer.model)
    context = writer.room + chosen.max_new_tokens
    name, unproved = _pre_tokenizer(folder)
    expected = reference(writer)
    if not expected.prompts:
        raise UserError(
            "No golden prompt fits the positions of this model, so a GGUF file could not be checked.",
            code="export.unsupported",
            where=str(folder),
            fix="use the bundle itself",
        )
    del writer  # the other processes open the model too
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as scratch:
        staged, file = Path(scratch) / "bundle", Path(scratch) / output.name
        stage(folder, staged)
        try:
            convert(script, staged, file, precision, manifest.recipe, name, template.end_of_turn_ids[0])
        except UnknownPreTokenizer as error:
            raise _unknown_pre_tokenizer(unproved, folder) from error
        about, ids, logits = answers_elsewhere(file, folder, expected, Path(scratch))
        _check_about(about, template, sizes, output)
        check_tokens(expected, ids, output)
        verdict = compare(expected, logits, precision, output)
        found = f"{precision}, {verdict.words}"
        text, lacks = modelfile(template, chosen, context, manifest.recipe, output.name, found)
        write_text(Path(scratch) / NAME, text)
        os.replace(file, output)
        os.replace(Path(scratch) / NAME, output.with_name(NAME))
    return f"{precision}: {verdict.words}" + (f"\nnote: {lacks}" if lacks else "")


def _pre_tokenizer(folder: Path) -> tuple[str, str]:
    """llama.cpp's name of the bundle's pre-tokenizer, or "" and why there is none."""
    try:
        return proved_pre_tokenizer(read_json(folder / "tokenizer.json", _LARGEST_TOKENIZER)), ""
    except Unproved as reason:
        return "", str(reason)


def _unknown_pre_tokenizer(reason: str, folder: Path) -> UserError:
    return UserError(
        f"llama.cpp has no pre-tokenizer that is known to split texts as this model's tokenizer does: {reason}.",
        code="export.unsupported",
        where=str(folder / "tokenizer.json"),
        fix="use the bundle itself: transformers serve, or vLLM",
    )


def answers_elsewhere(
    file: Path, bundle: Path, expected: Reference, scratch: Path
) -> tuple[dict[str, Any], list[list[int]], list[NDArray[np.float32]]]:
    """What transformers makes of a GGUF file and the golden prompts in a process of its own.

    Args:
        file: The file.
        bundle: What it was made of.
        expected: The golden prompts.
        scratch: Takes what is passed between the two.

    Returns:
        What the file says of its tokenizer (`reopen.read_about`), the token ids of the prompts, and the logits of the
        bundle's answers.

    Raises:
        UserError: The other process failed.
    """
    given, found = scratch / "golden.json", scratch / "found.npz"
    golden = {"texts": expected.texts, "prompts": expected.prompts, "answers": expected.answers}
    given.write_text(json.dumps(golden), encoding="utf-8")
    module = "tunebook.families.text_generation.gguf.reopen"
    code = f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    command = [*python_command(code), *map(str, (file, bundle, given, found))]
    environment = child_environment(HF_HUB_OFFLINE="1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise UserError(
            f"transformers cannot open the GGUF file, so it could not be checked: {last_line(done)}.",
            code="export.failed",
            where=file.name,
            fix="use the bundle itself, or another version of llama.cpp",
        )
    numbers = range(len(expected.texts))
    with np.load(found, allow_pickle=False) as stored:
        about: dict[str, Any] = json.loads(str(stored["about"]))
        return about, [stored[f"ids/{n}"].tolist() for n in numbers], [stored[f"logits/{n}"] for n in numbers]


def _check_about(about: dict[str, Any], template: ChatTemplate, sizes: dict[str, Any], where: Path) -> None:
    """Refuse a file that adds tokens to prompts, goes on behind an answer, or has another template or other sizes."""
    complaints = other_sizes(about["sizes"], sizes)
    if not about["known"]:
        complaints.append(f"its pre-tokenizer {about['pre']!r} is unknown here, so its tokens cannot be compared")
    if about["adds"]:
        complaints.append(f"it adds tokens to each prompt ({', '.join(about['adds'])})")
    if template.end_of_turn_ids[0] not in about["ends"]:
        complaints.append(f"generation would not stop at {template.end_of_turn}")
    if about["chat_template"].rstrip("\n") != without_markers(template.text).rstrip("\n"):
        complaints.append("its chat template is another one")
    if complaints:
        raise UserError(
            f"The GGUF file is not the bundle's: {'; '.join(complaints)}.",
            code="export.other-answers",
            where=str(where),
            fix="use the bundle itself, or another version of llama.cpp",
        )
