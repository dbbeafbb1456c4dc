"""What training images are changed by: the family's own options, the recipe's method, and packages' functions."""

from __future__ import annotations

from typing import Any

from tunebook.config.schema import AugmentedDataConfig, Method, TrainConfig
from tunebook.data.augmentations import Augmentations, make_augmentations
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.image_classification.data.augment import Augmentation
from tunebook.families.image_classification.options import ImageClassificationConfig
from tunebook.families.image_classification.recipe import ImageClassification


def augmentation_of(options: ImageClassificationConfig) -> Augmentation | None:
    """What training images are changed by."""
    if not options.augment:
        return None
    ranges = {"rotate": 180.0, "shift": 0.5, "zoom": 0.9, "brightness": 1.0, "contrast": 1.0}
    for name, most in ranges.items():
        if not 0 <= getattr(options, name) <= most:
            raise UserError(
                f"recipe.{name} must be from 0 to {most:g}, not {getattr(options, name):g}",
                code="config.out-of-range",
                where=f"recipe.{name}",
                fix=f"recipe.{name}=0 for none",
            )
    return Augmentation(flip=options.flip.name, **{name: getattr(options, name) for name in ranges})


def own_augmentations(recipe: ImageClassification[Any], config: TrainConfig) -> Augmentations | None:
    """What the recipe itself and the packages that the config names change; None where nothing does."""
    if config.adapt.method is Method.head:
        return None
    says = recipe.options.augment and type(recipe).augment is not ImageClassification.augment
    named = node_as(config.data, AugmentedDataConfig).augmentations
    return make_augmentations(named, recipe.augment if says else None, config.seed)


def in_words(a: Augmentation | None, own: Augmentations | None) -> str:
    """What training images are changed by, for the report; "none" where nothing does."""
    turned = f"flip {a.flip}, rotate {a.rotate:g} degrees, shift {a.shift:g}, zoom {a.zoom:g}" if a else ""
    toned = f"brightness {a.brightness:g}, contrast {a.contrast:g}" if a else ""
    return ", ".join(part for part in (turned, toned, own.names if own else "") if part) or "none"
