"""Whether a recipe's head makes what it is used for: tried on made-up outputs before anything is trained."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from tunebook.plugins.answers import given
from tunebook.plugins.contract import BrokenContract, broken, contract_violation, place_of
from tunebook.training.head import Head

if TYPE_CHECKING:
    from torch import Tensor

    from tunebook.recipe import Recipe

_ROUNDING = 1e-3


class BrokenHead(BrokenContract):
    """A head that does not keep the contract."""


def try_head(recipe: Recipe[Any], labels: Sequence[str]) -> None:
    """Refuse what `check_head` does, and a head whose loss, answers or start are of another form.

    Args:
        recipe: Makes the head.
        labels: Of the rows; none of rows without labels, as of a language model, whose head has a form of its own.

    Raises:
        BrokenHead: A method of it makes what training or testing has no use for; the message names its line.
    """
    head = check_head(recipe, labels)
    if labels:
        with torch.no_grad():
            _check_answers(recipe, head, _probabilities(recipe, head, labels))
            _check_start(recipe, head, labels)
        _check_loss(recipe, head, labels)


def check_head(recipe: Recipe[Any], labels: Sequence[str]) -> Head:
    """Refuse a recipe whose head is none, whose methods take other parameters, or that is of other labels.

    Returns:
        The head.

    Raises:
        BrokenContract: The recipe gives no head.
        BrokenHead: Its methods take other parameters, or its probabilities are none of these labels.
    """
    head = recipe.head(labels)
    given(recipe, "head", head, isinstance(head, Head), "a tunebook.Head")
    wrong = contract_violation(type(head), Head)
    if wrong:
        what, fix, place = wrong
        raise _broken(recipe, head, "", what, fix, place)
    if labels:
        with torch.no_grad():
            _probabilities(recipe, head, labels)
    return head


def _probabilities(recipe: Recipe[Any], head: Head, labels: Sequence[str]) -> Tensor:
    made = head.probabilities(_outputs(head, len(labels)))
    words = f"one for each label ({', '.join(labels)})"
    _check_tensor(recipe, head, "probabilities", made, (_rows(len(labels)), len(labels)), words)
    if not bool(((made >= -_ROUNDING) & (made <= 1 + _ROUNDING)).all()):
        what = f"its `probabilities` are from {made.min():.3f} to {made.max():.3f}"
        raise _broken(recipe, head, "probabilities", what, "give numbers from 0 to 1")
    sums = made.double().sum(dim=-1)
    if not head.multilabel and not bool(((sums - 1).abs() < _ROUNDING).all()):
        what = f"its `probabilities` of a row add up to {sums.min():.3f} to {sums.max():.3f}, not to 1"
        fix = "give the labels' shares, such as logits.softmax(dim=-1), or set multilabel = True in its class"
        raise _broken(recipe, head, "probabilities", what, fix)
    return made


def _check_answers(recipe: Recipe[Any], head: Head, probabilities: Tensor) -> None:
    answers, (rows, count) = head.decide(probabilities), probabilities.shape
    words = "a flag for each label, 0 or 1" if head.multilabel else f"the number of one label a row, 0 to {count - 1}"
    _check_tensor(recipe, head, "decide", answers, (rows, count) if head.multilabel else (rows,), words)
    if answers.is_floating_point():
        what = f"its `decide` gives numbers of the type {str(answers.dtype).removeprefix('torch.')}"
        raise _broken(recipe, head, "decide", what, f"give {words}, such as of argmax(dim=-1) or .long()")
    least, most = int(answers.min()), int(answers.max())
    if least < 0 or most > (1 if head.multilabel else count - 1):
        raise _broken(recipe, head, "decide", f"its `decide` gives {least} to {most}", f"give {words}")


def _check_loss(recipe: Recipe[Any], head: Head, labels: Sequence[str]) -> None:
    count = len(labels)
    target = torch.arange(_rows(count)) % count
    if head.multilabel:
        target = torch.nn.functional.one_hot(target, count)
    losses = head.loss(_outputs(head, count).requires_grad_(), target)
    _check_tensor(recipe, head, "loss", losses, (_rows(count),), 'one number a row, such as with reduction="none"')
    if not losses.requires_grad:
        fix = "compute it from the logits themselves, not from .detach(), .item() or argmax"
        raise _broken(recipe, head, "loss", "its `loss` has no gradient, so nothing would be learned", fix)
    if not bool(losses.isfinite().all()):
        what = f"its `loss` of ordinary outputs is {losses[~losses.isfinite()][0]:g}"
        raise _broken(recipe, head, "loss", what, "avoid log(0), 0/0 and the like: compute with log_softmax, or clamp")


def _check_start(recipe: Recipe[Any], head: Head, labels: Sequence[str]) -> None:
    counts = torch.arange(2.0, 2.0 + len(labels))
    start = head.prior_logits(torch.stack([counts, counts.flip(0)], dim=1) if head.multilabel else counts)
    if start is not None:
        _check_tensor(recipe, head, "prior_logits", start, (head.outputs,), "one number for each output, or None")


def _rows(labels: int) -> int:
    return labels + 3


def _outputs(head: Head, labels: int) -> Tensor:
    """Made-up outputs of a model, ``[rows, outputs]``."""
    return torch.randn(_rows(labels), head.outputs, generator=torch.Generator().manual_seed(0))


def _check_tensor(recipe: Recipe[Any], head: Head, part: str, made: Any, shape: tuple[int, ...], words: str) -> None:
    if isinstance(made, torch.Tensor) and tuple(made.shape) == shape:
        return
    said = f"a {type(made).__name__}"
    if isinstance(made, torch.Tensor):
        said = f"a tensor of the shape {list(made.shape)}" if made.ndim else "a single number"
    of = "" if part == "prior_logits" else f" of {shape[0]} rows"
    raise _broken(recipe, head, part, f"its `{part}`{of} gives {said}", f"give {list(shape)}: {words}")


def _broken(recipe: Recipe[Any], head: Head, part: str, what: str, fix: str, place: str = "") -> BrokenHead:
    own = inspect.getattr_static(type(head), part, None)
    theirs = not str(getattr(own, "__module__", "")).startswith(
        "tunebook.training."
    )  # else the recipe made a wrong one
    place = place or (place_of(own) if theirs else "")
    error = broken(recipe, "head", f"of its head {type(head).__name__}: {what}", fix, place)
    return BrokenHead(error.what, where=error.where or "", fix=error.fix or "")
