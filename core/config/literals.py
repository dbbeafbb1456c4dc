"""Options typed ``Literal["a", "b"]``: read by the types of their values as OmegaConf can, then checked."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, fields
from functools import reduce
from operator import or_
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from omegaconf.errors import ValidationError

OptionsT = TypeVar("OptionsT")


def without_literals(config_class: type) -> type:
    """A dataclass like this one, in which a ``Literal`` has the type of its values; the same where it has none."""
    kinds = {name: _plain(kind) for name, kind in get_type_hints(config_class).items()}
    changed = {name: kind for name, kind in kinds.items() if kind != get_type_hints(config_class)[name]}
    if not changed:
        return config_class
    same = {field.name: copy(field) for field in fields(config_class) if field.name in changed}
    made = type(config_class.__name__, (config_class,), {"__annotations__": changed, **same})
    return dataclass(frozen=config_class.__dataclass_params__.frozen)(made)  # type: ignore[attr-defined]


def checked(options: Any, config_class: type[OptionsT]) -> OptionsT:
    """The options as an instance of their own class.

    Args:
        options: An instance of what `without_literals` made of the class.
        config_class: The class.

    Raises:
        ValidationError: A value is none of those that its ``Literal`` lists; ``full_key`` names the option.
    """
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    for name, kind in get_type_hints(config_class).items():
        for value, allowed in _unlisted(kind, values.get(name)):
            error = ValidationError(f"Invalid value '{value}', expected one of [{', '.join(map(str, allowed))}]")
            error.full_key = name
            raise error
    return options if type(options) is config_class else config_class(**values)


def _plain(kind: Any) -> Any:
    """A type with each ``Literal`` in it replaced by the type of its values."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return reduce(or_, (type(value) for value in parts))
    if origin in (Union, UnionType):
        return reduce(or_, map(_plain, parts))
    return origin[tuple(map(_plain, parts))] if origin in (list, dict) else kind


def _unlisted(kind: Any, value: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Each value that its ``Literal`` does not list, and what that lists."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        if (type(value), value) not in [(type(each), each) for each in parts]:
            yield value, parts
    elif origin in (Union, UnionType):
        misses = [list(_unlisted(part, value)) for part in parts if part is not type(None)]
        if value is not None and all(misses):
            yield from misses[0]
    elif origin in (list, dict) and value is not None:
        inner = value.values() if isinstance(value, dict) else value
        for each in inner:
            yield from _unlisted(parts[-1], each)
