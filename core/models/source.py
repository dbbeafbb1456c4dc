"""Where a model comes from: a starter, a local folder or a hub id; checked before anything heavy loads."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tunebook.config.schema import ModelConfig
from tunebook.errors import UserError
from tunebook.models.settings_files import check_settings_files
from tunebook.models.sizes import check_sizes
from tunebook.models.weights_kinds import check_adapter, check_one_of_two, check_quantized
from tunebook.untrusted import read_json, read_object

STARTERS = Path(__file__).parent / "starters"
# Text files and weights, nothing that can run code. Sub-folders hold exports for other runtimes.
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
_NO_HEADER = (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)


@dataclass(frozen=True)
class ModelSource:
    """A model on disk.

    Attributes:
        name: As the user wrote it.
        folder: Where its files are; the library's own folder, where that alone knows the architecture.
        revision: Commit on the hub; None for a local folder.
        library: What builds it: transformers, timm or torchvision.
        architecture: As timm or torchvision names it, with the tag of its weights where one is given.
        weights: The one file of weights of an image model; None where they are fresh.
        args: Arguments of an image model's architecture.
    """

    name: str
    folder: Path
    revision: str | None = None
    library: str = "transformers"
    architecture: str | None = None
    weights: Path | None = None
    args: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def has_config(self) -> bool:
        """Whether its folder describes it; no library's own folder does."""
        return (self.folder / "config.json").is_file()

    @property
    def settings(self) -> dict[str, Any]:
        """What its config.json says.

        Raises:
            UserError: It is damaged.
        """
        file = self.folder / "config.json"
        try:
            return read_object(file)
        except (ValueError, OSError) as error:
            raise UserError(
                f"The model's config.json is damaged: {error}.",
                code="model.damaged-config",
                where=str(file),
                fix="copy or download the model again",
            ) from error


def find_model(config: ModelConfig, weights: bool = True) -> ModelSource:
    """Find a model by name, in the order starter, local folder, hub.

    Args:
        config: The ``model`` node of the config.
        weights: False where the architecture is enough.

    Raises:
        UserError: Nothing is there, it has no weights that are safe to load, or its weights are damaged.
    """
    name = config.name
    starter = STARTERS / name
    if "/" not in name and (starter / "config.json").is_file():
        _refuse_revision(config, "a starter")
        return ModelSource(name, starter)
    folder = Path(name).expanduser()
    if folder.is_dir():
        _refuse_revision(config, "a folder")
        check_folder(folder, weights)
        return ModelSource(name, folder.resolve())
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1 or name.endswith("/")
    if looks_like_path or not name.strip():
        raise UserError(
            f"There is no folder '{name}'.",
            code="model.not-found",
            where="model.name",
            fix=f"check the path{_near_folder(folder)}",
        )
    return from_hub(config, weights)


def _refuse_revision(config: ModelConfig, kind: str) -> None:
    if config.revision is not None:
        raise UserError(
            f"model.revision has no effect: '{config.name}' is {kind}, which has one revision.",
            code="config.conflict",
            where="model.revision",
            fix="leave model.revision out, or give model.name the id of a model on the hub",
        )


def _near_folder(folder: Path) -> str:
    if not folder.parent.is_dir():
        return ""
    near = get_close_matches(folder.name, [p.name for p in folder.parent.iterdir() if p.is_dir()], n=1)
    return f"; did you mean {folder.parent / near[0]}?" if near else ""


def from_hub(config: ModelConfig, weights: bool, instead: str = "a starter that ships with Tunebook") -> ModelSource:
    """Fetch a model's files from the hub, or find them in its cache.

    Args:
        config: The ``model`` node of the config.
        weights: False where the architecture is enough.
        instead: What can be done without a network, besides giving a folder.

    Raises:
        UserError: The hub has no such model, or cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    unwanted = ["*/*"] if weights else ["*/*", "*.safetensors"]
    try:
        folder = Path(
            snapshot_download(config.name, revision=config.revision, allow_patterns=_WANTED, ignore_patterns=unwanted)
        )
    except GatedRepoError as error:
        raise UserError(
            f"The model '{config.name}' is gated.",
            code="model.gated-access",
            where="model.name",
            fix="accept its terms on the hub and run `hf auth login`",
        ) from error
    except LocalEntryNotFoundError as error:
        raise UserError(
            f"The model '{config.name}' is neither a folder nor in the hub's cache, and the hub cannot be reached.",
            code="model.hub-unreachable",
            where="model.name",
            fix=f"check the name and the network; offline, give the folder of a downloaded model, or {instead}",
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(
            f"The model '{config.name}' has no revision '{config.revision}'.",
            code="model.unknown-revision",
            where="model.revision",
            fix="name a branch, tag or commit of it",
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"There is no model '{config.name}', neither as a folder nor on the hub.",
            code="model.not-found",
            where="model.name",
            fix="check the spelling; a private model needs `hf auth login`",
        ) from error
    check_folder(folder, weights)
    return ModelSource(config.name, folder, revision=folder.name)


def licence(source: ModelSource) -> str:
    """What a model's card says of its licence, in brackets; empty where it says nothing."""
    card = source.folder / "README.md"
    head = card.read_text(encoding="utf-8", errors="replace").split("---")[1:2] if card.is_file() else []
    named = [line.partition(":")[2].strip() for line in "".join(head).splitlines() if line.startswith("license:")]
    return f" (licence {named[0]}, see its card)" if named and named[0] else ""


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, of all shards."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = set(read_json(index, 1 << 28)["weight_map"].values())
        if not all(isinstance(name, str) and Path(name).name == name for name in shards):
            raise ValueError("a shard is not a file of this folder")
        return [folder / name for name in sorted(shards)]
    single = folder / "model.safetensors"
    return [single] if single.is_file() else []


def weights_digest(source: ModelSource) -> str:
    """SHA-256 over a model's config and weights, or over its architecture's name where it has no config."""
    named = f"{source.library}/{source.architecture}".encode()
    digest = hashlib.sha256((source.folder / "config.json").read_bytes() if source.has_config else named)
    if source.args:
        digest.update(json.dumps(dict(source.args), sort_keys=True, default=str).encode())
    for file in [source.weights] if source.weights else weight_files(source.folder):
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def check_folder(folder: Path, weights: bool = True) -> None:
    """Look at a model folder without loading it; without ``weights`` its config is enough.

    Raises:
        UserError: No config, no safetensors weights, or weights whose size contradicts their header.
    """
    where = str(folder)
    check_adapter(folder)
    if not (folder / "config.json").is_file():
        raise UserError(
            "This folder holds no model: config.json is missing.",
            code="model.missing-config",
            where=where,
            fix="model.name must be a folder written by save_pretrained",
        )
    check_settings_files(folder)
    if not weights:
        return
    check_quantized(folder, ModelSource(where, folder).settings)
    try:
        files = weight_files(folder)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "The index of the model's weights cannot be read.",
            code="model.damaged-weights",
            where=f"{where}/model.safetensors.index.json",
            fix="copy or download the model again",
        ) from error
    if not files:
        pickled = sorted(p.name for p in folder.glob("*.bin")) + sorted(p.name for p in folder.glob("*.pt*"))
        fix = "copy model.safetensors there, or give model.name the id of a model on the hub"
        if pickled:
            fix = (
                f"{pickled[0]} is a pickle, which can run code when it is read: convert it with "
                "AutoModel.from_pretrained(folder).save_pretrained(new_folder) where you trust it"
            )
        raise UserError(
            "This folder holds no weights: model.safetensors is missing.",
            code="model.missing-weights",
            where=where,
            fix=fix,
        )
    headers = [check_safetensors(file) for file in files]
    check_one_of_two(folder)
    shapes = [shape for header in headers for shape in header]
    config = ModelSource(where, folder).settings
    check_sizes(folder / "config.json", config, len(shapes), max((math.prod(shape) for shape in shapes), default=0))


def check_safetensors(file: Path) -> list[list[int]]:
    """Compare a safetensors file's size with what its header says.

    Returns:
        The shape of each of its tensors.

    Raises:
        UserError: The file is missing, cut short or not safetensors at all.
    """
    damaged = UserError(
        "The model's weights are damaged: this is not a complete safetensors file.",
        code="model.damaged-weights",
        where=str(file),
        fix="copy or download the model again",
    )
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > 100_000_000 or length > file.stat().st_size:
                raise damaged
            header = json.loads(stream.read(length))
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        ends = [entry["data_offsets"][1] for entry in tensors]
        shapes = [[int(length) for length in entry["shape"]] for entry in tensors]
        whole = 8 + length + max(ends, default=0) == file.stat().st_size
    except _NO_HEADER as error:
        raise damaged from error
    if not whole:
        raise damaged
    return shapes
