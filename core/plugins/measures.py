"""Whether a recipe's metrics can be what they are used for: tried on made-up rows before anything is trained."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from torchmetrics import MetricCollection

from tunebook.plugins.answers import given
from tunebook.plugins.contract import BrokenContract, broken, family_of
from tunebook.plugins.failures import recipe_failure
from tunebook.statistics.made_up import made_up_predictions
from tunebook.statistics.measure import measure
from tunebook.statistics.metrics import Decided

if TYPE_CHECKING:
    from torchmetrics import Metric

    from tunebook.recipe import Recipe


def check_metrics(recipe: Recipe[Any], labels: Sequence[str]) -> None:
    """Refuse a recipe whose metrics are none, give no number, or which watches one that it does not have.

    Args:
        recipe: Makes the metrics.
        labels: Of the rows; none of rows without labels, whose metrics are given what their head says.

    Raises:
        BrokenContract: It is such a recipe; the message names the metrics that there are, or what one was given.
    """
    check_watch(recipe, named_metrics(recipe, labels))
    try_metrics(recipe, labels)


def try_metrics(recipe: Recipe[Any], labels: Sequence[str]) -> dict[str, Metric]:
    """The recipe's metrics by name, each computed once on made-up rows; of rows without labels none is.

    Raises:
        BrokenContract: They are no metrics, or one takes other than what it is given or makes no number of it.
    """
    metrics = named_metrics(recipe, labels)
    if labels:
        multilabel = recipe.head(labels).multilabel
        for name, metric in metrics.items():
            _try(recipe, name, metric, labels, multilabel)
    return metrics


def named_metrics(recipe: Recipe[Any], labels: Sequence[str]) -> dict[str, Metric]:
    """The recipe's metrics by name.

    Raises:
        BrokenContract: They are no metrics, or one has a name that is taken.
    """
    made = recipe.metrics(labels)
    given(recipe, "metrics", made, isinstance(made, MetricCollection), "a torchmetrics.MetricCollection")
    metrics = {str(name): metric for name, metric in made.items(keep_base=True)}
    if "loss" in metrics:
        what = "it has a metric called 'loss', which is the name of the mean loss of the validation rows"
        raise broken(recipe, "metrics", what, "call it something else, such as 'log_loss'")
    return metrics


def check_watch(recipe: Recipe[Any], metrics: Mapping[str, Metric]) -> None:
    """Refuse a recipe that watches a metric that it does not have, or in the wrong direction."""
    names = list(metrics)
    if family_of(type(recipe)).__module__ == "tunebook.recipe":
        names.append("loss")  # measured with every validation; who reports in a way of their own may watch it
    if recipe.watch not in names:
        near = get_close_matches(str(recipe.watch), names, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        what = f"it watches '{recipe.watch}', which is not one of its metrics"
        raise broken(recipe, "watch", what, f"{hint}the metrics are: {', '.join(names)}")
    watched = metrics.get(recipe.watch)
    if watched is None:
        return
    higher, wanted = watched.higher_is_better, recipe.watch_mode == "max"
    if higher is None and not wanted:
        what = f"it watches '{recipe.watch}' for its lowest value, and the metric does not say that lower is better"
        raise broken(recipe, "metrics", what, "set higher_is_better = False in the metric's class")
    if higher is not None and higher != wanted:
        better = "higher" if higher else "lower"
        what = f"it watches '{recipe.watch}' with watch_mode = {recipe.watch_mode!r}, and {better} is better"
        raise broken(recipe, "watch_mode", what, f"write watch_mode = {'max' if higher else 'min'!r}")


def _try(recipe: Recipe[Any], name: str, metric: Metric, labels: Sequence[str], multilabel: bool) -> None:
    """Compute a metric once on made-up rows: it must take them, and make one number of them."""
    rows = made_up_predictions(labels, 2 * len(labels) + 5, multilabel)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is said of made-up rows says nothing of the recipe
            measure(metric, rows)
    except Exception as error:  # a stranger's code may raise anything
        raise _not_measured(recipe, name, metric, error, multilabel) from error


def _not_measured(recipe: Recipe[Any], name: str, metric: Metric, error: Exception, multilabel: bool) -> BrokenContract:
    """The error for a metric that cannot be computed: what it said, what it was given, and what to write instead."""
    said = f"its metric '{name}' {_said(error)}"
    if isinstance(error, TypeError) and "a score is one number" in str(error):
        what = f"its metric '{name}': {error}"
        return broken(recipe, "metrics", what, 'average over the labels, such as by average="macro" or "micro"')
    several = "[rows, labels]" if multilabel else "[rows]"
    if isinstance(metric, Decided):
        what = f"{said}, given the decided answers {several} and the truth {several}"
        fix = "take Decided(...) away where it judges probabilities [rows, labels]"
    else:
        what = f"{said}, given the probabilities [rows, labels] and the truth {several}"
        fix = "write Decided(metric) where it judges the decided answers"
    failure = recipe_failure(error)
    return broken(recipe, "metrics", what, fix, (failure.where or "") if failure else "")


def _said(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"raised {type(error).__name__}: {words[:200]}"
