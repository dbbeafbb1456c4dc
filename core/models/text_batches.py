"""Texts made into batches: token ids and targets, or the stored features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tunebook.config.schema import Method, TrainConfig
from tunebook.config.texts import Overlength, TextDataConfig
from tunebook.data.augmentations import Augmentations
from tunebook.data.batch import Batch
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.module import Examples, FineTuneData
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.models.features import cached_features, compute_features, features_key, head_on_features
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer, longest, tokenizer_key
from tunebook.models.tokens import TokenRows, apply_overlength, tokenize_cached
from tunebook.progress import counting

SPLITS = ("train", "validation", "test")
Target = int | float | list[int]
Item = tuple[np.ndarray, Target, int] | tuple[np.ndarray, Target, int, np.ndarray]


@dataclass(frozen=True)
class TextItems(Sequence[Any]):
    """Rows as ``collate`` takes them: token ids, target (a number, or several in a list), row, any token types."""

    tokens: TokenRows
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, row: Any) -> Item:
        item = self.tokens[row], self.targets[row].tolist(), int(row)
        types = self.tokens.types_of(row)
        return item if types is None else (*item, types)


@dataclass(frozen=True)
class FeatureItems(Sequence[Any]):
    """Rows of a frozen backbone: feature ``[hidden]``, target, row number."""

    features: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, row: Any) -> Item:
        return self.features[row], self.targets[row].tolist(), int(row)


def pad_batch(items: Sequence[Item], pad_id: int) -> Batch:
    """Pad token ids to the longest text of the batch, ``[batch, tokens]``."""
    width = max(len(item[0]) for item in items)
    input_ids = np.full((len(items), width), pad_id, dtype=np.int64)
    mask = np.zeros((len(items), width), dtype=np.int64)
    for i, (ids, *_) in enumerate(items):
        input_ids[i, : len(ids)] = ids
        mask[i, : len(ids)] = 1
    inputs = {"input_ids": input_ids, "attention_mask": mask}
    if len(items[0]) == 4:
        inputs["token_type_ids"] = np.zeros_like(mask)
        for i, item in enumerate(items):
            inputs["token_type_ids"][i, : len(item[0])] = item[-1]
    return {
        "inputs": {name: torch.from_numpy(values) for name, values in inputs.items()},
        "target": torch.tensor([item[1] for item in items]),
        "row": torch.tensor([item[2] for item in items]),
    }


def stack_features(items: Sequence[Item]) -> Batch:
    """Stored features as one-token texts, ``[batch, 1, hidden]``."""
    stacked = np.stack([item[0] for item in items])[:, None]
    return {
        "inputs": {"inputs_embeds": torch.from_numpy(stacked)},
        "target": torch.tensor([item[1] for item in items]),
        "row": torch.tensor([item[2] for item in items]),
    }


def encode_splits(
    checked: ValidatedData,
    source: ModelSource,
    config: TrainConfig,
    rejects: RejectLog,
    targets: Callable[[Rows], np.ndarray],
    augmentations: Augmentations | None = None,
) -> Encoded:
    """Tokenise all splits once (cached), and decide about texts that are too long.

    Args:
        checked: The rows.
        source: The model's files.
        config: The run's config.
        rejects: Takes rows that are too long.
        targets: Makes what is learned of rows, ``[rows]``: label numbers, or numbers; ``[rows, answers]`` of several.
        augmentations: Changes training batches; None where nothing does.

    Raises:
        UserError: Too many rows are rejected, or ``data.max_length`` does not fit the model.
    """
    options = _options(config)
    tokenizer = load_tokenizer(source)
    max_length = longest(source, tokenizer, options.max_length)
    collate = partial(pad_batch, pad_id=tokenizer.pad_token_id)
    splits, rows, facts, identity = {}, {}, dict[str, str](), {}
    for name in SPLITS:
        part: Rows = getattr(checked, name)
        tokens = tokenize_cached(part, tokenizer, max_length, Path(config.data.cache_dir))
        facts[f"{name} texts over {max_length} tokens"] = _overlength_counts(tokens, max_length, options.overlength)
        kept = apply_overlength(part, tokens, options.overlength, max_length, rejects)
        if len(kept) < len(part):
            part = part.take(kept)
            tokens = tokenize_cached(part, tokenizer, max_length, Path(config.data.cache_dir))
        splits[name] = Examples(TextItems(tokens, targets(part)), tokens.lengths)
        rows[name] = part
        identity[name] = f"{part.fingerprint}\n{tokenizer_key(tokenizer)}\n{max_length}"
    rejects.write()
    rejects.check()
    if augmentations is not None:
        facts["augmentations of its own"] = augmentations.names
    return Encoded(
        splits,
        rows,
        collate,
        tokenizer,
        max_length,
        facts,
        identity,
        augmentations,
    )


@dataclass(frozen=True)
class TextPreparation:
    """Changes the texts of a training batch, on whatever device they are."""

    augmentations: Augmentations

    def __call__(self, batch: Batch, training: bool = False) -> Batch:
        """The batch with its ``inputs`` changed."""
        return {**batch, "inputs": self.augmentations(batch["inputs"], batch)} if training else batch


def _overlength_counts(tokens: TokenRows, max_length: int, policy: Overlength) -> str:
    long = int((tokens.full_lengths > max_length).sum())
    done = {Overlength.truncate: "cut", Overlength.reject: "rejected", Overlength.error: "refused"}[policy]
    lost = int((tokens.full_lengths - tokens.lengths).sum())
    share = (
        f", {lost} of {int(tokens.full_lengths.sum())} tokens lost" if policy is Overlength.truncate and long else ""
    )
    return f"{long} of {len(tokens)}" + (f" ({done}{share})" if long else "")


def text_data(
    model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig, device: str
) -> tuple[nn.Module, FineTuneData]:
    """What is trained, on what: the model on token ids, or with ``adapt=head`` its head on stored features."""
    if config.adapt.method is Method.head:
        return feature_data(model, encoded, source, config, torch.device(device))
    return model, token_data(encoded, config)


def token_data(encoded: Encoded, config: TrainConfig) -> FineTuneData:
    """Batches of token ids."""
    splits = {name: encoded.splits[name] for name in ("train", "validation")}
    changes = None if encoded.augmentations is None else TextPreparation(encoded.augmentations)
    return _module(splits, encoded.collate, config, changes)


def feature_data(
    model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig, device: torch.device
) -> tuple[nn.Module, FineTuneData]:
    """The model's head alone, and batches of stored features: the backbone runs once, or not at all if cached."""
    splits = {}
    for name in ("train", "validation"):
        features = stored_features(model, encoded, source, config, device, name)
        items = FeatureItems(features, encoded.splits[name].targets)
        splits[name] = Examples(items, np.ones(len(features), dtype=np.int64))
    model.cpu()
    return head_on_features(model), _module(splits, stack_features, config)


def stored_features(
    model: nn.Module,
    encoded: Encoded,
    source: ModelSource | None,
    config: TrainConfig,
    device: torch.device,
    split: str,
) -> np.ndarray:
    """Features of a split's rows, ``[rows, hidden]``: from the cache, or computed and kept there.

    Args:
        model: Stays on the device.
        encoded: The rows.
        source: Where the backbone came from; None of one that was tuned, whose features are not kept.
        config: The run's.
        device: Computes them.
        split: Its name.
    """
    examples = encoded.splits[split]

    def compute() -> np.ndarray:
        loader = _module({split: examples}, encoded.collate, config).loader(split, shuffle=False)
        with counting(f"features of {split} rows", len(examples), config.trainer.progress) as advance:
            return compute_features(model, loader, len(examples), device, advance)

    if source is None:
        return compute()
    key = features_key(source, model, encoded.identity[split])
    return cached_features(Path(config.data.cache_dir), key, compute)


def _options(config: TrainConfig) -> TextDataConfig:
    assert isinstance(config.data, TextDataConfig)
    return config.data


def _module(
    splits: dict[str, Examples], collate: Any, config: TrainConfig, finish: TextPreparation | None = None
) -> FineTuneData:
    return FineTuneData(
        splits,
        collate,
        batch_size=config.data.batch_size,
        seed=config.seed,
        group_by_length=_options(config).group_by_length,
        accumulate=config.trainer.accumulate_grad_batches,
        num_workers=config.data.num_workers,
        finish=finish,
    )
