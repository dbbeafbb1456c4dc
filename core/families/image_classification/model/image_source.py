"""Where an image model comes from: timm or torchvision, by name, hub id, local folder or local weights file."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tunebook.config.schema import ModelConfig
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.image_classification.options import ImageModel
from tunebook.models.source import STARTERS, ModelSource, check_safetensors, find_model, from_hub

TORCHVISION = "torchvision/"
_TIMM = "timm/"
# What other options set for timm and torchvision.
_OURS = {"num_classes", "in_chans", "img_size", "drop_rate", "dropout", "weights", "features_only"} | {
    *("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"),
}
_OFFLINE = "model.weights=<a safetensors file>, or fresh weights: adapt=scratch"


def find_image_model(node: ModelConfig, weights: bool = True) -> ModelSource:
    """Find an image model by name, in the order torchvision, starter, local folder, timm's own names, hub.

    Args:
        node: The ``model`` node of the config.
        weights: False where the architecture is enough; then ``model.weights`` is not looked at.

    Raises:
        UserError: Nothing has this name, it is no image model, or its weights are missing, damaged or unsafe to load.
    """
    config = node_as(node, ImageModel)
    name = config.name
    if name.startswith(TORCHVISION):
        return _from_torchvision(config, weights)
    if _is_registered(name):
        return _from_timm(config, weights)
    if config.weights is not None and weights:
        raise UserError(
            f"model.weights needs the name of an architecture, and '{name}' is not one of timm's.",
            code="model.not-an-architecture",
            where="model.weights",
            fix="model.name=resnet18, or another name that timm lists; a folder brings its own weights",
        )
    _check_bare_name(name)
    return _opened(find_model(config, weights), config, weights)


def _is_registered(name: str) -> bool:
    """Whether a name is one of timm's and no starter or folder has it."""
    bare = name.removeprefix(_TIMM)
    if "/" in bare or not bare.strip() or (STARTERS / bare).is_dir() or Path(name).is_dir():
        return False
    import timm

    return bool(timm.is_model(bare.partition(".")[0]))


def _check_bare_name(name: str) -> None:
    """Refuse a name that is neither a starter, a path, a hub id nor an architecture of timm's."""
    if "/" in name or not name.strip() or name.startswith((".", "~")):
        return
    if (STARTERS / name).is_dir() or Path(name).is_dir():
        return
    import timm

    starters = [folder.name for folder in STARTERS.iterdir()]
    raise UserError(
        f"There is no image model '{name}': no folder, no starter and no timm architecture has that name.",
        code="model.not-found",
        where="model.name",
        fix=_nearest(name.partition(".")[0], [*timm.list_models(), *starters]),
    )


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else "list_models() of the library lists all"


def _from_timm(config: ImageModel, weights: bool) -> ModelSource:
    """An architecture of timm's, with the weights of its tag, of a file, or none."""
    bare = config.name.removeprefix(_TIMM)
    settings = timm_settings(bare)
    source = ModelSource(config.name, _library("timm"), None, "timm", bare, None, _args(config))
    if not weights:
        return source
    if config.weights is not None:
        return replace(source, weights=_weights_file(config.weights))
    hub_id = settings.get("hf_hub_id")
    if not hub_id:
        raise UserError(
            f"There are no pre-trained weights of '{bare}' on the hub.",
            code="model.no-pretrained-weights",
            where="model.name",
            fix=f"choose another, or give {_OFFLINE}",
        )
    return _opened(replace(from_hub(replace(config, name=hub_id), True, _OFFLINE), name=config.name), config, True)


def timm_settings(name: str) -> dict[str, Any]:
    """What timm says of the weights of an architecture: input, normalisation, names of layers.

    Raises:
        UserError: The architecture has no weights of this tag.
    """
    from timm.models import get_pretrained_cfg, list_pretrained

    try:
        found = get_pretrained_cfg(name)
    except RuntimeError as error:
        architecture, _, tag = name.partition(".")
        tags = [full.partition(".")[2] for full in list_pretrained(f"{architecture}.*")]
        raise UserError(
            f"'{architecture}' has no weights with the tag '{tag}'.",
            code="model.unknown-weights",
            where="model.name",
            fix=f"choose from: {', '.join(tags)}" if tags else f"model.name={architecture}",
        ) from error
    return found.to_dict() if found is not None else {}


def _opened(source: ModelSource, config: ImageModel, weights: bool) -> ModelSource:
    """A folder as a timm or torchvision model: its config.json names the architecture."""
    try:
        settings = source.settings
        library, architecture = settings.get("library", "timm"), settings.get("architecture")
        saved = settings.get("model_args") or {}
    except (ValueError, AttributeError) as error:
        raise UserError(
            "The model's config.json cannot be read.", code="model.load-failed", where=str(source.folder)
        ) from error
    if not isinstance(architecture, str) or library not in ("timm", "torchvision") or not isinstance(saved, Mapping):
        kind = settings.get("model_type")
        raise UserError(
            f"'{source.name}' is not an image model of timm or torchvision: its config.json names no architecture"
            + (f" and is that of transformers ({kind})" if kind else ""),
            code="model.wrong-kind",
            where="model.name",
            fix="choose an image model: model=starter_image",
        )
    file = source.folder / "model.safetensors"
    if weights and not file.is_file():
        raise UserError(
            "The weights of an image model must be one file: model.safetensors is missing.",
            code="model.missing-weights",
            where=str(source.folder),
        )
    return replace(
        source,
        library=library,
        architecture=architecture,
        weights=file if weights else None,
        args={**{k: v for k, v in saved.items() if k not in _OURS}, **_args(config)},
    )


def _args(config: ImageModel) -> dict[str, Any]:
    """Arguments of the architecture, without those that other options set."""
    if config.args is not None and not isinstance(config.args, Mapping):
        raise UserError(
            f"model.args must be a mapping, not {config.args!r}.",
            code="config.wrong-type",
            where="model.args",
            fix="model.args={pad_type: same}",
        )
    args = dict(config.args or {})
    taken = sorted(_OURS & set(args))
    if taken:
        raise UserError(
            f"{', '.join(taken)} cannot be given as arguments of the architecture.",
            code="config.conflict",
            where="model.args",
            fix="other options set them: the labels, the size and channels of the pictures, model.dropout, "
            "model.weights",
        )
    return args


def _from_torchvision(config: ImageModel, weights: bool) -> ModelSource:
    """An architecture of torchvision's, with its own weights, those of a file, or none."""
    named = config.name.removeprefix(TORCHVISION)
    known = torchvision_names()
    architecture = named.partition(".")[0]
    if architecture not in known:
        raise UserError(
            f"torchvision has no classifier '{architecture}'.",
            code="model.not-found",
            where="model.name",
            fix=_nearest(architecture, known),
        )
    enum = torchvision_weights(named)
    source = ModelSource(config.name, _library("torchvision"), None, "torchvision", named, None, _args(config))
    if not weights:
        return source
    if config.weights is not None:
        return replace(source, weights=_weights_file(config.weights))
    return replace(source, weights=_download(enum.url, config.name))


def torchvision_names() -> list[str]:
    """The classifiers that torchvision has, but for the two that give three answers at once while they learn."""
    from torchvision import models

    return [name for name in models.list_models(module=models) if name not in ("googlenet", "inception_v3")]


def torchvision_weights(named: str) -> Any:
    """What torchvision says of an architecture's weights: those named after a dot, or its default.

    Raises:
        UserError: It has none of that name.
    """
    from torchvision.models import get_model_weights

    architecture, _, tag = named.partition(".")
    enum = get_model_weights(architecture)
    if tag and tag not in enum.__members__:
        raise UserError(
            f"torchvision's '{architecture}' has no weights '{tag}'.",
            code="model.unknown-weights",
            where="model.name",
            fix=f"choose from: {', '.join(enum.__members__)}",
        )
    return enum[tag] if tag else enum.DEFAULT


def _download(url: str, name: str) -> Path:
    """A file of weights in torch's own cache, fetched there if it is missing; the name's hash is checked."""
    from torch import hub  # no name of timm's needs it

    file = Path(hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if file.is_file():
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # torchvision's files end in the first digits of their SHA-256.
        hub.download_url_to_file(url, str(file), file.stem.rpartition("-")[2], progress=False)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"The weights of '{name}' are not in torch's cache and cannot be downloaded: {error}",
            code="model.download-failed",
            where="model.name",
            fix=f"copy {url} to {file}; offline, give {_OFFLINE}",
        ) from error
    return file


def _weights_file(name: str) -> Path:
    """The file of ``model.weights``, looked at without loading it."""
    file = Path(name).expanduser()
    if not file.is_file():
        raise UserError(
            f"There is no file '{name}'.", code="model.missing-weights", where="model.weights", fix="check the path"
        )
    if file.suffix != ".safetensors":
        raise UserError(
            f"{file.name} is not a safetensors file; other formats of weights can run code when they are read.",
            code="model.not-safetensors",
            where="model.weights",
            fix="where you trust it: safetensors.torch.save_file(torch.load(file, weights_only=True), new_file)",
        )
    check_safetensors(file)
    return file.resolve()


def _library(name: str) -> Path:
    """The folder of an installed library, found without importing it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent
