"""Whether a recipe's head is what trains and answers: its calls in a small run, counted."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tunebook.plugins.contract import broken, place_of
from tunebook.testing.outcome import Failed
from tunebook.testing.zygote import in_a_line

PARTS = ("loss", "probabilities", "decide")
TRAINING, BUNDLE, TESTING = "training and validation", "the bundle", "testing"
_TRIAL = "tunebook.plugins.heads"
"""Who tries each part once, which is no use of it."""


class _Watched:
    """A head whose calls are counted."""

    __slots__ = ()


@dataclass
class HeadUse:
    """Calls of the heads that a recipe gave out.

    Attributes:
        stage: What the run is doing.
        calls: How often each part was called in each stage.
        head: One of the heads.
    """

    stage: str = TRAINING
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    head: Any = None

    def watch(self, recipe_class: Any) -> None:
        """Count the calls of every head that recipes of this class give out from now on."""
        give = recipe_class.head

        def watched(recipe: Any, labels: Any) -> Any:
            self.head = give(recipe, labels)
            object.__setattr__(self.head, "__class__", self._watched(type(self.head)))
            return self.head

        recipe_class.head = watched

    def _watched(self, kind: Any) -> Any:
        """The same class, whose parts count their calls: a copy of a head, and what it holds otherwise, is seen too."""
        if issubclass(kind, _Watched):
            return kind

        def look_up(head: Any, name: str) -> Any:
            found = kind.__getattribute__(head, name)
            return self._counted(name, found) if name in PARTS else found

        same = {"__slots__": (), "__module__": kind.__module__, "__qualname__": kind.__qualname__}
        return type(kind.__name__, (kind, _Watched), {**same, "__getattribute__": look_up})

    def _counted(self, part: str, method: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            if sys._getframe(1).f_globals.get("__name__") != _TRIAL:
                self.calls[self.stage, part] += 1
            return method(*arguments)

        return counted

    def summary(self, recipe: Any, home: str, tested: bool) -> str:
        """What was called; of a language model the loss alone is, whose outputs are no labels.

        Args:
            recipe: The recipe.
            home: Its folder, to name the place of the head.
            tested: Whether the test rows were scored.

        Raises:
            Failed: Something was not.
        """
        labelled = bool(self.head.outputs)
        stages = (TRAINING, TESTING) if tested else (TRAINING,)
        answering = [(stage, part) for stage in stages for part in PARTS[1:]]
        wanted = [(TRAINING, "loss"), *(answering if labelled else ())]
        for stage, part in wanted:
            if not self.calls[stage, part]:
                kind = type(self.head)
                what = f"the `{part}` of its head {kind.__name__} is never called in {stage}"
                fix = f"let the head itself compute these: {', '.join(PARTS)}"
                raise Failed(in_a_line(broken(recipe, "head", what, fix, place_of(getattr(kind, part))), home))
        return "; ".join(f"{part} in {stage}: {self.calls[stage, part]} calls" for stage, part in wanted)
