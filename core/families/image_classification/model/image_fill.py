"""Pre-trained weights of an image model, counted: every tensor of the backbone is in the file, with its shape."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tunebook.errors import UserError
from tunebook.families.image_classification.model.image_build import build, own_settings, reason
from tunebook.models.counted import Loaded
from tunebook.models.layers import classifier_names, is_head
from tunebook.models.source import ModelSource

_COMPUTED = ("relative_position_index", "relative_coords_table", "attn_mask", "num_batches_tracked", "position_ids")
"""What some files hold and a model makes by itself."""


@dataclass(frozen=True)
class FilledModel:
    """A model with its weights.

    Attributes:
        model: The model.
        tensors: Number of the backbone's tensors, running statistics among them; all are from the file.
        taken_off: What stood before every name in the file, such as "module."; "" for nothing.
        unused: Names in the file that are of parts which this model does not have, without those of its final layer.
        fresh: Normalisation beside the final layer that the file lacks; it begins fresh as that does.
        channels: Channels that the first layer had, where it was made into one for others; None where it was not.
    """

    model: nn.Module
    tensors: int
    taken_off: str = ""
    unused: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    channels: int | None = None

    def in_words(self) -> str:
        """What a user should know of it."""
        words = str(Loaded(self.tensors, self.taken_off))
        if self.fresh:
            words += f", but {self.fresh[0].rpartition('.')[0]}, which begins fresh as the final layer does"
        if self.unused:
            words += f"; {len(self.unused)} others there are not used, such as {self.unused[0]}"
        return words


class _Unfit(UserError):
    """Weights that do not fit.

    Args:
        source: What they are of.
        why: What is wrong.
        held: How much of the backbone they hold, from 0 to 1; of several refusals the one that fits best is shown.
    """

    def __init__(self, source: ModelSource, why: str, held: float) -> None:
        super().__init__(
            f"The weights do not fit the architecture '{source.architecture}': {why}.",
            code="model.mismatch",
            where=str(source.weights),
            fix=f"choose the architecture that these weights were trained as, named as {source.library} names it; "
            "arguments that it was built with go into model.args",
        )
        self.held = held


@dataclass
class _Loading:
    """What the last ``load_state_dict`` did not find in the file, and what it had no place for."""

    missing: Sequence[str] = ()
    unexpected: Sequence[str] = ()


def fill(source: ModelSource, outputs: int, channels: int, size: int, dropout: float | None = None) -> FilledModel:
    """Build a network as `build` does, and fill it with the source's weights; its final layer stays fresh.

    Where a wrapper's name stands before all names in the file (``module.`` of DataParallel, ``model.`` of a Lightning
    module), it is taken off.

    Raises:
        TypeError: The architecture does not take an argument.
        UserError: The backbone has tensors that are not in the file, or of another shape there; or the file has more
            of them than the backbone.
    """
    assert source.weights is not None
    state = _read_state(source.weights)
    refusals = []
    for prefix in ("", *_prefixes(state)):
        try:
            return _filled(source, state, prefix, (outputs, channels, size, dropout))
        except _Unfit as error:
            refusals.append(error)
    nearest = max(refusals, key=lambda error: error.held)
    usual = int((own_settings(source).get("input_size") or (3, 0, size))[-1])
    if usual != size and _fits(source, state, (outputs, channels, usual, dropout)):
        raise UserError(
            f"The weights of '{source.name}' are for pictures of {usual} x {usual}, and its library does not make them "
            f"fit for {size} x {size}.",
            code="model.wrong-size",
            where="recipe.size",
            fix=f"recipe.size={usual}, or another model",
        ) from nearest
    raise nearest


def _fits(source: ModelSource, state: Mapping[str, Tensor], shape: tuple[int, int, int, float | None]) -> bool:
    for prefix in ("", *_prefixes(state)):
        with suppress(_Unfit):
            return bool(_filled(source, state, prefix, shape))
    return False


def _filled(
    source: ModelSource, state: Mapping[str, Tensor], prefix: str, shape: tuple[int, int, int, float | None]
) -> FilledModel:
    bare = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    if not bare:
        raise _Unfit(source, "the file holds no tensors", 0)
    try:
        with _loading() as done:
            model = build(source, *shape, state=dict(bare))
    except (UserError, TypeError):  # a TypeError is about an argument of the architecture
        raise
    except Exception as error:  # timm raises nearly anything here
        raise _Unfit(source, reason(error), 0.5 if "size mismatch" in str(error) else -1) from error
    needed = _needed(model)
    absent = [name for name in _absent(model, done.missing) if name in needed]
    fresh = [name for name in absent if _is_beside_the_final_layer(name, model)]
    _check_missing([name for name in absent if name not in fresh], needed, source)
    extra = [name for name in done.unexpected if name.rpartition(".")[2] not in _COMPUTED and not is_head(name, model)]
    _check_unexpected([name for name in extra if _is_of_a_part(name, model)], source)
    unused = [*extra, *(name for name in state if not name.startswith(prefix))]
    return FilledModel(
        model, len(needed) - len(fresh), prefix, tuple(unused), tuple(fresh), _channels(source, model, bare, shape[1])
    )


def _channels(source: ModelSource, model: nn.Module, state: Mapping[str, Tensor], channels: int) -> int | None:
    """Channels that the weights were trained with, where timm made their first layer into one for others."""
    usual: int = (own_settings(source).get("input_size") or (3,))[0]
    first = own_settings(source).get("first_conv") or ()
    own, names = model.state_dict(), [f"{name}.weight" for name in ([first] if isinstance(first, str) else first)]
    unchanged = any(name in state and state[name].shape == own[name].shape for name in names)
    return None if usual == channels or unchanged else usual


@contextmanager
def _loading() -> Iterator[_Loading]:
    """Look at how the models that are built inside the block are filled: timm tells it to its log alone."""
    done, handles = _Loading(), list[Any]()

    def note(module: nn.Module, keys: Any) -> None:
        done.missing, done.unexpected = keys.missing_keys, keys.unexpected_keys  # of the whole model, for every module

    def watch(parent: nn.Module, name: str, child: nn.Module | None) -> None:
        if child is not None:
            handles.append(child.register_load_state_dict_post_hook(note))

    handles.append(nn.modules.module.register_module_module_registration_hook(watch))
    try:
        yield done
    finally:
        for handle in handles:
            handle.remove()


def _needed(model: nn.Module) -> dict[str, int]:
    """The backbone's parameters and running statistics, each with the number of its values."""
    own = {name: tensor for name, tensor in model.named_parameters() if not is_head(name, model)}
    kept = model.state_dict()
    own |= {n: t for n, t in kept.items() if n.rpartition(".")[2].startswith("running_") and not is_head(n, model)}
    return {name: tensor.numel() for name, tensor in own.items()}


def _absent(model: nn.Module, missing: Sequence[str]) -> list[str]:
    """What of the missing names no other name of the same tensor stands for, as one does where weights are tied."""
    lacking = set(missing)
    present = {id(t) for n, t in model.named_parameters(remove_duplicate=False) if n not in lacking}
    filled = {name for name, tensor in model.named_parameters(remove_duplicate=False) if id(tensor) in present}
    return [name for name in missing if name not in filled]


def _check_missing(names: Sequence[str], needed: Mapping[str, int], source: ModelSource) -> None:
    if names:
        held = 1 - sum(needed[name] for name in names) / sum(needed.values())
        why = (
            f"it has {math.floor(100 * held)} % of the backbone's weights, and {len(names)} of {len(needed)} tensors "
            f"are not in the file, such as {names[0]}"
        )
        raise _Unfit(source, why, held)


def _check_unexpected(names: Sequence[str], source: ModelSource) -> None:
    if names:
        raise _Unfit(source, f"{len(names)} tensors in the file have no place in the backbone, such as {names[0]}", 1)


def _is_of_a_part(name: str, model: nn.Module) -> bool:
    """Whether a tensor that the model lacks is of a part that it has: another layer there, or another tensor."""
    return any(name.startswith(f"{part}.") for part, _ in model.named_children()) and not _is_beside_the_final_layer(
        name, model
    )


def _is_beside_the_final_layer(name: str, model: nn.Module) -> bool:
    """Whether a tensor is normalisation in the same part as the final layer, such as ``head.norm``."""
    parents = {each.rpartition(".")[0] for each in classifier_names(model)} - {""}
    return any(re.fullmatch(rf"{re.escape(parent)}\.\w*norm\w*\.(weight|bias)", name) for parent in parents)


def _prefixes(state: Mapping[str, Tensor]) -> Iterator[str]:
    """What may stand before most names by mistake, the longest first."""
    common, names = list[str](), [name.split(".") for name in state]
    while names and (firsts := Counter(parts[0] for parts in names if len(parts) > 1)):
        word, count = firsts.most_common(1)[0]
        if count <= len(state) / 2:
            break
        common.append(word)
        names = [parts[1:] for parts in names if len(parts) > 1 and parts[0] == word]
    for length in range(len(common), 0, -1):
        yield ".".join(common[:length]) + "."


def _read_state(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of one of torchvision's own without running what is pickled in it."""
    if file.suffix == ".safetensors":
        return load_file(file)
    state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    # torchvision's DenseNets were saved when layers were still called norm.1.
    return {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name): t for name, t in state.items()}
