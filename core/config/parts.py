"""Parts of a run that an installed distribution offers by name: callbacks, optimizers, schedules, augmentations.

Names are looked up without importing anything; a part is imported once a config names it, and never otherwise.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint
from typing import Any

from tunebook.config.entries import distribution_of, entries
from tunebook.errors import UserError


def part_group(kind: str) -> str:
    """The entry-point group of a kind of part: ``tunebook.optimizers`` of "optimizer"."""
    return f"tunebook.{kind}s"


def offered_parts(kind: str) -> dict[str, list[EntryPoint]]:
    """What distributions offer of a kind, by name; distinct ones only."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entries(part_group(kind)), key=lambda entry: entry.name):
        others = found.setdefault(entry.name, [])
        # The same distribution can be listed twice where a checkout shadows its own installed metadata.
        if entry.value not in [other.value for other in others]:
            others.append(entry)
    return found


def check_part_name(kind: str, name: str, built_in: Collection[str], where: str) -> None:
    """Refuse a name that neither Tunebook nor any distribution has, or that several have; nothing is imported.

    Args:
        kind: "optimizer", "schedule", "callback" or "augmentation".
        name: What the config names.
        built_in: Tunebook's own names.
        where: The config key.

    Raises:
        UserError: It is unknown, and the nearest is named; or it is ambiguous.
    """
    if name in built_in:
        return
    offered = offered_parts(kind)
    if len(offered.get(name, ())) == 1:
        return
    if name in offered:
        said = ", ".join(f"{distribution_of(entry)} ({entry.value})" for entry in offered[name])
        raise UserError(
            f"Several installed packages offer {_article(kind)} named '{name}': {said}.",
            code="part.ambiguous",
            where=where,
            fix="uninstall all but one of them",
        )
    known = [*built_in, *(each for each in offered if each not in built_in)]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    listed = f"the {kind}s are: {', '.join(known)}" if known else f"no installed package offers any {kind}"
    raise UserError(
        f"There is no {kind} named '{name}'.", code="config.unknown-choice", where=where, fix=f"{hint}{listed}"
    )


def named_parts(given: Any, where: str) -> list[tuple[str, dict[str, Any]]]:
    """Names with their options, from a list such as ``[a, {b: {x: 1}}]``.

    Args:
        given: The value in the config.
        where: Its key.

    Raises:
        UserError: It is no such list, or names one twice.
    """
    named: list[tuple[str, dict[str, Any]]] = []
    for entry in given if isinstance(given, (list, tuple)) else [None]:
        pairs = list(entry.items()) if isinstance(entry, dict) else [(entry, {})]
        if len(pairs) != 1 or not isinstance(pairs[0][0], str) or not isinstance(pairs[0][1] or {}, dict):
            raise UserError(
                f"{where} must be a list of names, each optionally with options.",
                code="config.wrong-type",
                where=where,
                fix=f"'{where}=[one,{{another:{{option: 1}}}}]'",
            )
        if pairs[0][0] in [name for name, _ in named]:
            raise UserError(
                f"{where} names '{pairs[0][0]}' twice.", code="config.duplicate", where=where, fix="name it once"
            )
        named.append((pairs[0][0], pairs[0][1] or {}))
    return named


def check_named_parts(
    kind: str, given: Any, where: str, built_in: Collection[str] = ()
) -> list[tuple[str, dict[str, Any]]]:
    """Names with their options, each of a part that exists; nothing is imported.

    Raises:
        UserError: As `named_parts` and `check_part_name`.
    """
    named = named_parts(given, where)
    for name, _ in named:
        check_part_name(kind, name, built_in, where)
    return named


def load_part(kind: str, name: str, where: str) -> Callable[..., Any]:
    """Import a part that a distribution offers.

    Raises:
        UserError: Importing it fails, or it cannot be called.
    """
    (entry,) = offered_parts(kind)[name]
    try:
        part = entry.load()
    except Exception as error:  # a stranger's code may raise anything
        said = " ".join(str(error).split())
        raise UserError(
            f"The {kind} '{name}' cannot be imported: {type(error).__name__}{': ' if said else ''}{said}",
            code="part.import-failed",
            where=f"{where} ({distribution_of(entry)}, {entry.value})",
            fix=f"fix or reinstall {distribution_of(entry).split()[0]}",
        ) from error
    if not callable(part):
        raise UserError(
            f"The entry point of the {kind} '{name}' is neither a class nor a function.",
            code="part.wrong-object",
            where=f"{where} ({distribution_of(entry)}, {entry.value})",
            fix="point it at a class or a function",
        )
    found: Callable[..., Any] = part
    return found


def check_part_options(
    part: Callable[..., Any], options: Mapping[str, Any], where: str, given: Collection[str] = ()
) -> None:
    """Refuse options that a part's signature does not take, or lacks.

    Args:
        part: The class or function.
        options: What the config gives it.
        where: The config key.
        given: Parameters that Tunebook gives itself, by name, in their order.

    Raises:
        UserError: One is unknown, and the nearest is named; or one without a default is not given.
    """
    parameters = list(inspect.signature(part).parameters.values())
    free = [p for p in parameters[len(given) :] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        check_option_names(options, [p.name for p in free], where)
    missing = [p.name for p in free if p.default is p.empty and p.name not in options]
    if missing:
        raise UserError(
            f"The option '{missing[0]}' has no value.",
            code="config.missing-value",
            where=where,
            fix=f"add {missing[0]}: ... there",
        )


def check_option_names(options: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Refuse an option that is not among the known ones, and name the nearest."""
    for name in options:
        if name not in known:
            near = get_close_matches(str(name), list(known), n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            listed = f"its options are: {', '.join(known)}" if known else "it has no options"
            raise UserError(
                f"There is no option '{name}'.", code="config.unknown-key", where=where, fix=f"{hint}{listed}"
            )


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
