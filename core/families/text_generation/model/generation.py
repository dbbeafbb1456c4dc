"""How answers are chosen."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from numbers import Real


class UnusableGeneration(ValueError):
    """Answers cannot be chosen so; the text is the reason."""


@dataclass(frozen=True)
class Generation:
    """How answers are chosen: greedily by default.

    The model's own `generation_config` is not read: what is not said here does not happen. An encoder-decoder's start
    token and the one it forces behind it are taken from there (`decoder_prefix`), as answers make no sense without.

    Attributes:
        max_new_tokens: Longest answer, in tokens.
        do_sample: Sample each token instead of taking the most probable.
        temperature: Logits are divided by it before a draw.
        top_p: Sample from the fewest most probable tokens that together have at least this probability.
        num_beams: Answers followed side by side (beam search); 1 is none.
        seed: Of the draws. Row `i` has random numbers of its own, made of the seed and `i`: what it answers does
            not depend on the other rows, but for the rounding of their shared matrix products.
        schema: JSON schema, as text, that every answer keeps to; None: answers are texts as they come.
    """

    max_new_tokens: int = 128
    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    num_beams: int = 1
    seed: int = 0
    schema: str | None = None

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "num_beams", "seed"):
            try:  # of numpy's too
                object.__setattr__(self, name, operator.index(getattr(self, name)))
            except TypeError:
                raise UnusableGeneration(f"{name} must be a whole number, not {getattr(self, name)!r}") from None
        if self.max_new_tokens < 1 or self.num_beams < 1:
            raise UnusableGeneration("max_new_tokens and num_beams must be at least 1")
        if not all(isinstance(each, Real) for each in (self.temperature, self.top_p)):
            raise UnusableGeneration("temperature and top_p must be numbers")
        if not (self.temperature > 0 and 0 < self.top_p <= 1):
            raise UnusableGeneration("temperature must be above 0, and top_p above 0 and at most 1")
        if self.do_sample and self.num_beams > 1:
            raise UnusableGeneration("beam search does not sample: do_sample needs num_beams=1")
        if self.schema is not None and self.num_beams > 1:
            raise UnusableGeneration("beam search keeps to no schema: it needs num_beams=1")
