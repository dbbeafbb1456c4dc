"""What a recipe's class must look like: reported with the recipe's own line where it does not."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tunebook.config.literals import without_literals
from tunebook.errors import UserError

if TYPE_CHECKING:
    from tunebook.recipe import Recipe

CORE = ("tunebook.recipe.", "tunebook.families.")
"""Where the families are; the recipes that ship are beside them."""
_NEAR = 0.85
"""Likeness of two names from which one is a slip of the other: two letters of `invalid` swapped, `heads` for `head`."""


class BrokenContract(UserError):
    """A recipe that breaks the contract: its author's to fix, not its user's."""

    def __init__(self, what: str, *, where: str, fix: str) -> None:
        super().__init__(what, code="recipe.broken-contract", where=where, fix=fix)


def family_of(recipe_class: type) -> type[Any]:
    """The class of Tunebook that a recipe derives from."""
    return next(c for c in recipe_class.__mro__ if f"{c.__module__}.".startswith(CORE))


def overridden(cls: type, required: type) -> dict[str, Any]:
    """What a class says itself, of that which the class that it derives from says too: name -> its part."""
    own: dict[str, Any] = {}
    for each in reversed(cls.__mro__[: cls.__mro__.index(required)]):
        own |= vars(each)
    return {name: part for name, part in own.items() if not name.startswith("_") and hasattr(required, name)}


def shape(part: Any) -> str:
    """Whether a part of a class is a "method", a "property" or a "value"."""
    if isinstance(part, (property, cached_property)):
        return "property"
    return "method" if isinstance(part, (FunctionType, staticmethod, classmethod)) else "value"


def signature(name: str, method: FunctionType) -> str:
    """A method as its first line has it, without its types."""
    parameters = inspect.signature(method).parameters.values()
    return f"{name}({', '.join(str(p.replace(annotation=p.empty)) for p in parameters)})"


def check_class(recipe_class: type[Recipe[Any]], name: str, distribution: str) -> None:
    """Refuse a class whose parts cannot be what the contract asks for, as far as it shows without calling them.

    Raises:
        BrokenContract: A method that is a property or the other way round, or that takes other parameters; one whose
            name is nearly that of a method of the contract; an option of a type that no config can hold.
    """
    family = family_of(recipe_class)
    wrong = contract_violation(recipe_class, family) or _misbuilt(recipe_class, family)
    wrong = wrong or _misspelt(recipe_class, family)
    wrong = wrong or _unreadable_options(recipe_class.Config)
    if wrong:
        what, fix, place = wrong
        where = f"{distribution}, {place}"
        raise BrokenContract(f"The recipe '{name}' breaks the contract: {what}", where=where, fix=fix)
    if inspect.isabstract(recipe_class):
        missing = ", ".join(sorted(recipe_class.__abstractmethods__))
        where = f"{distribution}, {_class_place(recipe_class, '')}"
        what = f"The recipe '{name}' breaks the contract: its class has no {missing}"
        raise BrokenContract(what, where=where, fix="derive it from one of tunebook's families, which have them all")


def contract_violation(cls: type, required: type) -> tuple[str, str, str] | None:
    """The first part of a class that the class it derives from has otherwise: what is wrong, what to write, where."""
    for name, own in overridden(cls, required).items():
        wrong = _misshapen(name, own, inspect.getattr_static(required, name))
        if wrong:
            return *wrong, place_of(own) or _class_place(cls, name)
    return None


def _misspelt(recipe_class: type, family: type[Any]) -> tuple[str, str, str] | None:
    """A part whose name is nearly that of one that its bases have: nothing would call it, and nobody be told.

    Who overrides that part too knows its name, and has a helper beside it.
    """
    bases = recipe_class.__mro__
    own: set[str] = set()
    for position, cls in enumerate(bases[: bases.index(family)]):
        own |= vars(cls).keys()
        inherited = {name for base in bases[position + 1 :] for name in vars(base) if not name.startswith("_")}
        for name, part in vars(cls).items():
            if name.startswith("_") or name in inherited:
                continue
            near = get_close_matches(name, sorted(inherited - own), n=1, cutoff=_NEAR)
            if near:
                what = f"it has `{name}`, which nothing calls, and no `{near[0]}`"
                fix = f"write {near[0]}, or begin the name of a helper with _"
                return what, fix, place_of(part) or _class_place(cls, name)
    return None


def _misbuilt(recipe_class: type, family: type[Any]) -> tuple[str, str, str] | None:
    """What is wrong with a recipe's ``__init__``, which is called with its options alone."""
    own = recipe_class.__init__  # type: ignore[misc]
    if not isinstance(own, FunctionType) or _takes(own, family.__init__):
        return None
    written = "__init__(self, options)"
    what = f"it has {signature('__init__', own)}, but is called as {written}"
    fix = f"write def {written} with super().__init__(options) in it, or leave it out"
    return what, fix, place_of(own, recipe_class)


def _unreadable_options(config_class: type) -> tuple[str, str, str] | None:
    """An option of a type that no config can hold, or that cannot be found when it is looked for."""
    try:
        OmegaConf.structured(without_literals(config_class))
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", None) or getattr(error, "key", None) or "")
        what = f"the option {key} of its {config_class.__name__}: {str(error).splitlines()[0].rstrip('.')}"
        fix = "write str, int, float, bool, an Enum, a Literal, or a list or dict of these"
        return what, fix, _class_place(config_class, key)
    except (NameError, TypeError) as error:
        what = f"the types of its {config_class.__name__} cannot be read: {error}"
        return (
            what,
            "import what they name at the top of the file, not under TYPE_CHECKING",
            _class_place(config_class, ""),
        )
    return None


def _misshapen(name: str, own: Any, required: Any) -> tuple[str, str] | None:
    """What is wrong with a part, and what to write instead; None where nothing is."""
    is_, must = shape(own), shape(required)
    if must == "method":
        written = signature(name, required)
        if is_ != "method":
            undo = "take @property away and " if is_ == "property" else ""
            return f"its `{name}` is a {is_} and must be a method", f"{undo}write def {written}"
        if isinstance(own, FunctionType) and not _takes(own, required):
            return f"it has {signature(name, own)}, but is called as {written}", f"write def {written}"
    elif is_ == "method":
        fix = "write @property above it" if must == "property" else f"write {name} = ..."
        return f"its `{name}` is a method and must be a {must}", fix
    elif name == "watch_mode" and own not in ("max", "min"):
        return f"its `watch_mode` is {own!r}", 'write "max" or "min"'
    elif name == "Config" and not (isinstance(own, type) and "__dataclass_fields__" in vars(own)):
        return "its `Config` is not a dataclass", "write @dataclass above the class of its options"
    return None


def _takes(own: FunctionType, required: FunctionType) -> bool:
    """Whether a method can be called as its family's is."""
    parameters = inspect.signature(required).parameters.values()
    given = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    try:
        inspect.signature(own).bind(*given, **{p.name: None for p in parameters if p.kind is p.KEYWORD_ONLY})
    except TypeError:
        return False
    return True


def place_of(part: Any, cls: type | None = None) -> str:
    """File and line of a method or property; for anything else those of the class, or nothing where none is given."""
    for wrapped in ("__func__", "fget", "func"):
        part = getattr(part, wrapped, part)
    code = getattr(part, "__code__", None)
    if code is not None and not code.co_filename.startswith("<"):  # as what @dataclass makes does
        return f"{code.co_filename}:{code.co_firstlineno}"
    return _class_place(cls, "") if cls else ""


def _class_place(recipe_class: type, name: str) -> str:
    """File and line where a class sets a name, or where it begins."""
    try:
        lines, first = inspect.getsourcelines(recipe_class)
    except (OSError, TypeError):
        return recipe_class.__module__
    words = [line.split("=")[0].split(":")[0].strip().removeprefix("class ") for line in lines]
    return f"{inspect.getsourcefile(recipe_class)}:{first + (words.index(name) if name and name in words else 0)}"


def broken(recipe: Recipe[Any], part: str, what: str, fix: str, place: str = "") -> BrokenContract:
    """The error for what a part of a recipe gave; its place is that of the part, unless it is known better."""
    cls = type(recipe)
    own = overridden(cls, family_of(cls)).get(part)
    place = place or place_of(own) or _class_place(cls, part)
    return BrokenContract(f"The recipe '{recipe.options.name}' breaks the contract: {what}", where=place, fix=fix)
