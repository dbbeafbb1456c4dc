"""Which sizes of pictures an architecture takes, and which parts of them it never looks at."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from tunebook.errors import UserError
from tunebook.families.image_classification.model.final_layer import final_layer
from tunebook.families.image_classification.model.image_build import build, own_settings, reason
from tunebook.models.source import ModelSource

_STEPS = (4, 7, 8, 14, 16, 28, 32, 56, 64, 96, 112, 224)
"""What sizes are multiples of: strides, patches and windows."""
_SMALLEST = 16
_SECONDS = 5.0
"""CPU seconds in which sizes that fit are looked for."""
_MEMORY = 1 << 30
"""Bytes of activations up to which a size is tried with numbers."""


@dataclass(frozen=True)
class Unseen:
    """Rows and columns at the edges of a picture that make no difference to a model's answer, in pixels."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any(astuple(self))

    def in_words(self) -> str:
        """Which they are."""
        strips = zip(("first", "last", "first", "last"), astuple(self), ("row", "row", "column", "column"), strict=True)
        named = [f"the {end} {n} {what}s" if n > 1 else f"the {end} {what}" for end, n, what in strips if n]
        return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


@lru_cache(maxsize=4)
def outputs_on_shapes(source: ModelSource, channels: int, size: int) -> int:
    """Run the architecture on shapes alone, which costs no arithmetic: the numbers that all its layers put out.

    It is 0 for the few architectures that compute with numbers while they are built.
    """
    sizes: list[int] = []

    def count(_: nn.Module, __: Any, output: Any) -> None:
        sizes.append(output.numel() if isinstance(output, Tensor) else 0)

    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
            model = build(source, 2, channels, size).eval()
            final_layer(model)
            for module in model.modules():
                if not list(module.children()):
                    module.register_forward_hook(count)
            model(torch.zeros(1, channels, size, size))
    except NotImplementedError:  # a value was asked of a tensor that has a shape alone
        return 0
    return sum(sizes)


def check_size(source: ModelSource, channels: int, size: int) -> None:
    """Refuse what the architecture does not take.

    Raises:
        UserError: It does not.
    """
    try:
        outputs_on_shapes(source, channels, size)
    except UserError:
        raise
    except TypeError as error:
        raise UserError(
            f"'{source.name}' cannot be built so: {reason(error)}.", code="model.bad-argument", where="model.args"
        ) from error
    except Exception as error:  # each architecture has its own way to say no
        if source.args and _fits(replace(source, args={}), channels, size):
            raise UserError(
                f"With these model.args '{source.name}' does not answer a picture: {reason(error)}.",
                code="model.bad-argument",
                where="model.args",
                fix="leave out those that change what the model gives, such as global_pool",
            ) from error
        near = nearest_sizes(source, channels, size)
        raise UserError(
            f"'{source.name}' does not take pictures of {channels} x {size} x {size}: {reason(error)}.",
            code="model.wrong-size",
            where="recipe.size",
            fix=f"{near or 'choose another size'} (a ViT takes multiples of its patch), or another model",
        ) from error


def check_seen(source: ModelSource, model: nn.Module, x: Tensor) -> str:
    """Refuse a size of pictures where the model never looks at some of their edge.

    Args:
        source: The architecture.
        model: In evaluation mode.
        x: A picture ``[1, channels, size, size]``.

    Returns:
        What is not looked at; "" for nothing. At the size that the weights were trained at, nothing is refused.

    Raises:
        UserError: There is an edge that makes no difference to the answer.
    """
    found = unseen(model, x)
    if not found:
        return ""
    channels, size = x.shape[1], x.shape[-1]
    if size == _usual_size(source):
        return f"{found.in_words()} of {size} make no difference to this model"
    raise UserError(
        f"'{source.name}' never looks at {found.in_words()} of pictures of {size} x {size} pixels.",
        code="model.unseen-pixels",
        where="recipe.size",
        fix=nearest_sizes(source, channels, size) or "choose another size or another model",
    )


def unseen(model: nn.Module, x: Tensor) -> Unseen:
    """The edges of a picture without any gradient, where other pixels give exactly the same answer.

    Args:
        model: In evaluation mode.
        x: A random picture ``[1, channels, height, width]``.
    """
    before = _inputs_of_the_final_layer(model)
    picture = x.clone().requires_grad_()
    taken = before(picture)
    if not taken.requires_grad:
        return Unseen()
    (gradient,) = torch.autograd.grad((taken * torch.randn_like(taken)).sum(), picture, allow_unused=True)
    if gradient is None:
        return Unseen()
    felt = (gradient != 0).flatten(0, 1).any(0)
    if not felt.any():
        return Unseen()
    rows, columns = felt.any(1).nonzero().flatten().tolist(), felt.any(0).nonzero().flatten().tolist()
    height, width = felt.shape
    found = Unseen(rows[0], height - 1 - rows[-1], columns[0], width - 1 - columns[-1])
    if not found:
        return found
    inner = (..., slice(found.top, height - found.bottom), slice(found.left, width - found.right))
    with torch.no_grad():
        for other in (3 * torch.randn_like(x), torch.full_like(x, 3), torch.full_like(x, -3)):
            other[inner] = x[inner]
            if not torch.equal(before(x), before(other)):
                return Unseen()  # a gradient may also be nothing where a layer is silent
    return found


def nearest_sizes(source: ModelSource, channels: int, size: int) -> str:
    """The next smaller and larger size that the architecture takes and looks at as a whole, as overrides."""
    end = time.process_time() + _SECONDS
    multiples = {around * step for step in _STEPS for around in (size // step, size // step + 1)}
    tried = {*multiples, size - 1, size + 1, _usual_size(source)}
    below = sorted((each for each in tried if _SMALLEST <= each < size), reverse=True)
    above = sorted(each for each in tried if each > size)

    def first(sizes: list[int]) -> list[str]:
        fitting = (each for each in sizes if time.process_time() < end and _fits(source, channels, each))
        return [f"recipe.size={each}" for each in islice(fitting, 1)]

    return " or ".join(first(below) + first(above))


def _fits(source: ModelSource, channels: int, size: int) -> bool:
    try:
        with torch.random.fork_rng(devices=[]):
            if 4 * outputs_on_shapes(source, channels, size) > _MEMORY:
                return True  # it is taken; what it looks at is seen where it is tried
            model = build(source, 2, channels, size).eval()
            return not unseen(model, torch.randn(1, channels, size, size))
    except Exception:  # each architecture has its own way to say no
        return False


def _usual_size(source: ModelSource) -> int:
    """Height and width that the weights were trained with, in pixels."""
    return int((own_settings(source).get("input_size") or (3, 224, 224))[-1])


def _inputs_of_the_final_layer(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """What the final layer takes, of a picture: it is not nothing, as outputs of fresh layers may be."""
    layer = final_layer(model)[1]

    def run(picture: Tensor) -> Tensor:
        taken = list[Tensor]()
        handle = layer.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
        try:
            model(picture)
        finally:
            handle.remove()
        return torch.cat([each.flatten() for each in taken])

    return run
