"""llama.cpp's converter: where it is, and a bundle converted by it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tunebook.bundle.manifest import FILE
from tunebook.children import child_environment, python_command
from tunebook.errors import UserError
from tunebook.families.text_generation.gguf.driver import UNKNOWN

SCRIPT = "convert_hf_to_gguf.py"
_NOT_STAGED = {FILE, "README.md"}
_MARKER = re.compile(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}")


class UnknownPreTokenizer(Exception):
    """Neither the converter nor a proof says which pre-tokenizer of llama.cpp splits texts as a bundle's tokenizer."""


def find_converter(given: str | None) -> Path:
    """The converter's script: the one given, or else on the PATH, or among the installed packages.

    Raises:
        UserError: There is none.
    """
    if given is not None:
        script = Path(given).expanduser()
        script = script / SCRIPT if script.is_dir() else script
        if script.is_file():
            return script.absolute()
        raise UserError(
            "There is no converter at this path.",
            code="export.no-converter",
            where=f"--converter {given}",
            fix=f"give the path of {SCRIPT} in a checkout of llama.cpp",
        )
    if found := shutil.which(SCRIPT) or _beside_python():
        return Path(found).absolute()
    spec = find_spec(Path(SCRIPT).stem)
    if spec is not None and spec.origin is not None:
        return Path(spec.origin)
    raise UserError(
        f"llama.cpp's converter ({SCRIPT}) was not found.",
        code="export.no-converter",
        where="--converter",
        fix="git clone --depth 1 https://github.com/ggml-org/llama.cpp, then add: --converter llama.cpp",
    )


def _beside_python() -> str | None:
    """The script where this environment keeps its commands, also where it is not activated."""
    beside = Path(sys.executable).with_name(SCRIPT)
    return str(beside) if beside.is_file() else None


def check_gguf_installed() -> None:
    """Refuse to begin without the package that transformers reads GGUF files with.

    Raises:
        UserError: It is not installed.
    """
    from transformers.utils.import_utils import is_gguf_available

    if find_spec("gguf") is None or not is_gguf_available():
        raise UserError(
            "Checking a GGUF file needs a package that is not installed: gguf.",
            code="package.missing",
            fix="pip install 'tunebook[gguf]'",
        )


def without_markers(template: str) -> str:
    """A chat template without ``{% generation %}``, which writes nothing and which other readers need not know."""

    def plain(found: re.Match[str]) -> str:
        left, end, right = found.groups()
        return f"{{%{left} {'endif' if end else 'if true'} {right}%}}"

    return _MARKER.sub(plain, template)


def _with_context_length(config: str) -> str:
    """The config of a GPT-2 with the name that the converter reads its positions by, which transformers dropped."""
    settings = json.loads(config)
    if "n_positions" in settings:
        settings.setdefault("n_ctx", settings["n_positions"])
    return json.dumps(settings, indent=2)


_CHANGES = {"chat_template.jinja": without_markers, "config.json": _with_context_length}


def stage(folder: Path, staged: Path) -> None:
    """Lay out what the converter is to read of a bundle: links to its files, and the template without markers.

    The card is left out, as the converter would guess metadata from it; so are the adapters, which the weights contain.
    """
    staged.mkdir()
    for file in folder.iterdir():
        if file.is_dir() or file.name in _NOT_STAGED or file.suffix == ".npy":
            continue
        if change := _CHANGES.get(file.name):
            (staged / file.name).write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
            continue
        try:
            os.symlink(file.resolve(), staged / file.name)
        except OSError:  # Windows asks for a privilege
            shutil.copyfile(file, staged / file.name)


def convert(
    script: Path, staged: Path, file: Path, precision: str, name: str, pre_tokenizer: str, end_of_turn: int
) -> None:
    """Run the converter.

    Args:
        script: Its file.
        staged: The model, as `stage` lays it out.
        file: The GGUF file to write.
        precision: Its ``--outtype``.
        name: What the model is to be called.
        pre_tokenizer: llama.cpp's name of the pre-tokenizer, where it was proved; "" where not.
        end_of_turn: The token that ends an answer.

    Raises:
        UnknownPreTokenizer: It needs the pre-tokenizer's name and does not find it.
        UserError: It failed.
    """
    module = "tunebook.families.text_generation.gguf.driver"
    code = f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    options = ["--outfile", str(file), "--outtype", precision, "--model-name", name, str(staged)]
    command = [*python_command(code), str(script), pre_tokenizer, str(end_of_turn), *options]
    environment = child_environment(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    if done.returncode == UNKNOWN:
        raise UnknownPreTokenizer
    if done.returncode or not file.is_file():
        raise UserError(
            f"llama.cpp's converter failed: {last_line(done)}.",
            code="export.failed",
            where=str(script),
            fix="use the bundle itself, or another version of llama.cpp",
        )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a process said last, which is its error."""
    lines = done.stderr.strip().splitlines()
    return lines[-1].strip().rstrip(".")[:300] if lines else f"it ended with {done.returncode}"
