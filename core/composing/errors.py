"""Hydra's errors, in one message: the key, the nearest known one, and how to see all."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_type_hints

from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from tunebook.composing.command import Command
from tunebook.composing.groups import missing_folder, unknown_option, without_plus
from tunebook.composing.schemas import known_keys, nested
from tunebook.config.renamed import RENAMED
from tunebook.config.values import value_hint
from tunebook.errors import UserError
from tunebook.plugins.listed import listed_options

# What other tools call the same thing, spelt too differently to be found by similarity.
ELSEWHERE = {
    "learning_rate": "optim.lr",
    "epochs": "trainer.max_epochs",
    "num_train_epochs": "trainer.max_epochs",
    "per_device_train_batch_size": "data.batch_size",
    "batch": "data.batch_size",
    "patience": "trainer.early_stop",
    "warmup_ratio": "optim.warmup",
    "gradient_accumulation_steps": "trainer.accumulate_grad_batches",
    "max_grad_norm": "trainer.gradient_clip",
    "model_name_or_path": "model.name",
    "output_dir": "run_dir",
    "max_seq_length": "data.max_length",
    "lr_scheduler_type": "optim.schedule",
}


def _recipe_keys(command: Command) -> Iterator[str]:
    """The keys of the chosen recipes' own options, read from their YAML."""
    for found in (command.recipes.get(name) for name in command.chosen):
        if found:
            yield from (f"recipe.{key}" for key in listed_options(found))


def _nearest(key: str, known: Sequence[str]) -> str | None:
    """The known key that was probably meant: another tool's name of it, or alike as a whole or in its last part."""
    elsewhere = ELSEWHERE.get(key.rsplit(".", 1)[-1])
    if elsewhere in known:
        return elsewhere
    near = get_close_matches(key, known, n=1, cutoff=0.75)
    if near:
        return near[0]
    by_leaf = {k.rsplit(".", 1)[-1]: k for k in known}
    leaf = get_close_matches(key.rsplit(".", 1)[-1], list(by_leaf), n=1, cutoff=0.75)
    return by_leaf[leaf[0]] if leaf else None


def _see_all(command: Command) -> str:
    if command.verb in ("evaluate", "compare"):
        return f"`tunebook {command.verb} --help` shows all keys"
    return f"`tunebook show {','.join(command.chosen) or '<recipe>'}` shows all keys"


def unknown_key(key: str, command: Command) -> UserError:
    """The error for a config key that does not exist, or does only for recipes of other families."""
    if command.family and (elsewhere := command.no_effect(key)):
        return elsewhere
    groups = [] if command.verb == "evaluate" else ["recipe", "model", "adapt", "objective", "trainer", "logger"]
    near = _nearest(
        key, [*(key for key in known_keys(command.schema) if key not in RENAMED), *_recipe_keys(command), *groups]
    )
    hint = f"did you mean {near}? " if near else ""
    return UserError(
        f"There is no config key '{key}'.",
        code="config.unknown-key",
        where=key,
        fix=f"{hint}{_see_all(command)}",
    )


def check_typed_keys(command: Command) -> None:
    """Refuse a typed key that the config cannot have, before Hydra composes it, which takes far longer.

    What is added (``+``) or deleted (``~``), the recipe's own options and all that is not known for sure is left to
    Hydra.

    Raises:
        UserError: There is no such key.
    """
    if command.any_family:
        return
    for override in command.overrides:
        key = override.partition("=")[0]
        parts = key.split(".")
        if re.fullmatch(r"\w+(\.\w+)+", key) and parts[0] != "recipe" and _cannot_be(parts, command.schema):
            raise unknown_key(key, command)


def _cannot_be(parts: Sequence[str], schema: type) -> bool:
    """Whether a dotted key leaves the schema at a node whose keys are all known."""
    inner = nested(get_type_hints(schema).get(parts[0])) if len(parts) > 1 else None
    return inner is not None and (parts[1] not in get_type_hints(inner) or _cannot_be(parts[1:], inner))


_WANTED = {"bundle": "bundle=<run folder, or the model/ folder in it>", "data.test": "data.test=<rows with labels>"}
"""What is typed for a key that has no default."""


def _first_match(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found.group(1) if found else None


def _typed_value(key: str, overrides: Sequence[str]) -> str | None:
    """What was typed as a key's value, the last time; None where it was not."""
    values = [o.partition("=")[2] for o in overrides if o.lstrip("+").startswith(f"{key}=")]
    return values[-1] if values else None


def _wrong_value(text: str, command: Command) -> UserError | None:
    key = _first_match(r"full_key: (\S+)", text)
    reason = _first_match(r"(Value '.*|Invalid (?:value|type) .*|Cannot convert .*|field '.*|Interpolation .*)", text)
    if not (key and reason):
        return None
    reason = reason.replace("could not be converted to", "is no").rstrip(".")
    reason = reason.replace("a ListConfig, list or tuple", "a list")
    hint = value_hint(key, reason, _typed_value(key, command.overrides))
    return UserError(
        f"Wrong value for '{key}': {reason}.",
        code="config.wrong-type",
        where=key,
        fix=f"{hint}{_see_all(command)}",
    )


def _deleted(key: str) -> UserError:
    return UserError(
        f"'{key}' cannot be deleted: a config always has all its keys.",
        code="config.deleted-key",
        where=f"~{key}",
        fix=f"leave it out to keep its default, or write {key}=null where it may be empty",
    )


def _badly_written(error: Exception, command: Command) -> UserError:
    """Whatever Hydra cannot read or does not allow."""
    said = str(error).strip().splitlines()[0]
    unread = getattr(error, "override", None)
    written = unread or next((o for o in command.overrides if o in said), " ".join(command.overrides))
    what, hint = (
        said,
        "overrides are written key=value, without spaces; quote what has ,=[]{} in it: \"key='a=b'\"",
    )
    group = _first_match(r"Multiple values for (\S+)\. ", said)
    if "Ambiguous value" in said:
        what = f"'{written}' has several values"
        hint = "key=[a,b] is a list, \"key='a,b'\" one text, and -m runs once for each"
    elif group:
        written = next((o for o in command.overrides if o.startswith(f"+{group}=")), written)
        what, hint = (
            f"The group '{group}' already has an option",
            f"leave out the plus: {written.lstrip('+')}",
        )
    elif unread is not None:
        what = f"The override '{unread}' cannot be read"
        key = "bundle" if command.verb == "evaluate" else "recipe"
        if "=" not in unread and (key == "bundle" or unread in command.recipes):
            hint = f"write {key}={unread}"
    return UserError(
        what, code="config.bad-override", where=written or command.verb, fix=f"{hint}; {_see_all(command)}"
    )


def _broken_yaml(error: Any) -> UserError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return UserError(
        f"A page of the config is not valid YAML: {getattr(error, 'problem', None) or str(error).splitlines()[0]}",
        code="config.invalid-yaml",
        where=f"{mark.name}:{mark.line + 1}" if mark else None,
        fix="correct it there; a value with a colon, a bracket or a # in it needs quotes",
    )


def explain(error: Exception, command: Command) -> UserError:
    """Turn an error of Hydra or OmegaConf into one message for the person at the terminal."""
    if isinstance(error, YAMLError):
        return _broken_yaml(error)
    if _is_endless(error):
        return UserError(
            "Config pages take each other in without an end.",
            code="config.endless-defaults",
            where=" ".join(command.overrides),
            fix="a page must not name itself among its defaults, nor one that names it",
        )
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)  # type: ignore[arg-type]
    text = "\n".join(str(e) for e in chain)

    file, options = getattr(error, "missing_cfg_file", None), getattr(error, "options", None)
    if file and options is not None:
        return unknown_option(str(file), options, command)
    of_groups = missing_folder(text) or without_plus(text, command)
    if of_groups:
        return of_groups
    if "must specify 'recipe'" in text or "Missing mandatory value: recipe" in text:
        names = ", ".join(command.recipes)
        return UserError(
            "No recipe was chosen.",
            code="config.missing-recipe",
            where="recipe",
            fix=f"add recipe=<name>; the recipes are: {names}",
        )
    key = _first_match(r"full_key: (\S+)", text)
    whole = _first_match(r"Merge error: \w+ is not a subclass of \w+\. value: (.*)", text)
    if whole and not key:
        return UserError(
            f"A node of the config is set to {whole}, and has keys.",
            code="config.wrong-type",
            where=" ".join(command.overrides),
            fix=f"write its keys below it, such as data: and below it label: stars; {_see_all(command)}",
        )
    gone = _first_match(r"Could not delete from config\. '([^']+)' does not exist", text)
    if gone:  # Hydra takes a key without a value for one that is not there
        return _deleted(gone) if gone in known_keys(command.schema) else unknown_key(gone, command)
    if key and "does not support deletion" in text:
        return _deleted(key)
    wrong = _wrong_value(text, command) if "not in" not in text else None
    if wrong:
        return wrong
    key = _first_match(r"Could not (?:override|append to config.*?) '([^']+)'", text) or key
    if key and ("not in" in text or "Could not override" in text):
        return unknown_key(key, command)
    mandatory = _first_match(r"Missing mandatory value: (\S+)", text)
    if "has missing mandatory value" in text:
        mandatory = _first_match(r"full_key: (\S+)", text)
    if mandatory:
        fix = f"add {_WANTED.get(mandatory, f'{mandatory}=...')}"
        return UserError(f"'{mandatory}' has no value.", code="config.missing-value", where=mandatory, fix=fix)
    return _badly_written(error, command)


def check_keys(config: Any, command: Command) -> None:
    """Refuse what ``+key=`` added and ``~key`` took away: nothing would read the one or miss the other.

    Raises:
        UserError: A key that the schema lacks, or that the config lacks.
    """
    for key, known in _differences(config, command.schema):
        raise _deleted(key) if known else unknown_key(key, command)


def _differences(node: Any, schema: type, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Keys that are in a config or in its schema, but not in both, and whether the schema has them."""
    kinds = get_type_hints(schema)
    present = list(node.keys())  # `in` would say no to a key whose value is still missing
    yield from ((f"{prefix}{key}", False) for key in present if key not in kinds)
    for name, kind in kinds.items():
        inner = nested(kind)
        if name not in present:
            yield f"{prefix}{name}", True
        elif inner:
            yield from _differences(node[name], inner, f"{prefix}{name}.")


def old_name_in_file(error: Exception, command: Command) -> bool:
    """Whether a file sets a key by the name that it had before; what was typed has its new name already."""
    return not command.any_family and any(re.search(rf"full_key: {re.escape(old)}\b", str(error)) for old in RENAMED)


def is_config_error(error: Exception) -> bool:
    """Whether an exception comes from composing a config and not from our own code."""
    from hydra.errors import HydraException  # Hydra begins here: `list` looks at pages without it

    return isinstance(error, (HydraException, OmegaConfBaseException, YAMLError)) or _is_endless(error)


def _is_endless(error: Exception) -> bool:
    """Whether pages take each other in among their defaults without an end."""
    if not isinstance(error, RecursionError):
        return False
    return any(frame.name == "_create_defaults_tree_impl" for frame in traceback.extract_tb(error.__traceback__))
