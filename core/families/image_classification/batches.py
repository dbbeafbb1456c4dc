"""Images made into batches: stored pixels, or the stored features of a frozen backbone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tunebook.config.schema import DataConfig, Method, TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.module import Examples, FineTuneData
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.image_classification.augmentation import augmentation_of, in_words, own_augmentations
from tunebook.families.image_classification.columns import LABEL, finding_role
from tunebook.families.image_classification.data.content import ImageContent
from tunebook.families.image_classification.data.decoded import Decoding
from tunebook.families.image_classification.findings import find_findings
from tunebook.families.image_classification.model.final_layer import start_image_at
from tunebook.families.image_classification.model.image import (
    Preprocessing,
    check_memory,
    load_image_model,
    own_preprocessing,
)
from tunebook.families.image_classification.model.image_tried import LEAST, check_trainable, try_image_model
from tunebook.families.image_classification.options import ImageClassificationConfig, ImageData, ImageEvaluation
from tunebook.families.image_classification.preprocessing import (
    ImageItems,
    ImagePreparation,
    square_of,
    stack_images,
)
from tunebook.families.image_classification.recipe import ImageClassification
from tunebook.models.source import ModelSource
from tunebook.recipe import Head
from tunebook.training.softmax_head import start_logits

SPLITS = ("train", "validation", "test")
_SMALLEST = 16  # pixels
_TRIED = 2  # images on which a model is tried


def preprocessing_of(options: ImageClassificationConfig, source: ModelSource) -> Preprocessing:
    """What the model sees of an image: the weights' own, but for what the options say."""
    if options.size is not None and options.size < _SMALLEST:
        raise UserError(
            f"images of {options.size} x {options.size} pixels are too small",
            code="config.out-of-range",
            where="recipe.size",
            fix=f"at least {_SMALLEST}, such as recipe.size=64",
        )
    for name, values in (("mean", options.mean), ("std", options.std)):
        if values is not None and not all(0 <= value <= 1 for value in values):
            raise UserError(
                f"recipe.{name} is a brightness from 0 to 1, and {values} is not",
                code="config.out-of-range",
                where=f"recipe.{name}",
                fix=f"divide values of 0 to 255 by 255: recipe.{name}=[0.5]",
            )
    return own_preprocessing(
        source,
        size=options.size,
        channels=options.channels,
        mean=options.mean,
        std=options.std,
        fit=options.fit.name,
    )


def decoding_of(options: ImageClassificationConfig, data: DataConfig) -> Decoding:
    """How a file's values become a picture."""
    most = node_as(data, ImageData).max_pixels
    if options.window is None:
        return Decoding(max_pixels=most)
    if len(options.window) != 2 or not options.window[1] > 0:
        raise UserError(
            f"a window has a centre and a width above 0, not {options.window}",
            code="config.out-of-range",
            where="recipe.window",
            fix="recipe.window=[40,400]",
        )
    return Decoding((options.window[0], options.window[1]), most)


def check_trains(config: TrainConfig) -> None:
    """Refuse to ask an image model before it is trained.

    Raises:
        UserError: That is requested.
    """
    if config.adapt.method is Method.none:
        raise UserError(
            "An image model cannot predict before training: adapt=none needs a model that compares with text.",
            code="config.no-effect",
            where="adapt.method",
            fix="adapt=head trains the final layer alone",
        )


def _check_suspects(options: ImageClassificationConfig, config: TrainConfig) -> None:
    """Refuse to look for suspect labels where an image may have several.

    Raises:
        UserError: That is requested.
    """
    if options.findings is not None and node_as(config.evaluation, ImageEvaluation).suspects:
        raise UserError(
            "Suspect labels are found where an image has one label, and recipe.findings gives it several.",
            code="config.no-effect",
            where="evaluation.suspects",
            fix="leave it out",
        )


def training_content(options: ImageClassificationConfig, source: ModelSource, config: TrainConfig) -> ImageContent:
    """The pictures at the size that the model sees; the model is tried before any is read.

    Raises:
        UserError: It does not fit its weights, the pictures or what is to be done with it.
    """
    check_trains(config)
    _check_suspects(options, config)
    pre = preprocessing_of(options, source)
    check_memory(source, pre, _TRIED if config.adapt.method is Method.head else config.data.batch_size)
    augmentation_of(options)
    model, tried = try_image_model(source, config, pre)
    if model is not None:
        check_trainable(model, source, config, options.findings is not None)
    cache, full = Path(config.data.cache_dir), None if options.bits is None else _full_brightness(0, options.bits)[0]
    return ImageContent(
        square_of(pre),
        decoding_of(options, config.data),
        cache,
        node_as(config.data, ImageData).image,
        config.trainer.progress,
        full,
        tried,
    )


def targets_of(rows: Rows, labels: Sequence[str], several: bool) -> NDArray[np.int64]:
    """Label numbers ``[rows]``, or flags ``[rows, findings]``."""
    if several:
        columns = [rows.texts(finding_role(i)) for i in range(len(labels))]
        return np.array([[int(flag) for flag in row] for row in zip(*columns, strict=True)], dtype=np.int64)
    index = {name: i for i, name in enumerate(labels)}
    return np.array([index[label] for label in rows.texts(LABEL)], dtype=np.int64)


def encode_images(
    recipe: ImageClassification[Any], checked: ValidatedData, source: ModelSource, config: TrainConfig
) -> Encoded:
    """Pixels and targets of all splits, and how they become the model's inputs."""
    options = recipe.options
    assert checked.labels is not None and isinstance(checked.content, ImageContent)
    pre = preprocessing_of(options, source)
    several = options.findings is not None
    items, rows, identity = {}, {}, {}
    for name in SPLITS:
        part: Rows = getattr(checked, name)
        items[name] = ImageItems.of(part, checked.content, targets_of(part, checked.labels.names, several))
        rows[name] = part
    full, depth = _full_brightness(max(part.largest() for part in items.values()), options.bits)
    _check_channels(pre, checked.content)
    decoding = decoding_of(options, config.data)
    for name, part in rows.items():
        identity[name] = f"{part.fingerprint}\n{square_of(pre)}\n{decoding}\n{pre}\n{full}"
    augmentation = None if config.adapt.method is Method.head else augmentation_of(options)
    preparation = ImagePreparation(pre, full, augmentation, config.seed, own_augmentations(recipe, config))
    splits = {name: Examples(part, np.ones(len(part), dtype=np.int64)) for name, part in items.items()}
    findings = find_findings(checked.labels.names, several, options.negative)
    facts = {
        "findings": findings.summary,
        "images": f"{pre.size} x {pre.size} pixels ({pre.fit}), {pre.channels} channels",
        "augmentation": in_words(augmentation, preparation.own),
        **checked.content.tried,
        **({"16-bit images": depth} if depth else {}),
    }
    return Encoded(splits, rows, stack_images, preparation, pre.size, facts, identity)


def _full_brightness(largest: int, bits: int | None) -> tuple[int, str]:
    """The value of full brightness of 16-bit files, and how it was found."""
    if bits is not None:
        if not 8 <= bits <= 16:
            raise UserError(
                f"recipe.bits must be from 8 to 16, not {bits}",
                code="config.out-of-range",
                where="recipe.bits",
                fix="recipe.bits=12",
            )
        return 2**bits - 1, f"{bits} bits (recipe.bits)"
    if not largest:
        return 0, ""
    used = max(8, math.ceil(math.log2(largest + 1)))
    used += used % 2  # detectors have 8, 10, 12, 14 or 16 bits
    return 2**used - 1, f"{used} bits: the largest value in the images is {largest}"


def _check_channels(pre: Preprocessing, content: ImageContent) -> None:
    """Refuse colours for a model that takes neither grey nor colours."""
    if pre.channels not in (1, 3) and any(store.pixels.shape[-1] == 3 for store in content.stores):
        raise UserError(
            f"colour images have 3 channels, and the model takes {pre.channels}",
            code="data.colour-images",
            where="recipe.channels",
            fix="recipe.channels=3, or 1 for grey",
        )


def fresh_model(
    head: Head, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
) -> nn.Module:
    """The backbone with one output a label, which begins with the labels' shares of the training rows."""
    preparation = encoded.tokenizer
    model = load_image_model(source, config.model, config.adapt.method, head.outputs, preparation.preprocessing)
    check_trainable(model, source, config, head.multilabel)
    targets = encoded.splits["train"].targets
    start_image_at(model, start_logits(head, targets, len(labels)))
    return model


def pixel_data(encoded: Encoded, config: TrainConfig) -> FineTuneData:
    """Batches of stored pixels, augmented and normalised on the model's device."""
    splits = {name: encoded.splits[name] for name in ("train", "validation")}
    return batches_of(splits, encoded.collate, config, encoded.tokenizer)


def batches_of(splits: dict[str, Examples], collate: Any, config: TrainConfig, finish: Any = None) -> FineTuneData:
    """The batches of some splits, of images in any order; ``finish`` makes inputs of them on the model's device."""
    return FineTuneData(
        splits,
        collate,
        batch_size=config.data.batch_size,
        seed=config.seed,
        group_by_length=False,
        accumulate=config.trainer.accumulate_grad_batches,
        num_workers=config.data.num_workers,
        least=LEAST,
        finish=finish,
    )
