"""Hydra's errors, told in one message: the key, the nearest known one, and how to see all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_type_hints

from tunebook.config import EvaluateConfig, TrainConfig
from tunebook.errors import UserError
from tunebook.plugins import find_recipes, unknown_recipe

SCHEMAS: dict[str, type] = {"train": TrainConfig, "check": TrainConfig, "evaluate": EvaluateConfig}


def register_schemas() -> None:
    """Put the typed configs where the YAML's ``base_*`` defaults find them."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    store.store(name="base_train", node=TrainConfig)
    store.store(name="base_evaluate", node=EvaluateConfig)


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


def _recipe_keys(overrides: Sequence[str]) -> Iterator[str]:
    """The keys of the chosen recipe's own options, read from its YAML."""
    from omegaconf import OmegaConf

    for name in (o.split("=", 1)[1] for o in overrides if o.startswith("recipe=")):
        found = find_recipes().get(name)
        if found and found.yaml:
            node = OmegaConf.load(found.yaml).get("recipe") or {}
            yield from (f"recipe.{key}" for key in node)


def _nearest(key: str, known: Sequence[str]) -> str | None:
    """The known key that was probably meant: alike as a whole, or alike in its last part."""
    near = get_close_matches(key, known, n=1, cutoff=0.75)
    if near:
        return near[0]
    by_leaf = {k.rsplit(".", 1)[-1]: k for k in known}
    leaf = get_close_matches(key.rsplit(".", 1)[-1], list(by_leaf), n=1, cutoff=0.75)
    return by_leaf[leaf[0]] if leaf else None


def _see_all(overrides: Sequence[str], verb: str) -> str:
    if verb == "evaluate":
        return "`tunebook evaluate --help` shows all keys"
    recipe = next((o.split("=", 1)[1] for o in overrides if o.startswith("recipe=")), "<recipe>")
    return f"`tunebook show {recipe}` shows all keys"


def unknown_key(key: str, verb: str, overrides: Sequence[str]) -> UserError:
    """The error for a config key that does not exist."""
    near = _nearest(key, [*known_keys(SCHEMAS[verb]), *_recipe_keys(overrides)])
    hint = f"did you mean {near}? " if near else ""
    return UserError(
        f"There is no config key '{key}'.", where=key, mend=f"{hint}{_see_all(overrides, verb)}"
    )


def _unknown_option(group: str, option: str, options: Sequence[str], verb: str) -> UserError:
    if group == "recipe":
        return unknown_recipe(option, options)
    near = get_close_matches(option, options, n=1)
    hint = f"did you mean {group}={near[0]}? " if near else ""
    extra = (
        f"for a folder or a hub id write {group}.name={option}; " if group == "model" else ""
    )
    return UserError(
        f"There is no option '{option}' of the group '{group}'.",
        where=f"{group}={option}",
        mend=f"{hint}{extra}the options are: {', '.join(options)}",
    )


def _first_match(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found.group(1) if found else None


def _wrong_value(text: str, verb: str, overrides: Sequence[str]) -> UserError | None:
    key = _first_match(r"full_key: (\S+)", text)
    reason = _first_match(r"(Value '.*|Invalid value '.*|Cannot convert .*|Unexpected .*|field '.*)", text)
    if not (key and reason):
        return None
    reason = reason.replace("could not be converted to", "is no")
    return UserError(f"Wrong value for '{key}': {reason}.", where=key, mend=_see_all(overrides, verb))


def explain(error: Exception, verb: str, overrides: Sequence[str]) -> UserError:
    """Turn an error of Hydra or OmegaConf into one message for the person at the terminal."""
    from hydra.errors import MissingConfigException

    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)  # type: ignore[arg-type]
    text = "\n".join(str(e) for e in chain)

    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return _unknown_option(group, option, error.options, verb)
    if "must specify 'recipe'" in text or "Missing mandatory value: recipe" in text:
        names = ", ".join(find_recipes())
        return UserError(
            "No recipe was chosen.", where="recipe", mend=f"add recipe=<name>; the recipes are: {names}"
        )
    wrong = _wrong_value(text, verb, overrides) if "not in" not in text else None
    if wrong:
        return wrong
    key = _first_match(r"Could not (?:override|append to config.*?) '([^']+)'", text)
    key = key or _first_match(r"full_key: (\S+)", text)
    if key and ("not in" in text or "Could not override" in text):
        return unknown_key(key, verb, overrides)
    mandatory = _first_match(r"Missing mandatory value: (\S+)", text)
    if mandatory:
        return UserError(f"'{mandatory}' has no value.", where=mandatory, mend=f"add {mandatory}=...")
    return UserError(
        str(error).strip().splitlines()[0],
        where=" ".join(overrides) or verb,
        mend=f"{_see_all(overrides, verb)}; overrides are written key=value",
    )


def is_config_error(error: Exception) -> bool:
    """Whether an exception comes from composing a config and not from our own code."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    return isinstance(error, (HydraException, OmegaConfBaseException))


def typed_recipe_options(options: Any, config_class: type, name: str) -> Any:
    """Check the ``recipe:`` node against the recipe's own dataclass.

    Raises:
        UserError: A key the dataclass lacks, or a value of another type.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        merged = OmegaConf.merge(OmegaConf.structured(config_class), options)
        return OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", "") or "")
        prefix = f"recipe.{key}" if key else "recipe"
        known = sorted(get_type_hints(config_class))
        near = get_close_matches(key, known, n=1)
        hint = f"did you mean recipe.{near[0]}? " if near and near[0] != key else ""
        raise UserError(
            f"Wrong option of the recipe '{name}': {str(error).splitlines()[0]}.",
            where=prefix,
            mend=f"{hint}`tunebook show {name}` shows all keys",
        ) from error


def absolute_paths(config: Any) -> Any:
    """Nothing in a run may depend on the folder it was started from: make paths of rows absolute."""

    def absolute(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [absolute(v) for v in value]
        return str(Path(value).expanduser().absolute()) if isinstance(value, str) and value else value

    for split in ("train", "validation", "test"):
        setattr(config.data, split, absolute(getattr(config.data, split)))
    config.data.cache_dir = absolute(config.data.cache_dir)
    return config
