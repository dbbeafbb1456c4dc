"""The schema of a command, composed of what all families share and of the options of one; or of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field as field_of
from dataclasses import fields, is_dataclass, make_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from omegaconf import MISSING, DictConfig, OmegaConf

from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.renamed import RENAMED, renamed_keys

if TYPE_CHECKING:
    from tunebook.families.family import Family

_NODES = ("data", "model", "adapt", "objective", "trainer", "evaluation")


def nested(kind: Any) -> type | None:
    """The dataclass in a field's type, if there is one (``X | None`` counts)."""
    for candidate in (kind, *get_args(kind)):
        if isinstance(candidate, type) and is_dataclass(candidate):
            return candidate
    return None


def known_keys(schema: type, prefix: str = "") -> Iterator[str]:
    """All dotted keys of a typed config."""
    for name, kind in get_type_hints(schema).items():
        inner = nested(kind)
        if inner:
            yield from known_keys(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def own_nodes(base: type, family: Family) -> dict[str, type]:
    """The nodes of a config that a family has its own options in, and the dataclass of each."""
    if issubclass(base, EvaluateConfig):
        return {"data": family.new_data, "evaluation": family.new_evaluation}
    return {name: getattr(family, name) for name in _NODES}


@lru_cache(maxsize=64)
def of_family(base: type, family: Family) -> type:
    """A config with the options of one family."""
    return _with_nodes(base, own_nodes(base, family))


@lru_cache(maxsize=8)
def of_all(base: type, families: tuple[Family, ...]) -> type:
    """A config that takes the options of every family, while it is not known which one is meant.

    What is not the same in all of them is of any type and has no value, so that it shows whether one was set. Keys
    that were renamed are there by both names.
    """
    nodes = {}
    for name, shared in get_type_hints(base).items():
        own = [own_nodes(base, family).get(name) for family in families]
        more = sorted({key for kind in own if kind for key in _other_keys(kind, shared)})
        before = [old.partition(".")[2] for old, new in RENAMED.items() if new in {f"{name}.{key}" for key in more}]
        if more:
            extra = [(key, Any, field_of(default=MISSING)) for key in dict.fromkeys([*more, *before])]
            nodes[name] = _made_like(shared, extra)
    return _with_nodes(base, nodes)


def _other_keys(kind: type, shared: type) -> Iterator[str]:
    """Keys of a node that the one of all families lacks, or has with another default."""
    usual = {option.name: option.default for option in fields(shared)}
    yield from (option.name for option in fields(kind) if usual.get(option.name, usual) != option.default)


def _with_nodes(base: type, nodes: dict[str, type]) -> type:
    return _made_like(base, [(name, kind, field_of(default_factory=kind)) for name, kind in nodes.items()])


def _made_like(base: type, own: Sequence[tuple[str, Any, Any]]) -> type:
    """A dataclass that derives from another and goes by its name."""
    return make_dataclass(base.__name__, own, bases=(base,), namespace={"__module__": base.__module__})


@lru_cache(maxsize=64)
def part(schema: type, keys: frozenset[str]) -> type:
    """Some of a config's keys: what is only to be compared with these need not be made whole, which takes a while."""
    kinds = get_type_hints(schema)
    kept = [
        (f.name, kinds[f.name], field_of(default=f.default, default_factory=f.default_factory)) for f in fields(schema)
    ]
    return make_dataclass(schema.__name__, [each for each in kept if each[0] in keys])


@lru_cache(maxsize=64)
def structured(schema: type) -> DictConfig:
    """A typed config with its defaults, made once: that takes as long as reading many pages."""
    made = OmegaConf.structured(schema)
    assert isinstance(made, DictConfig)
    return made


def set_elsewhere(config: DictConfig, schema: type) -> Iterator[str]:
    """Keys that are set in a config of all families and that one family lacks, by any name."""
    for node, kind in _inner(schema):
        known = {option.name for option in fields(kind)}
        known |= {old.partition(".")[2] for old, new in RENAMED.items() if new in {f"{node}.{key}" for key in known}}
        yield from (f"{node}.{key}" for key in config[node] if key not in known and _is_set(config[node], key))


def narrowed(config: DictConfig, schema: type) -> DictConfig:
    """A config of all families as that of one; what is set in it and the family lacks is no part of it."""
    plain: Any = OmegaConf.to_container(config, resolve=False)
    for node, kind in _inner(schema):
        given = {key: value for key, value in plain[node].items() if _is_set(config[node], key)}
        known = {option.name for option in fields(kind)}
        plain[node] = {key: value for key, value in renamed_keys(node, given, known).items() if key in known}
    made = OmegaConf.merge(structured(schema), plain)
    OmegaConf.copy_cache(config, made)  # ${now:} is the same moment in both
    assert isinstance(made, DictConfig)
    return made


def _inner(schema: type) -> Iterator[tuple[str, type]]:
    for name, kind in get_type_hints(schema).items():
        inner = nested(kind)
        if inner:
            yield name, inner


def _is_set(node: DictConfig, key: Any) -> bool:
    return not OmegaConf.is_missing(node, key)
