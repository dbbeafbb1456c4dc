"""How a brief becomes a prompt: a Jinja template that can be swapped, and can do nothing but write text."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tunebook.errors import UserError
from tunebook.families.brief_to_text.data.brief import CONSTRAINTS, Brief, Value
from tunebook.files import why_unreadable
from tunebook.limits import OverLimit, limited

KEY = "recipe.template"
SHIPPED = Path(__file__).with_name("prompt.jinja")
LONGEST = 100_000
"""Longest prompt in characters: a longer one comes from an unintended loop."""
SOME_FIELDS = ("name", "features")
"""Fields of the briefs that a template is tried on."""


@dataclass(frozen=True)
class PromptTemplate:
    """Makes prompts of briefs.

    A template reads ``fields`` (name to value, in order), each field by its name, and ``channel``, ``must_mention``,
    ``must_avoid``, ``max_characters`` and ``max_words``, which are none or empty where the brief asks for nothing, and
    stand before fields of these names. A value that is a list is a list in loops and tests, and is written "a; b".
    A line with nothing but a block leaves none behind. The last line end stays: there the copy begins.

    Attributes:
        name: Where the template comes from, for messages.
        text: Its Jinja text; a tuned model is of use only with it.
    """

    name: str
    text: str
    _compiled: jinja2.Template = field(repr=False, compare=False)

    @classmethod
    def of(cls, file: Path | None = None, fields: Iterable[str] | None = None) -> PromptTemplate:
        """Take the template of a file, or else the one that ships, and try it on two briefs.

        Args:
            file: A Jinja file in UTF-8.
            fields: The fields that briefs may have; None: not known, so that any the template asks for is there.

        Raises:
            UserError: There is no such file or it is no template, it asks for what there is not or does what it may
                not, or the prompts of the two briefs are the same or hold none of their fields.
        """
        return cls.from_text(*_read(file), fields)

    @classmethod
    def from_text(cls, name: str, text: str, fields: Iterable[str] | None = None) -> PromptTemplate:
        """As `of`, of a template that was read already; ``name`` is what messages call it."""
        environment = _environment()
        try:
            with limited():  # constants are computed here
                known = list(fields) if fields is not None else _names(environment.parse(text), environment)
                template = cls(name, text, environment.from_string(text))
        except OverLimit as error:
            raise _runaway(name, error, KEY) from None
        except jinja2.TemplateSyntaxError as error:
            raise UserError(
                f"{name} is not a valid template: {error.message}",
                code="template.bad-syntax",
                where=f"{KEY}, line {error.lineno}",
                fix="fix that line",
            ) from None
        except RecursionError:
            raise UserError(
                f"{name} is nested too deeply", code="template.bad-syntax", where=KEY, fix="write it flat"
            ) from None
        template._try(known)
        return template

    def render(self, brief: Brief) -> str:
        """Write the prompt of a brief.

        Raises:
            UserError: The template asks for what this brief has not, or fails on it.
        """
        variables = _variables(brief)
        prompt, length = [], 0
        try:
            with limited():
                for part in self._compiled.generate(variables):
                    prompt.append(part)
                    length += len(part)
                    if length > LONGEST:
                        raise OverflowError(f"a prompt of more than {LONGEST:,} characters")
        except Exception as error:  # whatever goes wrong in a template is the template's
            raise _failure(self.name, error, variables) from None
        return "".join(prompt)

    def _try(self, fields: list[str]) -> None:
        """Render two briefs that have nothing in common, of texts and then of lists: one of these must do."""
        errors = []
        for several in (False, True):
            probes = [_probe(word, fields, several) for word in ("alder", "birch")]
            try:
                one, other = map(self.render, probes)
            except UserError as error:
                errors.append(error)
                continue
            if one == other:
                errors.append(self._ignores_brief("makes the same prompt from two different briefs"))
            elif "alder" not in one.casefold() or "birch" not in other.casefold():
                errors.append(self._ignores_brief("makes prompts without any of a brief's fields"))
            else:
                return
        raise errors[0]

    def _ignores_brief(self, what: str) -> UserError:
        loop = "{% for name, value in fields.items() %}{{ name }}: {{ value }}{% endfor %}"
        return UserError(
            f"{self.name} {what}",
            code="template.ignores-brief",
            where=KEY,
            fix=f"write fields, such as all of them: {loop}",
        )


def _read(file: Path | None) -> tuple[str, str]:
    """What messages call the template, and its text."""
    path = file or SHIPPED
    try:
        return str(file) if file else "the shipped template", path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the prompt's template {path} cannot be read: {why_unreadable(error)}",
            code="template.unreadable",
            where=KEY,
            fix=f"{KEY}=<a Jinja file>, or none",
        ) from None


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        finalize=_written,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # A brief has one prompt: nothing random.
    del environment.globals["lipsum"], environment.filters["random"]
    # One power may take hours, and no limit ends a single step.
    environment.intercepted_binops = frozenset({"**"})
    environment.binop_table = {**environment.binop_table, "**": _no_powers}
    return environment


def _no_powers(left: Any, right: Any) -> Any:
    raise jinja2.exceptions.SecurityError("it raises numbers to powers, which may take hours")


def _runaway(name: str, error: OverLimit, where: str) -> UserError:
    return UserError(f"{name} {error}", code="template.runaway", where=where, fix="fix its loops")


def _written(value: Any) -> Any:
    """What stands in the prompt for a value."""
    if value is None:
        raise jinja2.UndefinedError("the expression there is undefined")
    return "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _variables(brief: Brief) -> dict[str, Any]:
    fields = {name: value if isinstance(value, str) else list(value) for name, value in brief.fields}
    constraints = {name: getattr(brief, name) for name in CONSTRAINTS}
    constraints = {name: list(value) if isinstance(value, tuple) else value for name, value in constraints.items()}
    return {**fields, "fields": fields, **constraints}


def _names(tree: jinja2.nodes.Template, environment: jinja2.Environment) -> list[str]:
    """Names of fields that a template may want: its free variables, and texts such as in ``fields["price"]``."""
    texts = {node.value for node in tree.find_all(jinja2.nodes.Const) if isinstance(node.value, str)}
    members = {
        node.attr
        for node in tree.find_all(jinja2.nodes.Getattr)
        if isinstance(node.node, jinja2.nodes.Name) and node.node.name == "fields" and not hasattr(dict, node.attr)
    }
    # Last, as it folds constants on its way.
    free = jinja2.meta.find_undeclared_variables(tree) - set(environment.globals) - set(_variables(Brief(())))
    return [*SOME_FIELDS, *sorted((free | members | texts) - {"", *SOME_FIELDS})]


def _probe(word: str, fields: list[str], several: bool) -> Brief:
    values: list[Value] = [(f"{word}{i}a", f"{word}{i}b") if several else f"{word}{i}" for i in range(len(fields))]
    return Brief(tuple(zip(fields, values, strict=True)))


def _failure(name: str, error: Exception, variables: dict[str, Any]) -> UserError:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    where = f"{KEY}, line {lines[-1]}" if lines else KEY
    if isinstance(error, OverLimit):
        return _runaway(name, error, where)
    if isinstance(error, jinja2.exceptions.SecurityError):
        return UserError(
            f"{name} does what templates may not do: {error}",
            code="template.not-allowed",
            where=where,
            fix="write values, no more",
        )
    if not isinstance(error, jinja2.UndefinedError):
        return UserError(
            f"{name} fails: {str(error)[:300] or type(error).__name__}",
            code="template.failed",
            where=where,
            fix="fix that line",
        )
    fields = list(variables["fields"])
    others = [other for other in variables if other not in fields]
    missing = str(error).split("'")[-2] if "'" in str(error) else ""
    near = difflib.get_close_matches(missing, [*fields, *others], n=1)
    return UserError(
        f"{name} uses a field that the brief lacks: {error}",
        code="template.unknown-field",
        where=where,
        fix=(f"did you mean {near[0]!r}? " if near else "")
        + f"this brief has {', '.join(fields)}, and every one {', '.join(others)}; around what only some briefs have: "
        "{% if price is defined %}, {% if channel %}",
    )
