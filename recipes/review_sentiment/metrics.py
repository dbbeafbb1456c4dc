"""What is measured on ordered labels: how far off, not only how often wrong."""

from __future__ import annotations

from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassCohenKappa

from tunebook import Decided, LabelDistance


def star_metrics(labels: int) -> MetricCollection:
    """Mean absolute error in stars, and quadratic weighted kappa (Cohen 1968)."""
    return MetricCollection(
        {
            "mean_absolute_error": Decided(LabelDistance()),
            "quadratic_kappa": Decided(MulticlassCohenKappa(labels, weights="quadratic")),
        }
    )
