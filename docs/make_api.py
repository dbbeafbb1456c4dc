"""Write docs/api.md: the public names of `tunebook` and `tunebook.testing`, from their docstrings.

The code is read and not imported, so it takes a moment: `make api`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "api.md"
SECTIONS = ("Args", "Attributes", "Raises", "Returns", "Yields")
Documented = ast.ClassDef | ast.FunctionDef

HEAD = """\
# Python interface

What a recipe imports, from `tunebook`, and what its tests import, from `tunebook.testing`. Names that are not here may
change at any time. [Your own training loop](python.md) puts `FineTuner` and `FineTuneData` to use. This page is made
from the docstrings by `make api`.
"""


def public_names() -> dict[str, dict[str, Path]]:
    """Import name -> public name -> the file that defines it."""
    top = ast.parse((ROOT / "core/__init__.py").read_text(encoding="utf-8"))
    listed = next(n.value for n in top.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "_PUBLIC")
    kit = ast.parse((ROOT / "core/testing/__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in kit.body if isinstance(node, ast.ImportFrom)]
    found = {
        "tunebook": ast.literal_eval(listed),
        "tunebook.testing": {alias.name: node.module for node in imports for alias in node.names},
    }
    return {
        package: {name: ROOT / "core" / f"{'/'.join(module.split('.')[1:])}.py" for name, module in names.items()}
        for package, names in found.items()
    }


def definition(name: str, file: Path) -> tuple[ast.stmt, str]:
    """The statement that defines a name, and the string beneath it where it is a value."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    for i, node in enumerate(body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if getattr(node, "name", None) == name:
            return node, ast.get_docstring(node) or ""  # type: ignore[arg-type]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            below = body[i + 1]
            text = below.value if isinstance(below, ast.Expr) else None
            return node, str(text.value) if isinstance(text, ast.Constant) else ""
    raise LookupError(f"{file} does not define {name}")


def paragraphs(docstring: str) -> Iterator[str]:
    """A docstring in Markdown: its sections become lists."""
    for block in re.split(r"\n\n", docstring):
        title, _, rest = block.partition("\n")
        if title.rstrip(":") in SECTIONS and title.endswith(":"):
            entries = re.split(r"\n(?=    \S)", "\n" + rest) if rest else []
            listed = [
                "- " + re.sub(r"\s+", " ", entry).strip().replace("``", "`") for entry in entries if entry.strip()
            ]
            named = [re.sub(r"^- (\*{0,2}[\w.]+):", r"- `\1`:", line) for line in listed]
            yield f"{title.rstrip(':')}:\n\n" + "\n".join(named)
        elif "::\n" in block or block.startswith("```") or "\n    " in block:
            yield block
        else:
            yield re.sub(r"\s+", " ", block).replace("``", "`").strip()


def signature(node: ast.FunctionDef) -> str:
    """How a function is called."""
    arguments = re.sub(r"^self(, )?", "", ast.unparse(node.args))
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({arguments}){returns}"


def members(node: ast.ClassDef) -> Iterator[str]:
    """A line for each option, property and method of a class that its docstring is a sentence of."""
    for i, inner in enumerate(node.body):
        if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name) and i + 1 < len(node.body):
            below = node.body[i + 1]
            text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
            if text and not inner.target.id.startswith("_"):
                value = f" = {ast.unparse(inner.value)}" if inner.value else ""
                told = re.sub(r"\s+", " ", str(text))
                yield f"- `{inner.target.id}: {ast.unparse(inner.annotation)}{value}`: {told}"
        elif isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
            first = re.sub(r"\s+", " ", (ast.get_docstring(inner) or "").split("\n\n")[0])
            is_property = any(ast.unparse(each) == "property" for each in inner.decorator_list)
            called = (
                f"{inner.name}: {ast.unparse(inner.returns)}" if is_property and inner.returns else signature(inner)
            )
            yield f"- `{called}`: {first}"


def described(name: str, node: ast.stmt, docstring: str) -> Iterator[str]:
    """The paragraphs of one name."""
    yield f"### `{name}`"
    if isinstance(node, ast.ClassDef):
        bases = [ast.unparse(base) for base in node.bases]
        yield f"class, of {', '.join(f'`{base}`' for base in bases)}" if bases else "class"
    elif isinstance(node, ast.FunctionDef):
        yield f"```py\n{signature(node)}\n```"
    yield from paragraphs(docstring)
    lines = list(members(node)) if isinstance(node, ast.ClassDef) else []
    if lines:
        yield "In it:\n\n" + "\n".join(lines).replace("``", "`")


def page() -> str:
    """The whole page."""
    parts = [HEAD.rstrip("\n")]
    for package, names in public_names().items():
        parts.append(f"## `{package}`")
        for name, file in sorted(names.items()):
            parts += described(name, *definition(name, file))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
