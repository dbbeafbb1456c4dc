"""The checks of a recipe by name, and what came of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

CHECKS: dict[str, str] = {
    "lazy": "`list` imports none of its code, and importing it does not load torch",
    "composes": "its page composes, and its class is imported",
    "options": "every option has help; page and Config have the same options",
    "typo": "a misspelt option is rejected, and the closest name suggested",
    "bad_rows": "broken rows are rejected, each with a reason",
    "head": "the head computes the loss and the answers, in the right form",
    "loss": "the loss of a batch is finite and decreases along its gradient",
    "overfits": "a batch can be overfitted",
    "invariance": "metrics accept their inputs, with rows and labels in any order",
    "trains": "a small training run completes",
    "save_load": "the reloaded bundle gives the same outputs as the model in memory",
    "metrics": "metrics.json agrees with predictions.csv",
    "labels": "the label order is the same from training to `predict`",
    "plain": "the bundle loads without Tunebook and gives the same outputs",
    "resume": "a run that is killed and resumed ends with the same weights",
    "offline": "no network access is attempted",
}
"""Each check and what it shows, in the order reported."""


class Status(Enum):
    """What came of a check."""

    passed = "passed"
    failed = "failed"
    not_applicable = "not applicable"
    not_reached = "not reached"


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    Attributes:
        check: Its name, one of `CHECKS`.
        status: Whether it passed; ``not_reached`` where what it needs has failed, which counts as not passed.
        reason: What was seen, or what is wrong and where.
    """

    check: str
    status: Status
    reason: str

    @property
    def good(self) -> bool:
        """Whether nothing speaks against the recipe: passed, or it does not apply to the recipe's family."""
        return self.status in (Status.passed, Status.not_applicable)


class Failed(Exception):
    """A check that did not pass, with the reason."""


class NotApplicable(Exception):
    """A check that does not apply to this recipe, and why."""


def outcome_of(work: Callable[[], str]) -> list[str]:
    """Run a check in the process of a job: its status and reason, as plain values."""
    try:
        return [Status.passed.value, work()]
    except Failed as failure:
        return [Status.failed.value, str(failure)]
    except NotApplicable as reason:
        return [Status.not_applicable.value, str(reason)]


class RecipeFailed(AssertionError):
    """A recipe that did not pass; the message lists the checks that failed, and those not reached.

    Attributes:
        outcomes: What came of every check that was run.
    """

    def __init__(self, name: str, outcomes: Sequence[Outcome]) -> None:
        bad = [outcome for outcome in outcomes if not outcome.good]
        lines = [f"{o.check}: {o.status.value}: {o.reason}" for o in bad]
        super().__init__(f"the recipe '{name}' does not pass {len(bad)} of {len(outcomes)} checks\n" + "\n".join(lines))
        self.outcomes = tuple(outcomes)
