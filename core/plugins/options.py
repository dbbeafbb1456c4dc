"""The ``recipe:`` node of a config, checked against the recipe's own dataclass."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from tunebook.config.literals import checked, without_literals
from tunebook.config.renamed import renamed_keys
from tunebook.config.values import in_words, value_hint
from tunebook.config.verbatim import verbatim
from tunebook.errors import UserError
from tunebook.plugins.find import find_recipes
from tunebook.plugins.listed import line_of

_ABSENT = object()
"""In place of the value of a key that is not there, which may be null."""


def _text_keys(options: Any) -> Any:
    """Labels that are numbers are typed as numbers, {1: ..., 2: ...}; the names of labels are text."""
    plain = OmegaConf.to_container(options, resolve=True) if OmegaConf.is_config(options) else options
    if not isinstance(plain, dict):
        return plain
    return {str(key): _text_keys(value) for key, value in plain.items()}


def _page_that_says(name: str, key: str, options: Any) -> str:
    """The recipe's page and its author, where the option's value is theirs and not one that was typed; or nothing."""
    found = find_recipes().get(name)
    if found is None or found.yaml is None or not key:
        return ""
    said = OmegaConf.select(OmegaConf.load(found.yaml), f"recipe.{key}", default=_ABSENT)
    if said is _ABSENT or said != OmegaConf.select(OmegaConf.create(_text_keys(options)), key):
        return ""
    return f" in {found.yaml}:{line_of(found.yaml.read_text(encoding='utf-8'), f'recipe.{key}')} ({found.distribution})"


def typed_recipe_options(options: Any, config_class: type, name: str) -> Any:
    """Check the ``recipe:`` node against the recipe's own dataclass.

    Raises:
        UserError: A key the dataclass lacks, or a value of another type.
    """
    try:
        schema = OmegaConf.structured(without_literals(config_class))
        usual: Any = OmegaConf.to_container(schema, enum_to_str=True)
        merged = OmegaConf.merge(schema, renamed_keys("recipe", verbatim(_text_keys(options)), usual.keys(), usual))
        return checked(OmegaConf.to_object(merged), config_class)
    except OmegaConfBaseException as error:
        raise _wrong_option(error, options, config_class, name) from error


def _wrong_option(error: OmegaConfBaseException, options: Any, config_class: type, name: str) -> UserError:
    """The error for an option that the recipe lacks, or whose value is of another type."""
    key = str(getattr(error, "full_key", "") or "")
    prefix = f"recipe.{key}" if key else "recipe"
    page, see_all = _page_that_says(name, key, options), f"`tunebook show {name}` shows all keys"
    near = get_close_matches(key, sorted(get_type_hints(config_class)), n=1)
    hint = f"did you mean recipe.{near[0]}? " if near and near[0] != key else ""
    if isinstance(error, ConfigKeyError):
        there = f"take it out there, or add it to {config_class.__name__}; " if page else ""
        return UserError(
            f"The recipe '{name}' has no option '{key}'.",
            code="config.unknown-key",
            where=prefix + page,
            fix=f"{hint}{there}{see_all}",
        )
    hint = value_hint(prefix, str(error), OmegaConf.select(OmegaConf.create(_text_keys(options)), key)) or hint
    return UserError(
        f"Wrong option of the recipe '{name}': {in_words(str(error).splitlines()[0])}.",
        code="config.wrong-type",
        where=prefix + page,
        fix=f"{hint}{see_all}",
    )
