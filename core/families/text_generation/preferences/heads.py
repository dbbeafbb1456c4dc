"""The losses of learning from preferences, on log-probabilities of whole answers, and what is watched meanwhile.

With the log-ratio of an answer r = log p(answer | prompt) - log p_reference(answer | prompt), summed over its tokens:
DPO (Rafailov et al. 2023, arXiv:2305.18290) minimises -log sigmoid(beta (r_chosen - r_rejected)); KTO (Ethayarajh et
al. 2024, arXiv:2402.01306) minimises w (1 - sigmoid(beta (r - z))) for a good answer, and w' (1 - sigmoid(beta (z -
r))) for a bad one. z estimates the KL divergence from the reference: the mean log-ratio of answers to other prompts, of
the batch, at least 0, without a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import Metric, MetricCollection
from torchmetrics.utilities import dim_zero_cat

from tunebook.config.schema import Objective
from tunebook.data.batch import IGNORE_INDEX, Batch
from tunebook.families.text_generation.model.language_loss import supervised_losses
from tunebook.families.text_generation.options import PreferenceObjective
from tunebook.training.head import Head


def answer_log_probs(model: nn.Module, stacked: Mapping[str, Any], count: int) -> Tensor:
    """Log-probability of each answer given its prompt, summed over its tokens, in nats, ``[count]``.

    Args:
        model: A language model of transformers, with or without adapters.
        stacked: What `stack_sequences` made.
        count: Token rows in it.
    """
    losses = supervised_losses(model, stacked["inputs"], stacked["tokens"], weighted=True)
    wide = losses if losses.device.type == "mps" else losses.double()  # sums of hundreds of tokens are compared
    numbers = stacked["sequence"][stacked["tokens"] != IGNORE_INDEX]
    return -wide.new_zeros(count).index_add(0, numbers, wide)


class PairHead(Head):
    """DPO: ``forward`` gives the log-ratios of the chosen and the rejected answer, ``[batch, 2]``.

    Args:
        beta: How strongly the model is held to the reference.
    """

    kind: ClassVar[str] = "dpo"
    outputs = 0

    def __init__(self, beta: float) -> None:
        self.beta = beta

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Both log-ratios of each pair, ``[batch, 2]``."""
        rows = len(batch["target"])
        found = answer_log_probs(model, batch, 2 * rows)
        ratios: Tensor = found.view(2, rows).T - batch["reference"]
        return ratios.float()

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of each pair, ``[batch]``."""
        return -F.logsigmoid(self.beta * (logits[:, 0] - logits[:, 1]))

    def probabilities(self, logits: Tensor) -> Tensor:
        """That the chosen answer is the better one, ``[batch]``."""
        return torch.sigmoid(self.beta * (logits[:, 0] - logits[:, 1]))

    def measure(self, metrics: MetricCollection, logits: Tensor, losses: Tensor, batch: Batch) -> None:
        """Count a batch of pairs into every metric."""
        for metric in metrics.values(copy_state=False):
            metric.update(self.beta * logits[:, 0], self.beta * logits[:, 1])


class ThumbHead(Head):
    """KTO: ``forward`` gives the log-ratio of each answer, and the batch's estimate of z, ``[batch, 2]``.

    Args:
        objective: beta, and the weights of good and of bad answers.
    """

    kind: ClassVar[str] = "kto"
    outputs = 0

    def __init__(self, objective: PreferenceObjective) -> None:
        self.beta = objective.beta
        self.good, self.bad = objective.desirable_weight, objective.undesirable_weight

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Log-ratios, and z, ``[batch, 2]``."""
        rows = len(batch["target"])
        with torch.no_grad():
            mismatched = answer_log_probs(model, batch["mismatched"], rows) - batch["reference"][:, 1]
            z = _mean_of_all(mismatched).clamp(min=0)
        ratios = answer_log_probs(model, batch, rows) - batch["reference"][:, 0]
        return torch.stack([ratios, z.expand(rows)], dim=1).float()

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of each answer, ``[batch]``.

        Args:
            logits: Log-ratios and z, ``[batch, 2]``.
            target: 1 for a good answer, 0 for a bad one, ``[batch]``.
        """
        beyond = self.beta * (logits[:, 0] - logits[:, 1])
        return torch.where(
            target.bool(), self.good * (1 - torch.sigmoid(beyond)), self.bad * (1 - torch.sigmoid(-beyond))
        )

    def probabilities(self, logits: Tensor) -> Tensor:
        """That an answer is good, ``[batch]``."""
        return torch.sigmoid(self.beta * (logits[:, 0] - logits[:, 1]))

    def measure(self, metrics: MetricCollection, logits: Tensor, losses: Tensor, batch: Batch) -> None:
        """Count a batch of answers into every metric."""
        for metric in metrics.values(copy_state=False):
            metric.update(self.beta * logits[:, 0], batch["target"])


def _mean_of_all(values: Tensor) -> Tensor:
    """The mean of all processes' values, ``[]``."""
    sums = torch.stack([values.sum(), values.new_tensor(len(values))])
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(sums)
    return sums[0] / sums[1]


def preference_head(objective: PreferenceObjective) -> Head:
    """The head of an objective."""
    return PairHead(objective.beta) if objective.name is Objective.dpo else ThumbHead(objective)


def preference_metrics(objective: Objective) -> MetricCollection:
    """What validation measures."""
    if objective is Objective.dpo:
        return MetricCollection({"preference_accuracy": PreferenceAccuracy()})
    return MetricCollection({"reward_auroc": RewardAuroc()})


class PreferenceAccuracy(Metric):
    """Share of the pairs whose chosen answer has the higher implicit reward."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    right: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("right", default=torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, chosen: Tensor, rejected: Tensor) -> None:
        """Add pairs by their rewards, ``[batch]`` each."""
        self.right += (chosen > rejected).sum()
        self.count += len(chosen)

    def compute(self) -> Tensor:
        """The share; nan before the first pair."""
        return self.right / self.count if self.count else torch.tensor(float("nan"), device=self.right.device)


class RewardAuroc(Metric):
    """How often a good answer has a higher implicit reward than a bad one, over all pairs of them; ties count half."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    rewards: list[Tensor]
    good: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("rewards", default=[], dist_reduce_fx="cat")
        self.add_state("good", default=[], dist_reduce_fx="cat")

    def update(self, rewards: Tensor, good: Tensor) -> None:
        """Add answers, ``[batch]`` each."""
        self.rewards.append(rewards.detach())
        self.good.append(good)

    def compute(self) -> Tensor:
        """The area; nan where all answers are good, or all bad."""
        rewards, good = dim_zero_cat(self.rewards), dim_zero_cat(self.good).bool()
        _, where, counts = torch.unique(rewards, return_inverse=True, return_counts=True)
        ranks = (counts.cumsum(0) - (counts - 1) / 2)[where]  # of ties the mean
        positives, negatives = good.sum(), (~good).sum()
        area: Tensor = (ranks[good].sum() - positives * (positives + 1) / 2) / (positives * negatives)
        return area
