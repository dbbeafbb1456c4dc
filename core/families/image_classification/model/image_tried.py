"""An image model tried before pictures are decoded: all that a run does with it later, on two random pictures."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunebook.config.schema import AdaptConfig, Method, TrainConfig
from tunebook.errors import UserError
from tunebook.families.image_classification.model.final_layer import clips_outputs, final_layer
from tunebook.families.image_classification.model.image import Preprocessing, fill_image_model
from tunebook.families.image_classification.model.image_build import reason
from tunebook.families.image_classification.model.image_features import HeadOnFeatures, features_of
from tunebook.families.image_classification.model.image_files import load_saved_image_model, write_image_model
from tunebook.families.image_classification.model.image_fill import FilledModel
from tunebook.families.image_classification.model.image_sizes import check_seen
from tunebook.models.adapt import adapt, check_adapters, merge_checked
from tunebook.models.layers import is_head
from tunebook.models.source import ModelSource

LARGEST = 4 << 30
"""Bytes of weights up to which a model is loaded to be tried; a larger one is tried where it is trained."""
SAVED = 1 << 30
"""Bytes up to which it is also saved and opened again."""
LEAST = 2
"""Images of a batch: batch normalisation cannot learn from one."""
_CLASSES = ("a", "b")
_TOLERANCE = 1e-3  # of the largest answer: other shapes of batches move the sixth digit


def try_image_model(
    source: ModelSource, config: TrainConfig, pre: Preprocessing
) -> tuple[nn.Module | None, dict[str, str]]:
    """Load the model as it will be trained, and do with two pictures what the run will do with all.

    The model answers both together and one alone, learns from them by the chosen adaptation, has its adapters merged,
    and is saved and opened again. The run's random numbers stay as they are.

    Args:
        source: Where it is.
        config: The run's config.
        pre: The pictures that it is for.

    Returns:
        The model, of no use but to be looked at, and what was found, to be shown; None and nothing of a model too
        large to load twice, or where the run is not to be rehearsed.

    Raises:
        UserError: The weights do not fit, the pictures' size does not, or one of these steps does not work.
    """
    large = source.weights is not None and source.weights.stat().st_size > LARGEST
    if large or not config.trainer.rehearse:
        return None, {}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        made = fill_image_model(source, config.model, config.adapt.method, len(_CLASSES), pre)
        model, x = made.model.eval(), torch.randn(2, pre.channels, pre.size, pre.size)
        nn.init.normal_(final_layer(model)[1].weight)  # some begin at nothing, and would hide what comes before
        _check_answers(model, x)
        edge = check_seen(source, model, x[:1])
        if config.adapt.method is Method.head:
            _check_head(model, x)
        else:
            model = _check_learning(model, x, config.adapt)
        _check_saved(model, x, source, pre)
    return model, _facts(made, pre) | ({"edge of the images": edge} if edge else {})


def _facts(made: FilledModel, pre: Preprocessing) -> dict[str, str]:
    facts = {"backbone": made.in_words()} if made.tensors else {}
    if made.channels is not None:
        facts["first layer"] = f"made for {made.channels} channels, its weights adapted to {pre.channels}"
    return facts


def _check_answers(model: nn.Module, x: Tensor) -> None:
    """Refuse answers of another shape, that are not finite, or that depend on the other pictures of a batch."""
    with torch.no_grad():
        both, alone = (_answers(model, rows) for rows in (x, x[:1]))
    if not both.isfinite().all():
        raise UserError(
            "The model answers a random picture with numbers that are not finite.",
            code="model.answers-not-finite",
            where="model.name",
            fix="check its weights, or choose another model",
        )
    if not _same(both[:1], alone):
        raise UserError(
            "The model answers otherwise where a picture is beside another one (outputs move by "
            f"{float((both[:1] - alone).abs().max()):.2g}).",
            code="model.batch-changes-answers",
            where="model.name",
            fix="choose a model whose answers are those of each picture alone",
        )


def _answers(model: nn.Module, x: Tensor) -> Tensor:
    """The model's answers in float32, ``[rows, classes]``.

    Raises:
        UserError: They have another shape.
    """
    found = model(x)
    if not isinstance(found, Tensor) or found.shape != (len(x), len(_CLASSES)):
        shown = list(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise UserError(
            f"The model answers {shown}, not [rows, classes] ({[len(x), len(_CLASSES)]} here).",
            code="model.wrong-outputs",
            where="model.name, model.args",
            fix="choose a model, and arguments of it, that classify a picture as a whole: global_pool=avg",
        )
    return found.float()


def _same(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) <= _TOLERANCE * max(1.0, float(other.abs().max()))


def _check_head(model: nn.Module, x: Tensor) -> None:
    """Refuse a model whose final layer cannot learn on stored features."""
    features = features_of(model, [{"inputs": {"x": x}, "row": torch.arange(len(x))}], len(x), torch.device("cpu"))
    _learn(HeadOnFeatures(model), torch.from_numpy(features))


def _check_learning(model: nn.Module, x: Tensor, config: AdaptConfig) -> nn.Module:
    """Refuse a model that has no gradient, adapters that it reads past, and those that cannot be merged.

    Returns:
        The plain model again.
    """
    adapted = adapt(model, config).train()
    _learn(adapted, x)
    check_adapters(adapted)
    learning = {n.removeprefix("base_model.model."): p for n, p in adapted.named_parameters() if p.requires_grad}
    if not any(p.grad is not None and p.grad.any() for n, p in learning.items() if not is_head(n, model)):
        raise _cannot_learn("no gradient reaches its backbone")
    return adapted if adapted is model else merge_checked(adapted, lambda each: _answers(each, x))


def _learn(model: nn.Module, x: Tensor) -> None:
    """A step's loss and its gradient.

    Raises:
        UserError: The model has none.
    """
    try:
        functional.cross_entropy(_answers(model.train(), x), torch.arange(len(_CLASSES))).backward()
    except UserError:
        raise
    except Exception as error:  # each architecture has its own way to say no
        raise _cannot_learn(reason(error)) from error


def _cannot_learn(why: str) -> UserError:
    return UserError(
        f"The model cannot be trained on pictures of this size: {why}.",
        code="model.cannot-learn",
        where="model.name, recipe.size",
        fix="a larger recipe.size, or another model",
    )


def _check_saved(model: nn.Module, x: Tensor, source: ModelSource, pre: Preprocessing) -> None:
    """Refuse a model that is another once it was saved and opened."""
    if sum(t.numel() * t.element_size() for t in model.state_dict().values()) > SAVED:
        return
    with tempfile.TemporaryDirectory(prefix="tunebook-try-") as folder, torch.no_grad():
        write_image_model(Path(folder), model, source, pre, _CLASSES)
        try:
            after = _answers(load_saved_image_model(Path(folder)), x)
        except UserError as error:
            raise _not_restored(error.what.removesuffix(".")) from error
        before = _answers(model.eval(), x)
    if not _same(after, before):
        raise _not_restored(f"outputs move by {float((after - before).abs().max()):.2g}")


def _not_restored(why: str) -> UserError:
    return UserError(
        f"The model would be another once it was saved and opened again: {why}.",
        code="model.not-restored",
        where="model.name, model.args",
        fix="choose another model, or leave out arguments that it does not save",
    )


def check_trainable(model: nn.Module, source: ModelSource, config: TrainConfig, several: bool) -> None:
    """Refuse outputs that no finding can be read from, and batches of one image where the model normalises over them.

    Raises:
        UserError: It is so.
    """
    if several and clips_outputs(model):
        raise UserError(
            f"'{source.name}' gives no output below 0, so no finding could have a probability below 0.5.",
            code="model.no-negative-outputs",
            where="model.name",
            fix="choose another architecture for recipe.findings",
        )
    processes = config.trainer.devices * config.trainer.num_nodes
    normalises = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    if normalises and config.adapt.method is not Method.head and config.data.batch_size < LEAST * processes:
        raise UserError(
            "A model with batch normalisation cannot be trained with one image per batch.",
            code="config.out-of-range",
            where="data.batch_size",
            fix=f"data.batch_size={LEAST * processes} or more, or adapt=head",
        )
